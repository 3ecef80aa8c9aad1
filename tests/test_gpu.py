"""What only a GPU can show."""

import json

import pytest
import torch
from torch import nn

import evaluate
import train
from configs.load import load
from data.build import build_loaders
from padding import SCHEMES, convert_padding
from tests.commands.test_segmentation_command import SETTINGS as SCENE_SETTINGS
from tests.conftest import ROOT, TINY, write_images
from tests.data.streets import write_streets

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_layers_equal_the_cpu(scheme, bias, memory_format):
    """Outputs and gradients, by deterministic kernels alone, in the layout that came in."""
    torch.use_deterministic_algorithms(True)
    try:
        for size, stride in (((9, 8), 2), ((40, 41), 1), ((130, 140), 1)):
            torch.manual_seed(0)
            conv = nn.Conv2d(4, 4, 3, stride, 1, bias=bias, dtype=torch.float64)
            convert_padding(conv, scheme)
            x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
            expected = conv(x)
            g = torch.randn_like(expected)
            gradients = torch.autograd.grad(expected, [x, *conv.parameters()], g)
            conv.cuda().to(memory_format=memory_format)
            x = x.detach().cuda().to(memory_format=memory_format).requires_grad_()
            y = conv(x)
            assert y.is_contiguous(memory_format=memory_format)
            torch.testing.assert_close(y.cpu(), expected)
            found = torch.autograd.grad(y, [x, *conv.parameters()], g.cuda())
            torch.testing.assert_close([part.cpu() for part in found], list(gradients))
            with torch.no_grad():
                torch.testing.assert_close(conv(x), y)
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_compiled_layers(scheme):
    torch._dynamo.reset()
    conv = convert_padding(nn.Conv2d(4, 4, 3, padding=1), scheme).cuda()
    x = torch.randn(2, 4, 40, 41, device="cuda", requires_grad=True)
    inputs = [x, *conv.parameters()]
    compiled = torch.compile(conv, fullgraph=True)
    torch.testing.assert_close(compiled(x), conv(x), rtol=1e-3, atol=1e-3)
    found = torch.autograd.grad(compiled(x).sum(), inputs)
    expected = torch.autograd.grad(conv(x).sum(), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)


def test_resumed_run_ends_bit_equal_with_deterministic_kernels(tiny, tmp_path, main_of):
    settings = [*tiny, "train.deterministic=true", "model.padding=partial"]
    weights = []
    for name, epochs in (("straight", (2,)), ("resumed", (1, 2))):
        for last in epochs:
            stop_after = [f"train.epochs={last}", f"run.name={name}"]
            run = tmp_path / "runs" / name
            if last == 2 and len(epochs) > 1:  # the same run, told to go on
                config = (run / "config.yaml").read_text().replace("epochs: 1", "epochs: 2")
                (run / "config.yaml").write_text(config)
                (run / "summary.json").unlink()
            assert main_of(train.main, "configs/resnet50.yaml", *settings, *stop_after)[0] == 0
        saved = torch.load(run / "checkpoints" / "last.pt", weights_only=True)
        weights.append(saved["model"])
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_nccl(tiny, tmp_path, command):
    """One process a GPU, as torchrun starts them."""
    gpus = torch.cuda.device_count()
    batch = [f"data.global_batch_size={6 * gpus}", f"recipe.bn_batch_size={6}"]
    command("train.py", "configs/resnet50.yaml", *tiny, *batch, nproc=gpus)
    environment = tmp_path / "runs" / "resnet50_zero_seed1" / "environment.json"
    assert "nccl" in json.loads(environment.read_text())["backend"]


@pytest.mark.parametrize("padding", SCHEMES)
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_training(tiny, tmp_path, main_of, precision, padding):
    settings = [f"train.precision={precision}", "train.channels_last=true", "data.workers=2"]
    settings += [f"model.padding={padding}", "data.image_size=64", "data.eval_resize=64"]
    code, _, err = main_of(train.main, "configs/resnet50.yaml", *tiny, *settings)
    assert code == 0, err
    run = tmp_path / "runs" / f"resnet50_{padding}_seed1"
    assert json.loads((run / "environment.json").read_text())["versions"]["cuda"]


@pytest.mark.parametrize("decode", ["cpu", "gpu"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_dali_delivers_what_torchvision_does(tmp_path, decode, channels_last):
    pytest.importorskip("nvidia.dali")
    for split in ("train", "val"):
        write_images(tmp_path / split / "a", [(300, 200), (200, 300), (257, 256)] * 9, seed=1)
    device = torch.device("cuda", 0)
    settings = [*TINY, f"data.root={tmp_path}", "data.image_size=224", "data.eval_resize=256"]
    batches = {}
    for backend in ("torchvision", "dali"):
        chosen = [f"data.backend={backend}"] + [f"data.decode={decode}"] * (backend == "dali")
        data = load(ROOT / "configs/resnet50.yaml", [*settings, *chosen]).data
        loaders = build_loaders(data, 1, 0, (0, 1), device, channels_last)
        batches[backend] = [*loaders.train, *loaders.val]
    for one, other in zip(batches["dali"], batches["torchvision"], strict=True):
        assert torch.equal(one.index, other.index)
        assert torch.equal(one.labels, other.labels)
        assert one.images.device == device
        assert one.images.stride() == other.images.stride()
        levels = (one.images - other.images).abs()[..., 1:-1, 1:-1] * 0.225 * 255
        assert levels.mean() < 0.3
        assert levels.max() < 3


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_segmentation(tmp_path, main_of, precision):
    streets = write_streets(tmp_path / "streets", each=2)
    settings = [*SCENE_SETTINGS, f"data.root={streets}", f"run.root={tmp_path / 'runs'}"]
    code, _, err = main_of(
        train.main, "configs/demo_segmentation.yaml", *settings, f"train.precision={precision}"
    )
    assert code == 0, err
    [run] = (tmp_path / "runs").iterdir()
    assert main_of(evaluate.main, run, "--padding", "zero", "partial", "--save-predictions")[0] == 0
    said = json.loads((run / "eval" / "partial.json").read_text())
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = max(rows, key=lambda row: row["val_miou"])
    assert said["modes"]["regular"]["confusion"] == best["confusion"]
