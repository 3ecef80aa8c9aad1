"""docs/conversion.md: what convert_padding does to other people's models, as its command says."""

import warnings

import pytest
import timm
import torch

from padding import PaddingError, PaddingWarning, convert_padding, padding_of
from tests.conftest import ROOT

# As counted by hand: modules of that class, in timm's source of the model.
EXPECTED = {
    "resnet18": ("", 17, 0),
    "nfnet_l0": ("28 x ScaledStdConv2d with a forward of its own", 0, 28),
    "resnetv2_50x1_bit": (
        "17 x StdConv2d with a forward of its own; 1 x ConstantPad2d before a convolution",
        *(0, 18),
    ),
    "tf_efficientnet_b0": ("5 x Conv2dSame with a forward of its own", 12, 5),
    "vit_b_16": ("no padded convolution", 0, 0),
    "r3d_18": (
        "1 x Conv3d, which is no nn.Conv2d; 16 x Conv3DSimple, which is no nn.Conv2d",
        *(0, 17),
    ),
}


def rows(text):
    cells = (line.strip("|").split("|") for line in text.splitlines() if line.startswith("|"))
    return {name.strip(): tuple(cell.strip() for cell in rest) for name, *rest in cells}


def test_the_command_and_its_page_tell_what_converts(command):
    done = command("benchmarks.conversion", *EXPECTED)
    found = rows(done.stdout)
    for name, expected in EXPECTED.items():
        assert found[name] == tuple(map(str, expected))
    page = rows((ROOT / "docs" / "conversion.md").read_text())
    assert {name: row for name, row in page.items() if name in EXPECTED} == {
        name: found[name] for name in EXPECTED
    }
    assert len(page) > 180


def test_timms_layers_are_refused_by_name():
    from timm.layers import Conv2dSame, ScaledStdConv2d, StdConv2d

    for name, layer, first in (
        ("nfnet_l0", ScaledStdConv2d, "stem.conv1"),
        ("resnetv2_50x1_bit", StdConv2d, "stem.conv"),
        ("tf_efficientnet_b0", Conv2dSame, "conv_stem"),
    ):
        with torch.device("meta"):
            model = timm.create_model(name)
        with pytest.raises(PaddingError, match=f"^layer {first}: {layer.__name__} has a forward"):
            convert_padding(model, "partial", subclasses=(layer,))
        with warnings.catch_warnings():
            warnings.simplefilter("error", PaddingWarning)
            with pytest.raises(PaddingWarning, match=f"x {layer.__name__} with a forward of its"):
                convert_padding(model, "partial")


def test_fused_copies_are_seen_for_what_they_are():
    """RepVGG's fused kernels are stock layers: the scheme is lost, and padding_of says so."""
    from timm.utils import reparameterize_model

    model = convert_padding(timm.create_model("repvgg_a0"), "partial").eval()
    assert set(padding_of(model).values()) == {"partial"}
    fused = reparameterize_model(model)
    assert set(padding_of(fused).values()) == {"zero"}
    assert set(padding_of(convert_padding(fused, "partial")).values()) == {"partial"}
