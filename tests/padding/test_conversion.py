"""Conversion in place, of our models and of other people's."""

import copy
import itertools
import pickle

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrizations, parametrize, weight_norm

from padding import (
    SCHEMES,
    PaddingError,
    PartialConv2d,
    convert_padding,
    load_authors_checkpoint,
)

pytestmark = pytest.mark.filterwarnings("ignore::padding.PaddingWarning")


def small_model():
    class Theirs(nn.Conv2d):
        pass

    shared = nn.Conv2d(4, 4, 3, padding=1)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 1),
        nn.Conv2d(4, 4, 3),
        nn.Conv2d(4, 4, (1, 3), padding="same"),
        nn.Conv2d(4, 4, 1, padding="same"),
        shared,
        shared,
        Theirs(4, 4, 3, padding=1),
        nn.Conv2d(4, 4, 3, padding=1, padding_mode="circular"),
        nn.ConvTranspose2d(4, 4, 3, padding=1),
    )


@pytest.mark.parametrize(("one", "other"), list(itertools.product(SCHEMES, SCHEMES)))
def test_conversion_keeps_everything_but_the_padding(one, other):
    torch.manual_seed(0)
    model = convert_padding(small_model(), one)
    x = torch.randn(2, 3, 9, 9)
    expected = model(x)
    parameters, keys = list(model.parameters()), list(model.state_dict())
    calls = []
    model[0].register_forward_hook(lambda *_: calls.append(1))

    assert convert_padding(model, other) is model
    assert all(p is q for p, q in zip(parameters, model.parameters(), strict=True))
    assert list(model.state_dict()) == keys
    converted = model(x)
    assert calls
    assert torch.equal(converted, expected) == (one == other)
    assert torch.equal(convert_padding(model, one)(x), expected)


def test_conversion_touches_padded_convolutions_only():
    model = small_model()
    before = [type(module) for module in model]
    convert_padding(model, "partial")
    changed = [i for i, module in enumerate(model) if type(module) is not before[i]]
    assert changed == [0, 4, 6, 7]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_copies_and_pickles(scheme):
    model = convert_padding(nn.Sequential(nn.Conv2d(1, 1, 3, padding=1)), scheme)
    x = torch.randn(1, 1, 4, 4)
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert torch.equal(twin(x), model(x))


def test_unknown_scheme():
    with pytest.raises(ValueError, match="unknown padding scheme 'partail'; choose from zero"):
        convert_padding(nn.Conv2d(1, 1, 3, padding=1), "partail")


class Plain(nn.Conv2d):
    """Somebody's convolution that differs in nothing but its name."""


class Standardized(nn.Conv2d):
    """Somebody's convolution with a forward pass of its own."""

    def forward(self, x):
        return self._conv_forward(x, self.weight - self.weight.mean(), self.bias)


def test_subclasses_when_asked():
    model = nn.Sequential(Plain(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1))
    x = torch.randn(1, 2, 6, 6)
    expected = convert_padding(nn.Sequential(model[1], model[1]), "zero")(x)
    reference = PartialConv2d(2, 2, 3, padding=1)
    reference.load_state_dict(model[0].state_dict())

    convert_padding(model, "partial", subclasses=(Plain,))
    assert isinstance(model[0], Plain)
    assert torch.equal(model[0](x), reference(x))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(twin[0], Plain)
        assert torch.equal(twin(x), model(x))
    convert_padding(model, "reflect")  # ours by now: no need to ask again
    assert "reflect" in repr(model[0])
    assert type(convert_padding(model, "zero")[0]) is Plain
    assert torch.equal(nn.Sequential(model[1], model[1])(x), expected)


def test_a_layer_that_cannot_be_converted_is_named_and_nothing_changes():
    def refuse(layer, message, **settings):
        model = nn.Sequential()
        model.add_module("first", nn.Conv2d(2, 2, 3, padding=1))
        model.add_module("second", layer)
        with pytest.raises(ValueError, match=f"layer second: {message}"):
            convert_padding(model, "partial", **settings)
        assert type(model.first) is nn.Conv2d

    refuse(nn.LazyConv2d(2, 3, padding=1), "a lazy convolution has no shape yet")
    refuse(
        Standardized(2, 2, 3, padding=1),
        "Standardized has a forward of its own",
        subclasses=(Plain, Standardized),
    )
    refuse(nn.Conv2d(2, 2, 3, padding=-1), r"padding \(-1, -1\) is negative")
    strided = nn.Conv2d(2, 2, 3, padding="same")
    strided.stride = (2, 2)
    refuse(strided, "padding='same' needs stride 1")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_weight_norm(scheme):
    """The norm by parametrization and the older one by hook: same weight, converted padding."""
    x = torch.randn(1, 2, 6, 6)
    for norm in (parametrizations.weight_norm, weight_norm):
        conv = norm(nn.Conv2d(2, 3, 3, padding=1))
        reference = nn.Conv2d(2, 3, 3, padding=1)
        with torch.no_grad():
            conv(x)  # the hook computes the weight
            reference.weight.copy_(conv.weight)
            reference.bias.copy_(conv.bias)
        keys = list(conv.state_dict())
        expected = convert_padding(reference, scheme)(x)
        convert_padding(convert_padding(conv, "replicate"), scheme)
        assert list(conv.state_dict()) == keys
        torch.testing.assert_close(conv(x), expected)
        conv(x).sum().backward()
        assert all(parameter.grad is not None for parameter in conv.parameters())
        if norm is parametrizations.weight_norm:  # the older one cannot be copied
            torch.testing.assert_close(copy.deepcopy(conv)(x), expected)
            parametrize.remove_parametrizations(conv, "weight")
            assert type(conv) is SCHEMES[scheme][0]
            torch.testing.assert_close(conv(x), expected)


def test_lazy_layers_convert_after_their_first_batch():
    model = nn.Sequential(nn.LazyConv2d(2, 3, padding=1))
    x = torch.randn(1, 2, 6, 6)
    model(x)
    assert type(convert_padding(model, "partial")[0]) is PartialConv2d


@pytest.mark.parametrize("arch", ["resnet50", "vgg16_bn"])
def test_authors_checkpoints(arch, tmp_path):
    """DataParallel's own keys: around a ResNet, around the features of a VGG."""
    make = getattr(torchvision.models, arch)
    theirs = make(num_classes=3)
    wrapped = copy.deepcopy(theirs)
    if arch == "resnet50":
        wrapped = nn.DataParallel(wrapped)
    else:
        wrapped.features = nn.DataParallel(wrapped.features)
    weights = {k: v for k, v in wrapped.state_dict().items() if "num_batches" not in k}
    assert any("module." in key for key in weights)
    torch.save({"epoch": 100, "arch": arch, "state_dict": weights}, tmp_path / "theirs.pth.tar")

    ours = convert_padding(make(num_classes=3), "partial")
    load_authors_checkpoint(ours, tmp_path / "theirs.pth.tar")
    expected = theirs.state_dict()
    assert all(torch.equal(value, expected[key]) for key, value in ours.state_dict().items())
    with pytest.raises(ValueError, match="is not a checkpoint of this network: it has another sh"):
        load_authors_checkpoint(make(num_classes=4), tmp_path / "theirs.pth.tar")
    other = nn.Sequential(nn.Linear(1, 1))
    with pytest.raises(ValueError, match=r"it lacks 0\.weight and 1 more"):
        load_authors_checkpoint(other, tmp_path / "theirs.pth.tar")


@pytest.mark.parametrize("content", [[1, 2], {1: torch.ones(1)}, {"state_dict": 3}])
def test_what_is_no_table_of_weights(tmp_path, content):
    torch.save(content, tmp_path / "file.pth")
    with pytest.raises(PaddingError, match="a checkpoint is a table of names and weights"):
        load_authors_checkpoint(nn.Conv2d(1, 1, 1), tmp_path / "file.pth")
