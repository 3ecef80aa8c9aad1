"""The re-weighting factor of partial convolution based padding in closed form (Eq. 5)."""

import torch
from torch import Tensor

Pair = tuple[int, int]


def padding_ratio(
    size: Pair,
    kernel_size: Pair,
    stride: Pair,
    padding: str | Pair,
    dilation: Pair,
    *,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str = "cpu",
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
        dtype: of the factors.
        device: where they are computed ("cpu" whatever `with torch.device(...)` one stands in).

    Returns:
        rh of shape (output height,) and rw of shape (output width,). A factor is 0 where the window
        holds no input at all (padding larger than the kernel; Eq. 1, "otherwise").
    """
    before, after = padding_on_each_side(padding, kernel_size, dilation)
    rows, columns = (
        _ratio_1d(
            size[a], kernel_size[a], stride[a], before[a], after[a], dilation[a], dtype, device
        )
        for a in (0, 1)
    )
    return rows, columns


def padding_on_each_side(
    padding: str | Pair, kernel_size: Pair, dilation: Pair
) -> tuple[Pair, Pair]:
    """Return (rows, columns) added before and (rows, columns) added after the input."""
    if padding == "valid":
        return (0, 0), (0, 0)
    if padding == "same":
        rows, columns = (d * (k - 1) for d, k in zip(dilation, kernel_size, strict=True))
        # An odd total puts the extra row or column after the input, as nn.Conv2d does.
        return (rows // 2, columns // 2), (rows - rows // 2, columns - columns // 2)
    return padding, padding


def _ratio_1d(
    size: int,
    kernel: int,
    stride: int,
    before: int,
    after: int,
    dilation: int,
    dtype: torch.dtype,
    device: torch.device | str,
) -> Tensor:
    outputs = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
    first = torch.arange(outputs, device=device) * stride - before
    # Of the taps first + t * dilation, t = 0 .. kernel-1: the first and the last one inside.
    lowest = ((dilation - 1 - first) // dilation).clamp(min=0)
    highest = ((size - 1 - first) // dilation).clamp(max=kernel - 1)
    inside = (highest - lowest + 1).clamp(min=0)
    # Tensor by tensor: number / tensor multiplies by the rounded reciprocal. Half precision would
    # round the counts' quotient twice.
    wide = torch.promote_types(dtype, torch.float32)
    ratio = torch.full_like(inside, kernel, dtype=wide) / inside
    return torch.where(inside > 0, ratio, 0.0).to(dtype)
