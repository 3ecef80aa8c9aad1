"""Masks through whole networks."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models import build_model
from padding import MaskedModel, PaddingError, PartialConv2d, canvas, convert_padding


@pytest.mark.parametrize("arch", ["vgg16_bn", "resnet50"])
def test_networks_with_a_mask_of_ones(arch):
    torch.manual_seed(0)
    model = build_model(arch, "partial", 5).eval()
    images = torch.randn(2, 3, 64, 64)
    mask = torch.ones(2, 1, 64, 64, dtype=torch.bool)
    keys = list(model.state_dict())
    with torch.no_grad():
        assert torch.equal(MaskedModel(model)(images, mask), model(images))
    assert list(model.state_dict()) == keys


def bottleneck(block, x, mask):
    """A ResNet block by hand, its convolutions through Eqs. 1 to 3 of torch operations."""

    def conv(layer, x, mask):
        ones = torch.ones(1, 1, *layer.kernel_size, dtype=x.dtype)
        seen = F.conv2d(mask, ones, None, layer.stride, layer.padding)
        y = F.conv2d(x * mask, layer.weight, None, layer.stride, layer.padding)
        return y * ones.numel() / seen.clamp(min=1) * (seen > 0), (seen > 0).to(x.dtype)

    y, m = conv(block.conv1, x, mask)
    y, m = conv(block.conv2, F.relu(block.bn1(y)), m)
    y, m = conv(block.conv3, F.relu(block.bn2(y)), m)
    if block.downsample is not None:
        x, mask = conv(block.downsample[0], x, mask)
        x = block.downsample[1](x)
    total = torch.maximum(m, mask)
    return F.relu(block.bn3(y) * m + x * mask), total


def test_resnet_by_hand():
    torch.manual_seed(0)
    model = build_model("resnet50", "partial", 5).double().eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):  # so that a hole is not 0 after it
            nn.init.uniform_(module.bias)
            nn.init.uniform_(module.running_mean)
    images = [torch.randn(3, *size, dtype=torch.float64) for size in ((64, 64), (33, 20), (7, 64))]
    batch, mask = canvas(images)
    with torch.no_grad():
        found = MaskedModel(model)(batch, mask)
        y, m = batch, mask.double()
        ones = torch.ones(1, 1, 7, 7, dtype=torch.float64)
        seen = F.conv2d(m, ones, None, 2, 3)
        y = F.conv2d(y * m, model.conv1.weight, None, 2, 3) * 49 / seen.clamp(min=1)
        m = (seen > 0).double()
        y = F.relu(model.bn1(y)).masked_fill(m == 0, -torch.inf)
        y, m = F.max_pool2d(y, 3, 2, 1), F.max_pool2d(m, 3, 2, 1)
        y = y.masked_fill(m == 0, 0)
        for stage in (model.layer1, model.layer2, model.layer3, model.layer4):
            for block in stage:
                y, m = bottleneck(block, y, m)
        mean = (y * m).sum((2, 3)) / m.sum((2, 3))
        torch.testing.assert_close(found, model.fc(mean))


def test_what_stands_beside_an_image_does_not_matter():
    torch.manual_seed(0)
    model = build_model("vgg16_bn", "partial", 4).eval()
    masked = MaskedModel(model)
    batch, mask = canvas([torch.randn(3, 48, 40), torch.randn(3, 40, 64)])
    with torch.no_grad():
        expected = masked(batch, mask)
        assert torch.equal(masked(batch.masked_fill(~mask, 1e6), mask), expected)
        assert not torch.allclose(masked(batch, torch.ones_like(mask)), expected)


def test_training_with_masks():
    """Statistics over valid values: what the canvas adds does not enter batch normalization."""
    torch.manual_seed(0)
    image = torch.randn(3, 3, 16, 16)
    model = convert_padding(
        nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.ReLU()), "partial"
    )
    twin = copy.deepcopy(model)
    batch, mask = canvas(list(image), size=(20, 30))
    out = MaskedModel(model)(batch, mask)
    torch.testing.assert_close(out.values[:, :, :16, :16], twin(image))
    torch.testing.assert_close(model[1].running_var, twin[1].running_var)
    out.values.sum().backward()
    assert model[0].weight.grad is not None


def test_networks_that_take_no_mask():
    images, mask = canvas([torch.randn(3, 32, 32)])
    with pytest.raises(ValueError, match=r"layer conv1: .*convert_padding\(model, \"partial\"\)"):
        MaskedModel(build_model("resnet50", "zero", 2))(images, mask)
    odd = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Upsample(scale_factor=2))
    with pytest.raises(ValueError, match="layer 1: no rule for masks through Upsample"):
        MaskedModel(odd)(images, mask)
    with pytest.raises(ValueError, match=r"a model takes a bool mask \(1, 1, 32, 32\)"):
        MaskedModel(odd)(images, mask.float())
    with pytest.raises(ValueError, match="image 0, 32 x 32, is larger than the canvas, 16 x 40"):
        canvas([torch.randn(3, 32, 32)], size=(16, 40))


def test_masks_that_do_not_fit_the_images():
    model = MaskedModel(convert_padding(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1)), "partial"))
    images = torch.randn(4, 3, 9, 9)
    for shape in [(3, 1, 9, 9), (4, 1, 9, 8), (4, 3, 9, 9), (1, 9, 9)]:
        with pytest.raises(ValueError, match=r"takes a bool mask \(4, 1, 9, 9\) with these images"):
            model(images, torch.ones(shape, dtype=torch.bool))
    with pytest.raises(ValueError, match="the mask is on meta, the images on cpu"):
        model(images, torch.ones(4, 1, 9, 9, dtype=torch.bool, device="meta"))


def test_operations_without_a_rule_are_named():
    class Odd(nn.Module):
        def __init__(self, function):
            super().__init__()
            self.conv, self.function = PartialConv2d(3, 3, 3, padding=1), function

        def forward(self, x):
            return self.function(x, self.conv(x))

    images, mask = torch.randn(1, 3, 5, 5), torch.ones(1, 1, 5, 5, dtype=torch.bool)
    cases = [
        (lambda x, y: torch.cat([x, y], 1), "cat"),
        (lambda x, y: torch.add(x, y, alpha=0.5), "add"),
        (lambda x, y: x * y, "mul"),
    ]
    for function, name in cases:
        with pytest.raises(ValueError, match=rf"no rule for masks through {name}\(\)"):
            MaskedModel(Odd(function))(images, mask)


def refusal(model, images=None):
    images = torch.randn(1, 3, 5, 5) if images is None else images
    mask = torch.ones(len(images), 1, *images.shape[2:], dtype=torch.bool)
    with pytest.raises(PaddingError) as caught:
        MaskedModel(model)(images, mask)
    return str(caught.value)


def test_a_refusal_is_one_line_that_names_the_layer():
    class Multiplying(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = PartialConv2d(3, 3, 3, padding=1)

        def forward(self, x):
            return self.conv(x) * 2

    class Branching(Multiplying):
        def forward(self, x):
            return self.conv(x) if x.sum() > 0 else -x

    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 3, 3, padding=1))
    normed = nn.Sequential(nn.Sequential(conv))
    reflecting = convert_padding(nn.Sequential(nn.Conv2d(3, 3, 3, padding=1)), "reflect")
    for model, expected in (
        (normed, "layer 0.0: no rule for masks through ParametrizedConv2d(3, 3, kernel_size="),
        (reflecting, "layer 0: no rule for masks through ReflectConv2d(3, 3, kernel_size=(3, 3)"),
        (nn.Sequential(nn.Identity(), Multiplying()), "layer 1: no rule for masks through mul();"),
        (Multiplying(), "Multiplying: no rule for masks through mul(); use a module of torch.nn"),
        (
            nn.Sequential(nn.Sequential(nn.ReLU(), nn.Sequential(Branching(), nn.ReLU()))),
            "layer 0.1.0: torch.fx cannot follow its forward, so masks cannot (",
        ),
        (nn.Sequential(nn.Softmax(1)), "layer 0: no rule for masks through Softmax"),
    ):
        text = refusal(model)
        assert text.startswith(expected)
        assert "\n" not in text


def test_weight_normed_convolutions_without_padding_take_masks():
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 1))
    model = nn.Sequential(PartialConv2d(3, 3, 3, padding=1), conv, nn.Flatten())
    images, mask = torch.randn(1, 3, 5, 5), torch.ones(1, 1, 5, 5, dtype=torch.bool)
    torch.testing.assert_close(MaskedModel(model)(images, mask), model(images))
