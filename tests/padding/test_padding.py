"""The layer against Eq. 4 by brute force, and conversion in place."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from padding import (
    PartialConv2d,
    ReflectConv2d,
    ReplicateConv2d,
    convert_padding,
    padding_ratio,
)


def eq4(x, conv):
    """Eq. 4 and 5 literally: walk over every window and every tap, in float64."""
    (kh, kw), (sh, sw), (dh, dw) = conv.kernel_size, conv.stride, conv.dilation
    before = conv.padding
    after = before
    if isinstance(before, str):
        total = (dh * (kh - 1), dw * (kw - 1)) if before == "same" else (0, 0)
        before = (total[0] // 2, total[1] // 2)
        after = (total[0] - before[0], total[1] - before[1])
    height, width = x.shape[-2:]
    out_h = (height + before[0] + after[0] - dh * (kh - 1) - 1) // sh + 1
    out_w = (width + before[1] + after[1] - dw * (kw - 1) - 1) // sw + 1
    out_c, in_c = conv.weight.shape[:2]
    y = torch.zeros(x.shape[0], out_c, out_h, out_w, dtype=torch.float64)
    per_group = out_c // conv.groups
    for i, j in itertools.product(range(out_h), range(out_w)):
        taps = []
        for u, v in itertools.product(range(kh), range(kw)):
            row, column = i * sh - before[0] + u * dh, j * sw - before[1] + v * dw
            if 0 <= row < height and 0 <= column < width:
                taps.append((u, v, row, column))
        if not taps:
            continue
        us, vs, rows, columns = (list(values) for values in zip(*taps, strict=True))
        for group in range(conv.groups):
            outputs = slice(group * per_group, (group + 1) * per_group)
            seen = x[:, group * in_c : (group + 1) * in_c, rows, columns]
            total = torch.einsum("nct,oct->no", seen, conv.weight[outputs][:, :, us, vs])
            y[:, outputs, i, j] = total * (kh * kw / len(taps))
        if conv.bias is not None:
            y[:, :, i, j] += conv.bias
    return y.detach()


CASES = [
    (kernel, stride, padding, dilation)
    for kernel, stride, padding, dilation in itertools.product(
        [(3, 3), (1, 3), (4, 2)], [1, (2, 3)], [1, 2, (0, 1), "same"], [1, (2, 1)]
    )
    if padding != "same" or stride == 1
]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("size", [(9, 9), (10, 7), (9, 8)])
@pytest.mark.parametrize(("groups", "bias"), [(1, True), (2, False), (4, True)])
def test_equals_equation_4(size, groups, bias):
    torch.manual_seed(0)
    x = torch.randn(2, 4, *size, dtype=torch.float64)
    for kernel, stride, padding, dilation in CASES:
        conv = PartialConv2d(
            4, 4, kernel, stride, padding, dilation, groups, bias, dtype=torch.float64
        )
        expected = eq4(x, conv)
        assert expected.shape == conv(x).shape
        torch.testing.assert_close(conv(x), expected, msg=lambda m, c=conv: f"{c}: {m}")


def test_stem_of_resnet_on_even_input_is_asymmetric():
    """7 x 7, stride 2, padding 3 on 224 px: three columns of padding left, two right."""
    rows, _ = padding_ratio((224, 224), (7, 7), (2, 2), (3, 3), (1, 1))
    expected = torch.ones(112, dtype=torch.float64)
    expected[0], expected[1], expected[-1] = 7 / 4, 7 / 6, 7 / 5
    torch.testing.assert_close(rows, expected, rtol=0, atol=0)


def test_equals_the_papers_convolution_of_ones():
    """Section 4, "Implementation Details": r by a convolution with all weights 1."""
    for size, kernel, stride, padding, dilation in [
        ((13, 10), (3, 3), (1, 1), (2, 2), (2, 2)),
        ((9, 12), (7, 5), (2, 3), (3, 2), (1, 1)),
    ]:
        ones = torch.ones(1, 1, *size, dtype=torch.float64)
        weight = torch.ones(1, 1, *kernel, dtype=torch.float64)
        inside = F.conv2d(ones, weight, None, stride, padding, dilation)[0, 0]
        rows, columns = padding_ratio(size, kernel, stride, padding, dilation)
        torch.testing.assert_close(rows[:, None] * columns, weight.numel() / inside)


def test_windows_without_any_input_give_zero():
    """Eq. 1, "otherwise": padding beyond the kernel leaves windows that see nothing."""
    conv = PartialConv2d(2, 3, 3, padding=4, dtype=torch.float64)
    x = torch.randn(1, 2, 5, 5, dtype=torch.float64)
    torch.testing.assert_close(conv(x), eq4(x, conv))
    assert conv(x)[:, :, 0].abs().sum() == 0
    # Taps before and after the only row, none on it.
    conv = PartialConv2d(2, 3, (2, 1), padding=(1, 0), dilation=(2, 1), dtype=torch.float64)
    assert conv(x[:, :, :1]).abs().sum() == 0


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(dtype):
    conv = PartialConv2d(8, 8, 3, padding=1)
    x = torch.randn(2, 8, 6, 6)
    with torch.autocast("cpu", dtype=dtype):
        y = conv(x)
    assert y.dtype == dtype
    torch.testing.assert_close(y.float(), conv(x), rtol=2e-2, atol=2e-2)


def test_unbatched_input():
    conv = PartialConv2d(3, 2, 3, padding=1)
    x = torch.randn(3, 5, 5)
    torch.testing.assert_close(conv(x), conv(x[None])[0])


def test_training_after_inference_mode():
    conv = PartialConv2d(1, 1, 3, padding=1)
    x = torch.randn(1, 1, 11, 13)  # a size no other test has put into the cache
    with torch.inference_mode():
        conv(x)
    conv(x).sum().backward()
    assert conv.weight.grad is not None


def test_a_tracers_tensors_do_not_stay_behind():
    conv = PartialConv2d(1, 1, 3, padding=1)
    with FakeTensorMode(allow_non_fake_inputs=True):
        conv(torch.empty(1, 1, 17, 19))
    assert type(conv(torch.ones(1, 1, 17, 19))) is torch.Tensor


def test_padding_mode_is_refused():
    with pytest.raises(ValueError, match="PartialConv2d .* leave out padding_mode"):
        PartialConv2d(1, 1, 3, padding=1, padding_mode="reflect")


@pytest.mark.parametrize("layer", [PartialConv2d, ReflectConv2d, ReplicateConv2d])
def test_impossible_padding(layer):
    with pytest.raises(ValueError, match=f"{layer.__name__}: padding .* is negative"):
        layer(1, 1, 3, padding=-1)
    with pytest.raises(ValueError, match=f"{layer.__name__}: .*same.* strided"):
        layer(1, 1, 3, padding="same", stride=2)
    with pytest.raises(ValueError, match=f"{layer.__name__}: .*padding string 'some'"):
        layer(1, 1, 3, padding="some")


@pytest.mark.parametrize("layer", [PartialConv2d, ReflectConv2d, ReplicateConv2d])
def test_what_conv2d_accepts(layer):
    """One-element tuples in the constructor; ints and lists set on a finished layer."""
    x = torch.randn(2, 4, 11, 10)
    settings = {"stride": 2, "padding": 2, "dilation": 2}
    expected = layer(4, 4, 3, **settings)
    for form in (lambda n: (n,), lambda n: [n], lambda n: [n, n], lambda n: n):
        made = layer(4, 4, 3, **{name: form(n) for name, n in settings.items()})
        changed = layer(4, 4, 3, padding=1)
        stock = nn.Conv2d(4, 4, 3, **{name: form(n) for name, n in settings.items()})
        for name, n in settings.items():
            setattr(changed, name, form(n))
        scheme = {PartialConv2d: "partial", ReflectConv2d: "reflect"}.get(layer, "replicate")
        for conv in (made, changed, convert_padding(stock, scheme)):
            conv.load_state_dict(expected.state_dict())
            assert torch.equal(conv(x), expected(x))
            assert torch.equal(conv(x[0]), expected(x[0]))
    mask = torch.ones(2, 1, 11, 10, dtype=torch.bool)
    if layer is PartialConv2d:
        changed.stride, changed.padding, changed.dilation = 2, 2, [2]
        torch.testing.assert_close(changed(x, mask)[0], expected(x))


@pytest.mark.parametrize("mode", ["reflect", "replicate"])
@pytest.mark.parametrize("padding", [(2, 1), "same"])
def test_extrapolating_schemes_equal_torchs_padding_mode(mode, padding):
    reference = nn.Conv2d(3, 4, (5, 3), padding=padding, padding_mode=mode)
    ours = nn.Conv2d(3, 4, (5, 3), padding=padding)
    ours.load_state_dict(reference.state_dict())
    x = torch.randn(2, 3, 6, 5)
    assert torch.equal(convert_padding(ours, mode)(x), reference(x))
    assert type(convert_padding(reference, "zero")) is nn.Conv2d
    assert torch.equal(reference(x), convert_padding(ours, "zero")(x))


def test_reflection_on_too_small_a_map():
    conv = ReflectConv2d(1, 1, 5, padding=2)
    conv(torch.randn(1, 1, 3, 3))
    with pytest.raises(ValueError, match="reflect padding by 2 x 2 needs .* got 3 x 2"):
        conv(torch.randn(1, 1, 3, 2))
