"""The re-weighting factor of partial convolution based padding in closed form (Eq. 5)."""

import torch
from torch import Tensor


def padding_ratio(
    size: tuple[int, int],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: str | tuple[int, int],
    dilation: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Return the two 1-D factors of r: r(i, j) = rh[i] * rw[j].

    The window at output row i has taps at i*s - p + t*d, t = 0 .. k-1. The numerator of Eq. 5
    counts all taps of the window, the denominator those inside the input; both are products of a
    row count and a column count, so no convolution of ones is needed.

    Args:
        size: height and width of the input, in pixels.
        kernel_size: height and width of the kernel, in taps.
        stride: rows and columns between two windows.
        padding: rows and columns added on each side, or 'same' or 'valid' as in nn.Conv2d.
        dilation: rows and columns between two taps.

    Returns:
        rh of shape (output height,) and rw of shape (output width,), float64, on the CPU. A factor
        is 0 where the window holds no input at all (padding larger than the kernel; Eq. 1,
        "otherwise").
    """
    before, after = _padding_on_each_side(padding, kernel_size, dilation)
    rows, columns = (
        _ratio_1d(size[a], kernel_size[a], stride[a], before[a], after[a], dilation[a])
        for a in (0, 1)
    )
    return rows, columns


def _padding_on_each_side(
    padding: str | tuple[int, int], kernel_size: tuple[int, int], dilation: tuple[int, int]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True)]
        # An odd total puts the extra row or column after the input, as nn.Conv2d does.
        return tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    return padding, padding


def _ratio_1d(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int
) -> Tensor:
    outputs = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
    # "cpu": whatever `with torch.device(...)` the caller may stand in.
    first = torch.arange(outputs, device="cpu")[:, None] * stride - before
    taps = first + torch.arange(kernel, device="cpu") * dilation
    inside = ((taps >= 0) & (taps < size)).sum(dim=1)
    # Tensor by tensor: number / tensor multiplies by the rounded reciprocal.
    return torch.where(inside > 0, torch.full_like(inside, kernel).double() / inside, 0.0)
