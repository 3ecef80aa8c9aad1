"""The mask form (Eqs. 1 to 3) by brute force, and masks through whole networks."""

import copy
import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from models import build_model
from padding import MaskedModel, PartialConv2d, canvas, convert_padding


def eqs_1_to_3(conv, x, mask):
    """Walk over every window and tap, in float64; the padding counts as hole."""
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel_size, conv.stride, conv.dilation
    (ph, pw), (height, width) = conv.padding, x.shape[-2:]
    out_h = (height + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    out_w = (width + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    mask = mask.expand(x.shape[0], -1, -1, -1)
    y = torch.zeros(x.shape[0], conv.out_channels, out_h, out_w, dtype=torch.float64)
    updated = torch.zeros_like(y)
    each_in, each_out = conv.in_channels // conv.groups, conv.out_channels // conv.groups
    for n, o, i, j in itertools.product(*map(range, y.shape)):
        group = o // each_out
        total = seen = 0.0
        for c, u, v in itertools.product(range(each_in), range(kh), range(kw)):
            row, column = i * sh - ph + u * dh, j * sw - pw + v * dw
            if not (0 <= row < height and 0 <= column < width):
                continue
            channel = group * each_in + c
            m = float(mask[n, channel if mask.shape[1] > 1 else 0, row, column])
            seen += m
            total += float(x[n, channel, row, column] * m * conv.weight[o, c, u, v]) if m else 0.0
        if seen > 0:
            y[n, o, i, j] = total * each_in * kh * kw / seen
            y[n, o, i, j] += 0.0 if conv.bias is None else float(conv.bias[o])
            updated[n, o, i, j] = 1
    return y, updated


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("groups", "bias"), [(1, True), (2, False), (4, True)])
def test_equals_equations_1_to_3(channels, batch, groups, bias):
    torch.manual_seed(0)
    for kernel, stride, padding, dilation in [
        (3, 1, 1, 1),
        ((2, 3), (2, 1), (0, 2), (1, 2)),
        (1, 2, 0, 1),
        (3, 1, 3, 1),
    ]:
        conv = PartialConv2d(
            4, 4, kernel, stride, padding, dilation, groups, bias, dtype=torch.float64
        )
        x = torch.randn(2, 4, 6, 7, dtype=torch.float64)
        mask = torch.rand(batch, channels, 6, 7) < 0.4
        mask[..., :4, :4] = False  # windows without any valid tap
        expected, updated = eqs_1_to_3(conv, x, mask)
        y, new_mask = conv(x.masked_fill(~mask, torch.nan), mask)  # holes may hold anything
        torch.testing.assert_close(y, expected)
        assert new_mask.dtype == torch.bool
        assert new_mask.shape == (batch, 1 if channels == 1 else 4, *y.shape[2:])
        assert torch.equal(new_mask.expand_as(y).double(), updated)
        _, floating = conv(x, mask.double())
        assert torch.equal(floating, new_mask.double())


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(5, 6), (40, 41), (140, 130)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_mask_of_ones_changes_nothing(channels, bias, size, dtype):
    for arguments in ({"padding": 1}, {"padding": 3, "stride": 2}, {"padding": "same"}):
        conv = PartialConv2d(4, 6, 3, bias=bias, dtype=dtype, **arguments)
        x = torch.randn(2, 4, *size).to(dtype).requires_grad_()
        mask = torch.ones(2, channels, *size)
        for call in (torch.no_grad, torch.enable_grad):
            with call():
                y, updated = conv(x, mask)
                assert torch.equal(y, conv(x))
        if arguments != {"padding": 3, "stride": 2}:  # there, windows see padding alone
            assert updated.all()
    y, updated = conv(x[0], mask[0])
    assert torch.equal(y, conv(x[0]))
    assert updated.dim() == 3


def test_many_channels_are_counted_exactly():
    """9 x 600 taps: more than half precision can count."""
    conv = PartialConv2d(600, 1, 3, padding=1, bias=False, dtype=torch.bfloat16)
    nn.init.ones_(conv.weight)
    mask = torch.zeros(1, 600, 5, 5)
    mask[:, 0] = 1
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = conv(torch.ones(1, 600, 5, 5, dtype=torch.bfloat16), mask)
    torch.testing.assert_close(y, torch.full_like(y, 5400), rtol=2e-2, atol=0)


def test_gradients_do_not_reach_holes():
    conv = PartialConv2d(2, 3, 3, padding=1, dtype=torch.float64)
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64, requires_grad=True)
    mask = torch.ones(1, 1, 5, 5, dtype=torch.bool)
    mask[..., 2:, 2:] = False
    assert torch.autograd.gradcheck(lambda x: conv(x, mask)[0], x)
    conv(x, mask)[0].sum().backward()
    assert (x.grad[..., 2:, 2:] == 0).all()
    assert (x.grad[..., :2, :] != 0).all()


def test_unusable_masks():
    conv = PartialConv2d(2, 3, 3, padding=1)
    x = torch.randn(2, 2, 5, 5)
    with pytest.raises(ValueError, match=r"\(2, 1, 5, 4\) does not fit .* PartialConv2d\(2, 3"):
        conv(x, torch.ones(2, 1, 5, 4))
    with pytest.raises(ValueError, match=r"it should be \(1 or 2, 1 or 2, 5, 5\)"):
        conv(x, torch.ones(5, 5))
    with pytest.raises(ValueError, match=r"the mask is torch.uint8; make it bool"):
        conv(x, torch.ones(2, 1, 5, 5, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"the mask is on meta, the input on cpu"):
        conv(x, torch.ones(2, 1, 5, 5, device="meta"))


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


def test_weight_normed_convolutions_without_padding_take_masks():
    conv = nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 4, 1))
    model = nn.Sequential(PartialConv2d(3, 3, 3, padding=1), conv, nn.Flatten())
    images, mask = torch.randn(1, 3, 5, 5), torch.ones(1, 1, 5, 5, dtype=torch.bool)
    torch.testing.assert_close(MaskedModel(model)(images, mask), model(images))
