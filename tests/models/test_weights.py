"""Weights of a file into the networks, against torchvision's own models."""

import copy
from collections import OrderedDict

import pytest
import torch
import torchvision
from torch import nn

from models import ARCHITECTURES, WeightsError, build_model, load_weights
from padding import SCHEMES


def theirs(arch, classes=5):
    """torchvision's network with weights and statistics that no fresh one has."""
    torch.manual_seed(7)
    model = getattr(torchvision.models, arch)(weights=None, num_classes=classes)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
            module.num_batches_tracked += 9
    return model.eval()


def same(one, other):
    return list(one) == list(other) and all(torch.equal(one[key], other[key]) for key in one)


@pytest.mark.parametrize("arch", ["resnet50", "vgg16_bn"])
def test_torchvisions_file_gives_torchvisions_outputs_bit_for_bit(arch, tmp_path):
    reference = theirs(arch)
    torch.save(reference.state_dict(), tmp_path / "file.pth")
    ours = build_model(arch, "zero", 5).eval()
    parameters = list(ours.parameters())
    facts = load_weights(ours, torch.load(tmp_path / "file.pth", weights_only=True))
    assert facts == {"kind": "a state_dict", "replaced": None}
    assert same(ours.state_dict(), reference.state_dict())
    assert all(p is q for p, q in zip(parameters, ours.parameters(), strict=True))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(ours(x), reference(x))


def test_one_file_gives_the_same_weights_under_every_padding():
    weights = theirs("resnet50").state_dict()
    for padding in SCHEMES:
        model = build_model("resnet50", padding, 5)
        load_weights(model, weights)
        assert same(model.state_dict(), weights)


@pytest.mark.parametrize(("arch", "last"), [("resnet50", "fc"), ("vgg16_bn", "classifier.6")])
def test_other_classes_leave_the_last_layer_as_it_is(arch, last):
    weights = theirs(arch).state_dict()
    model = build_model(arch, "partial", 3)
    fresh = copy.deepcopy(model.state_dict())
    facts = load_weights(model, weights)
    assert facts["replaced"] == f"{last}: 5 -> 3 classes"
    for key, value in model.state_dict().items():
        source = fresh if key.startswith(f"{last}.") else weights
        assert torch.equal(value, source[key]), key


@pytest.mark.parametrize("arch", ["resnet50", "vgg16_bn"])
def test_what_the_authors_published(arch):
    """DataParallel's keys, no counters, more than weights beside them."""
    reference = theirs(arch)
    wrapped = copy.deepcopy(reference)
    if arch == "resnet50":
        wrapped = nn.DataParallel(wrapped)
    else:
        wrapped.features = nn.DataParallel(wrapped.features)
    weights = {k: v for k, v in wrapped.state_dict().items() if "num_batches" not in k}
    assert any("module." in key for key in weights)
    content = {"epoch": 100, "arch": arch, "best_prec1": torch.tensor(76.6), "state_dict": weights}
    model = build_model(arch, "partial", 5)
    facts = load_weights(model, content)
    assert facts == {"kind": "a checkpoint with a state_dict", "replaced": None}
    for key, value in model.state_dict().items():
        expected = torch.tensor(0) if "num_batches" in key else reference.state_dict()[key]
        assert torch.equal(value, expected), key
    facts = load_weights(build_model(arch, "partial", 3), content)
    assert facts["replaced"].endswith(": 5 -> 3 classes")


def change(**changes):
    """A state_dict of a ResNet-50 but for some keys; None takes one away."""
    weights = theirs("resnet50").state_dict()
    for name, value in changes.items():
        key = name.replace("__", ".")
        if value is None:
            del weights[key]
        else:
            weights[key] = value
    return weights


REFUSED = {
    "another depth": (
        lambda: theirs("resnet101").state_dict(),
        r"it has layer3\.6\.conv1\.weight and \d+ more",
    ),
    "another family": (
        lambda: theirs("vgg16_bn").state_dict(),
        r"it lacks conv1\.weight and \d+ more",
    ),
    "another width": (
        lambda: theirs("wide_resnet50_2").state_dict(),
        r"it has another shape of layer1\.0\.conv1\.weight and \d+ more",
    ),
    "no last layer": (
        lambda: change(fc__weight=None, fc__bias=None),
        r"it lacks fc\.weight and 1 more",
    ),
    "half a last layer": (
        lambda: change(fc__weight=torch.ones(9, 2048), fc__bias=None),
        r"it lacks fc\.bias",
    ),
    "a last layer of other features": (
        lambda: change(fc__weight=torch.ones(9, 512)),
        r"it has another shape of fc\.weight",
    ),
    "a last layer without features": (
        lambda: change(fc__weight=torch.tensor(1.0)),
        r"it has another shape of fc\.weight",
    ),
    "one key more": (lambda: change(fc__scale=torch.ones(1)), r"it has fc\.scale"),
    "no tensor": (lambda: change(bn1__bias=[0.0]), r"its 'bn1\.bias' is no tensor but a list"),
    "no data": (
        lambda: change(bn1__bias=torch.ones(64, device="meta")),
        r"bn1\.bias.*[Cc]annot copy out of meta tensor",
    ),
    "a number as key": (lambda: {0: torch.ones(1)}, "its key 0 is no name"),
    "nothing": (dict, "it holds no weights but a dict"),
    "a tensor": (lambda: torch.ones(3), "it holds no weights but a Tensor"),
    "a list": (lambda: [1], "it holds no weights but a list"),
    "an optimizer": (
        lambda: torch.optim.SGD([torch.ones(1)], lr=1.0).state_dict(),
        "its 'state' is no tensor but a dict",
    ),
    "a run's checkpoint of another network": (
        lambda: {"model": OrderedDict(weight=torch.ones(1)), "epochs_done": 3},
        r"it lacks conv1\.weight",
    ),
    "a tensor called state_dict": (
        lambda: {"state_dict": torch.ones(1)},
        r"it lacks conv1\.weight",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_by_the_first_key(case):
    content, message = REFUSED[case]
    model = build_model("resnet50", "partial", 3)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(WeightsError, match=message) as caught:
        load_weights(model, content())
    assert len(str(caught.value).splitlines()) == 1
    if case != "no data":  # the one that is met in the middle of loading
        assert same(model.state_dict(), before)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_last_layer_of_every_network_is_its_classifier(arch):
    with torch.device("meta"):
        weights = build_model(arch, "zero", 1000).state_dict()
        model = build_model(arch, "zero", 3)
    name = "classifier.6" if arch.startswith("vgg") else "fc"
    assert load_weights(model, weights)["replaced"] == f"{name}: 1000 -> 3 classes"
