"""What only a GPU can show."""

import json

import pytest
import torch
from torch import nn

import train
from padding import SCHEMES, convert_padding

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_layers_equal_the_cpu(scheme):
    torch.manual_seed(0)
    conv = convert_padding(nn.Conv2d(4, 4, 3, stride=2, padding=1, dtype=torch.float64), scheme)
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    expected = conv(x)
    torch.testing.assert_close(conv.cuda()(x.cuda()).cpu(), expected)


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_training(tiny, tmp_path, main_of, precision):
    settings = [f"train.precision={precision}", "train.channels_last=true", "data.workers=2"]
    code, _, err = main_of(train.main, "configs/resnet50.yaml", *tiny, *settings)
    assert code == 0, err
    run = tmp_path / "runs" / "resnet50_zero_seed1"
    assert json.loads((run / "environment.json").read_text())["versions"]["cuda"]
