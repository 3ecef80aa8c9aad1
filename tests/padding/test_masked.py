"""The mask form (Eqs. 1 to 3) by brute force."""

import itertools

import pytest
import torch
from torch import nn

from padding import PartialConv2d


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
