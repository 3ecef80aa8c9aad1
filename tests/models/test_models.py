"""The networks of ImageNet against torchvision's own."""

import pytest
import torch
import torchvision

from models import ARCHITECTURES, build_model, check_image_size
from padding import SCHEMES

PADDED = {
    **{"vgg16_bn": 13, "vgg19_bn": 16},
    **{"resnet18": 17, "resnet50": 17, "resnet101": 34, "resnet152": 51, "wrn38": 33},
}
OF_TORCHVISION = [arch for arch in ARCHITECTURES if arch != "wrn38"]


@pytest.mark.parametrize("arch", OF_TORCHVISION)
def test_zero_padding_is_torchvision_bit_for_bit(arch):
    torch.manual_seed(1)
    theirs = getattr(torchvision.models, arch)(weights=None, num_classes=7).eval()
    torch.manual_seed(1)
    ours = build_model(arch, "zero", 7).eval()
    x = torch.randn(1, 3, 64, 64)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    with torch.no_grad():
        assert torch.equal(ours(x), theirs(x))


@pytest.mark.parametrize("arch", ["vgg16_bn", "resnet50"])
def test_one_seed_gives_the_same_weights_under_every_padding(arch):
    def weights(padding):
        torch.manual_seed(2)
        return build_model(arch, padding, 10).state_dict()

    reference = weights("zero")
    for padding in SCHEMES:
        other = weights(padding)
        assert list(other) == list(reference)
        assert all(torch.equal(other[key], reference[key]) for key in reference)


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_padded_convolution_is_converted(arch):
    with torch.device("meta"):
        model = build_model(arch, "partial", 10)
    layer, _ = SCHEMES["partial"]
    assert sum(type(module) is layer for module in model.modules()) == PADDED[arch]


def test_padding_changes_the_output():
    outputs, image = [], torch.randn(1, 3, 64, 64)
    for padding in SCHEMES:
        torch.manual_seed(3)
        model = build_model("resnet50", padding, 10).eval()
        with torch.no_grad():
            outputs.append(model(image))
    for i, one in enumerate(outputs):
        assert all(not torch.allclose(one, other, rtol=1e-3) for other in outputs[:i])


def test_unknown_architecture():
    with pytest.raises(ValueError, match="unknown architecture 'resnet34'; choose from vgg16_bn"):
        build_model("resnet34", "zero", 10)


def test_reflection_names_the_layer_that_is_too_small():
    check_image_size("resnet50", "reflect", 64)
    check_image_size("resnet50", "replicate", 32)
    check_image_size("vgg16_bn", "reflect", 32)
    with pytest.raises(ValueError, match=r"layer layer4\.1\.conv2: .* got 1 x 1 .* larger images"):
        check_image_size("resnet50", "reflect", 32)
    with pytest.raises(ValueError, match="vgg16_bn with 16-px images: .*use larger images"):
        check_image_size("vgg16_bn", "zero", 16)
