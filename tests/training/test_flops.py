"""Counted operations against torchvision's published ones, real passes and arithmetic by hand."""

import copy

import pytest
import torch
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from models import ARCHITECTURES, build_model
from padding import SCHEMES
from training.flops import Flops, count_flops


@pytest.mark.parametrize("arch", [arch for arch in ARCHITECTURES if arch != "wrn38"])
def test_every_scheme_counts_what_torchvision_publishes(arch):
    published = torchvision.models.get_model_weights(arch)["IMAGENET1K_V1"].meta["_ops"]
    stem = (112, 64, 7) if arch.startswith("resnet") else (224, 64, 3)  # size, channels, kernel
    of_images = 2 * stem[0] ** 2 * stem[1] * 3 * stem[2] ** 2
    for scheme in SCHEMES:
        with torch.device("meta"):
            model = build_model(arch, scheme, 1000)
        found = count_flops(model, (3, 224, 224))
        assert round(found.forward / 2e9, 3) == published  # in 10^9 multiply-adds
        assert found.backward == 2 * found.forward - of_images
        assert found.step == found.forward + found.backward


@pytest.mark.parametrize("scheme", SCHEMES)
def test_counts_are_those_of_a_real_step(scheme):
    """By torch's own formulas, which are right for a network without groups."""
    model = build_model("resnet50", scheme, 7).train()
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(2, 3, 64, 64)).sum().backward()
    assert counter.get_total_flops() == 2 * count_flops(model, (3, 64, 64)).step


def conv(*arguments, **settings):
    return nn.Conv2d(*arguments, **settings, device="meta")


@pytest.mark.parametrize(
    ("layer", "multiply_adds"),
    [
        (conv(4, 6, 3, padding=1), 8 * 10 * 6 * 4 * 9),
        (conv(4, 6, (3, 5), stride=2, dilation=2, padding=4), 6 * 5 * 6 * 4 * 15),
        (conv(4, 6, 3, padding=1, groups=2), 8 * 10 * 6 * 2 * 9),
        (conv(4, 4, 3, padding=1, groups=4), 8 * 10 * 4 * 9),
        (nn.ConvTranspose2d(4, 6, 2, stride=2), 8 * 10 * 6 * 4 * 4),
        (nn.ConvTranspose2d(4, 6, 2, stride=2, groups=2), 8 * 10 * 6 * 2 * 4),
        (nn.Linear(10, 3), 4 * 8 * 10 * 3),
    ],
)
def test_layers_by_hand(layer, multiply_adds):
    """Each gradient takes as many operations as the forward pass; images need none."""
    forward = 2 * multiply_adds
    assert count_flops(layer, (4, 8, 10)) == Flops(forward, forward)
    deeper = count_flops(nn.Sequential(nn.Conv2d(4, 4, 1), layer), (4, 8, 10))
    first = 2 * 8 * 10 * 4 * 4
    assert deeper == Flops(first + forward, first + 2 * forward)


def test_frozen_weights_need_no_gradient():
    model = nn.Sequential(conv(3, 4, 1), conv(4, 4, 1), conv(4, 4, 1))
    model[:2].requires_grad_(False)
    assert count_flops(model, (3, 5, 5)) == Flops(2 * 25 * (12 + 16 + 16), 2 * 25 * 16)


def test_the_network_is_left_alone():
    torch.manual_seed(0)
    model = build_model("resnet50", "partial", 3).eval()
    model.layer1.train()
    model.compile(backend=lambda *_: pytest.fail("compiled"))
    modes = {name: module.training for name, module in model.named_modules()}
    before = copy.deepcopy(model.state_dict())
    parameters, random = list(model.parameters()), torch.get_rng_state()
    torch.use_deterministic_algorithms(True)
    try:
        count_flops(model, (3, 32, 32))  # with maps of 1 x 1
    finally:
        torch.use_deterministic_algorithms(False)
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert all(one is other for one, other in zip(model.parameters(), parameters, strict=True))
    for key, value in model.state_dict().items():
        assert value.device.type == "cpu"
        assert torch.equal(value, before[key])
    assert all(parameter.grad is None for parameter in parameters)
    assert torch.equal(torch.get_rng_state(), random)


def test_images_that_do_not_go_through():
    model = nn.Sequential(conv(3, 4, 5), nn.Flatten(), nn.Linear(4, 2))
    with pytest.raises(RuntimeError):
        count_flops(model, (3, 4, 4))
    assert count_flops(model, (3, 5, 5)).forward == 2 * (3 * 4 * 25 + 4 * 2)
