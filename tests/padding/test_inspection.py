"""Never silent: what convert_padding leaves as it is, and padding_of's account of every layer."""

import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrizations

from models import ARCHITECTURES, build_model
from padding import SCHEMES, PaddingError, PaddingWarning, convert_padding, padding_of


class Plain(nn.Conv2d):
    """Somebody's convolution that differs in nothing but its name."""


class Standardized(nn.Conv2d):
    """timm's StdConv2d in short: a forward of its own."""

    def forward(self, x):
        weight = self.weight - self.weight.mean((1, 2, 3), keepdim=True)
        return F.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Same(nn.Conv2d):
    """timm's Conv2dSame in short: padding=0, but it pads in forward."""

    def forward(self, x):
        return F.conv2d(F.pad(x, (1, 1, 1, 1)), self.weight, self.bias, self.stride)


class Hooked(nn.Conv2d):
    """A forward that is nn.Conv2d's, a convolution that is not."""

    def _conv_forward(self, input, weight, bias):
        return super()._conv_forward(input, 2 * weight, bias)


def heard(model, scheme="partial", **settings):
    """Convert and return the text of the one warning."""
    with pytest.warns(PaddingWarning) as caught:
        assert convert_padding(model, scheme, **settings) is model
    [warning] = caught
    assert warning.filename == __file__
    assert "\n" not in str(warning.message)
    return str(warning.message)


def patched():
    conv = nn.Conv2d(2, 2, 3, padding=1)
    conv._conv_forward = lambda input, weight, bias: input
    return conv


SMALL = {"in_channels": 2, "out_channels": 2, "kernel_size": 3}
LEFT = [
    (Standardized(**SMALL, padding=1), "Standardized with a forward of its own"),
    (Same(**SMALL), "Same with a forward of its own"),
    (Hooked(**SMALL, padding=1), "Hooked with a _conv_forward of its own"),
    (Plain(**SMALL, padding=1), "Plain, a subclass of nn.Conv2d that is not named in `subclasses`"),
    (patched(), "Conv2d with a _conv_forward set on the layer itself"),
    (nn.Conv2d(**SMALL, padding=1, padding_mode="circular"), "circular padding"),
    (nn.Conv3d(**SMALL, padding=1), "Conv3d, which is no nn.Conv2d"),
    (nn.Conv1d(**SMALL, padding="same"), "Conv1d, which is no nn.Conv2d"),
    (nn.ReflectionPad2d(1), "ReflectionPad2d before a convolution"),
]


@pytest.mark.parametrize(("layer", "told"), LEFT, ids=[told.split(",")[0] for _, told in LEFT])
def test_a_padded_convolution_that_stays_is_told_with_name_and_count(layer, told):
    model = nn.Sequential(nn.Conv2d(**SMALL, padding=1), nn.ModuleDict({"a": layer, "b": layer}))
    model[1]["c"] = layer.__class__.__new__(layer.__class__)
    model[1]["c"].__dict__.update(layer.__dict__)
    text = heard(model)
    assert "1 padded convolutions became partial, 2 stay as they are: " in text
    assert f"2 x {told} (1.a, 1.c)" in text
    assert type(model[1]["a"]) is type(layer)
    assert f"stay as they are: 1 x {told} (the module itself)" in heard(layer)
    # And on the way back.
    assert f"2 x {told} (1.a, 1.c)" in heard(model, "zero")


def test_many_layers_are_one_short_line():
    model = nn.Sequential(*(Standardized(**SMALL, padding=1) for _ in range(30)))
    text = heard(model)
    assert "no padded convolutions became partial, 30 stay as they are: 30 x Standard" in text
    assert text.endswith("(0, 1, 2, ...)")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_nothing_to_convert(scheme):
    for model in (nn.Sequential(nn.Conv2d(2, 2, 1), nn.Linear(2, 2)), nn.Conv2d(2, 2, 3)):
        assert f"nothing to convert to {scheme}: the model has no padded" in heard(model, scheme)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_papers_networks_are_converted_whole(arch):
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("error")
        for scheme in SCHEMES:
            model = build_model(arch, scheme, 3)
            assert set(padding_of(model).values()) == {scheme}
            assert set(padding_of(convert_padding(model, "zero")).values()) == {"zero"}


def test_silent_about_what_pads_nothing():
    model = nn.Sequential(
        nn.Conv2d(**SMALL, padding=1),
        Plain(**SMALL),
        Standardized(2, 2, 1),
        nn.Conv2d(2, 2, 1, padding="same"),
        nn.Conv1d(**SMALL, padding="valid"),
        nn.ConvTranspose2d(**SMALL, padding=1, output_padding=0),
        nn.MaxPool2d(3, padding=1),
        nn.ZeroPad2d(0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        convert_padding(model, "partial")
    assert padding_of(model) == {"0": "partial"}


@pytest.mark.parametrize("layer", [Standardized, Same, Hooked])
def test_named_in_subclasses_it_is_refused_before_any_padding_test(layer):
    for padding in (0, 1):
        model = nn.Sequential(nn.Conv2d(**SMALL, padding=1), layer(**SMALL, padding=padding))
        with pytest.raises(PaddingError, match=rf"^layer 1: {layer.__name__} has a .*forward of"):
            convert_padding(model, "partial", subclasses=(Plain, layer))
        assert type(model[0]) is nn.Conv2d
    with pytest.raises(PaddingError, match="^layer 0: Conv2d has a _conv_forward set on"):
        convert_padding(nn.Sequential(patched()), "partial", subclasses=(nn.Conv2d,))


def test_convolutions_in_boxes_are_converted_and_told_once():
    class Box(nn.Module):
        """As mmcv's ConvModule, which repeats its convolution's settings; or a LoRA layer."""

        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(**SMALL, padding=1)
            self.in_channels, self.kernel_size, self.padding = 2, (3, 3), (1, 1)

        def forward(self, x):  # as microsoft/LoRA's: a weight of its own through _conv_forward
            return self.conv._conv_forward(x, self.conv.weight + 1, self.conv.bias)

    x = torch.randn(1, 2, 5, 5)
    for scheme in SCHEMES:
        box = Box()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            convert_padding(box, scheme)
        assert padding_of(box) == {"conv": scheme}
        plain = nn.Conv2d(**SMALL, padding=1)
        plain.load_state_dict({"weight": box.conv.weight + 1, "bias": box.conv.bias})
        torch.testing.assert_close(box(x), convert_padding(plain, scheme)(x))


@pytest.mark.filterwarnings("ignore:.*torch.jit:FutureWarning", "ignore:.*torch.jit")
def test_traced_modules():
    stock = nn.Sequential(nn.Conv2d(**SMALL, padding=1), nn.Sequential(nn.Conv2d(**SMALL)))
    x = torch.randn(1, 2, 6, 6)
    script = nn.Sequential(torch.jit.trace(stock, x), torch.jit.script(stock))
    assert "2 x traced or scripted module of 2 convolutions (0, 1)" in heard(script)
    frozen = torch.jit.freeze(torch.jit.trace(stock.eval(), x))
    assert "module of 2 convolutions (the module itself)" in heard(frozen)
    exported = torch.export.export(stock, (x,)).module()
    assert "1 x call in a traced graph (conv2d)" in heard(exported)
    assert padding_of(exported) == {"conv2d": "zero"}
    with pytest.raises(PaddingError, match="ExportedProgram is no nn.Module; convert the model"):
        convert_padding(torch.export.export(stock, (x,)), "partial")
    for scheme in ("partial", "reflect"):
        graph = torch.fx.symbolic_trace(convert_padding(stock, scheme))
        [found] = padding_of(nn.Sequential(graph)).values()
        assert found == scheme
        assert "no padded convolutions became zero, 1 stay" in heard(graph, "zero")


def test_the_account_of_a_mixed_model():
    normed = parametrizations.weight_norm(nn.Conv2d(**SMALL, padding=1))
    model = nn.ModuleDict(
        {
            "ours": nn.Conv2d(**SMALL, padding=1),
            "normed": normed,
            "asked": Plain(**SMALL, padding=1),
            "theirs": Standardized(**SMALL, padding=1),
            "own mode": nn.Conv2d(**SMALL, padding=1, padding_mode="circular"),
            "none": nn.Conv2d(**SMALL),
        }
    )
    with pytest.warns(PaddingWarning):
        convert_padding(model, "replicate", subclasses=(Plain,))
    assert padding_of(model) == {
        "ours": "replicate",
        "normed": "replicate",
        "asked": "replicate",
        "theirs": "unknown (Standardized with a forward of its own)",
        "own mode": "circular",
    }


def test_copies_that_lose_the_scheme_are_seen():
    """Fusing tools build new layers; stock ones pad with zeros whatever the old ones did."""
    model = convert_padding(nn.Sequential(nn.Conv2d(**SMALL, padding=1)), "partial")
    rebuilt = nn.Conv2d(2, 2, 3, padding=model[0].padding)
    rebuilt.load_state_dict(model[0].state_dict())
    model[0] = rebuilt
    assert padding_of(model) == {"0": "zero"}
    # torch's own folding of BN keeps the layer, and Eq. 4: r scales the convolution alone.
    conv = convert_padding(nn.Conv2d(**SMALL, padding=1), "partial").eval()
    norm = nn.BatchNorm2d(2).eval()
    nn.init.uniform_(norm.running_mean), nn.init.uniform_(norm.bias), nn.init.uniform_(norm.weight)
    fused = nn.utils.fusion.fuse_conv_bn_eval(conv, norm)
    assert padding_of(fused) == {"": "partial"}
    x = torch.randn(2, 2, 5, 5)
    torch.testing.assert_close(fused(x), norm(conv(x)))
