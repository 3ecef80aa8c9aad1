"""Scaling an output where its windows reach into the padding, and nowhere else (Section 4).

The ratio r is 1 but for a few rows and columns at the border. Scaling those alone, in place, makes
partial convolution based padding as fast as zero padding.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from .ratio import Pair, padding_ratio

# Maps of at most so many pixels (measured) are faster to multiply as a whole than strip by strip,
# the output in place, its gradient into a copy.
_SMALL_OUTPUT = {"channels_last": 100, "contiguous": 128 * 128}
_SMALL_GRADIENT = {"channels_last": 100, "contiguous": 32 * 32}


class Geometry(NamedTuple):
    """What r depends on: the input's size and the arguments of the convolution."""

    size: Pair
    kernel_size: Pair
    stride: Pair
    padding: str | Pair
    dilation: Pair

    @classmethod
    def of(
        cls, input: Tensor, weight: Tensor, stride: Pair, padding: Pair, dilation: Pair
    ) -> "Geometry":
        """Return the geometry of a convolution of `input` with `weight`."""
        return cls(tuple(input.shape[2:]), tuple(weight.shape[2:]), stride, padding, dilation)


class Strip(NamedTuple):
    """Rows (dim 2) or columns (dim 3) of the output that share one factor of r."""

    dim: int
    start: int
    length: int
    factor: float

    def of(self, output: Tensor) -> Tensor:
        """Return the strip of `output` as a view."""
        return output.narrow(self.dim, self.start, self.length)


def scale_border_(output: Tensor, geometry: Geometry, bias: Tensor | None = None) -> None:
    """Turn conv(x) + b into conv(x) r + b, and into 0 where r is 0, in place.

    Args:
        output: (N, C, H, W), of a convolution with zero padding and `bias`.
        geometry: of that convolution.
        bias: (C,).
    """
    if bias is not None:
        bias = bias.to(output.dtype)
    if output.is_cuda and (scale_pixels_ := _triton_kernel()):
        wide = torch.promote_types(output.dtype, torch.float32)
        scale_pixels_(output, *_border_pixels(geometry, wide, output.device), bias)
    elif _is_small(output, _SMALL_OUTPUT):
        ratio = _ratio_map(geometry, output.dtype, output.device)
        output.mul_(ratio)
        if bias is not None:  # y r + b (1 - r), or + 0 where no input is seen
            output.addcmul_(bias[:, None, None], (ratio > 0).to(ratio.dtype) - ratio)
    else:
        _scale_strips_(output, border_strips(geometry), bias)


def _scale_strips_(output: Tensor, strips: tuple[Strip, ...], bias: Tensor | None) -> None:
    for strip in strips:
        view = strip.of(output)
        if bias is None:
            view.mul_(strip.factor)
        elif strip.factor == 0:
            view.zero_()
        else:
            view.lerp_(bias[:, None, None], 1 - strip.factor)


@contextmanager
def scaled_border(gradient: Tensor, geometry: Geometry) -> Iterator[Tensor]:
    """Give `gradient` times r for the duration of a with block.

    A large one is scaled in place and put back afterwards, bit for bit, because others may hold it:
    a residual sum hands the same tensor to both of its branches. Not so on a GPU, where another
    stream may read it meanwhile, nor when its elements may overlap: there a copy is scaled.
    """
    dense = gradient.is_contiguous() or gradient.is_contiguous(memory_format=torch.channels_last)
    if gradient.is_cuda or not dense or _is_small(gradient, _SMALL_GRADIENT):
        yield gradient * _ratio_map(geometry, gradient.dtype, gradient.device)
        return
    # .data: to autograd the gradient has not changed, and in the end it has not.
    gradient, strips = gradient.data, border_strips(geometry)
    kept = [strip.of(gradient).clone() for strip in strips]
    try:
        _scale_strips_(gradient, strips, None)
        yield gradient
    finally:
        for strip, values in zip(strips, kept, strict=True):
            strip.of(gradient).copy_(values)


def bias_gradient(gradient: Tensor, geometry: Geometry) -> Tensor:
    """Return the (C,) sum of `gradient` over the windows that see any input."""
    blind = [strip for strip in border_strips(geometry) if strip.factor == 0]
    if blind:
        gradient = gradient.clone()
        for strip in blind:
            strip.of(gradient).zero_()
    return gradient.sum((0, 2, 3))


def _is_small(output: Tensor, limit: dict[str, int]) -> bool:
    # In channels_last the pixels of a column are runs of memory, otherwise single numbers.
    layout = "channels_last" if output.stride(1) == 1 else "contiguous"
    return output.shape[2] * output.shape[3] <= limit[layout]


@lru_cache(maxsize=512)
def border_strips(geometry: Geometry) -> tuple[Strip, ...]:
    """Return the strips where r differs from 1, those with r = 0 last: nothing may refill them."""
    strips = []
    for dim, factors in zip((2, 3), padding_ratio(*geometry), strict=True):
        start = 0
        for factor, run in groupby(factors.tolist()):
            length = len(list(run))
            if factor != 1:
                strips.append(Strip(dim, start, length, factor))
            start += length
    return tuple(sorted(strips, key=lambda strip: strip.factor == 0))


@lru_cache(maxsize=512)
def _ratio_map(geometry: Geometry, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return r of shape (H, W), multiplied in float64 and rounded once."""
    rows, columns = padding_ratio(*geometry)
    return (rows[:, None] * columns).to(device=device, dtype=dtype)


@lru_cache(maxsize=512)
def _border_pixels(
    geometry: Geometry, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return row, column (int32) and r (`dtype`) of every pixel where r differs from 1."""
    rows, columns = padding_ratio(*geometry)
    ratio = rows[:, None] * columns
    row, column = torch.nonzero(ratio != 1, as_tuple=True)
    pixels = row.to(torch.int32), column.to(torch.int32), ratio[row, column].to(dtype)
    return tuple(values.to(device) for values in pixels)


@lru_cache(maxsize=1)
def _triton_kernel() -> Callable[..., None] | None:
    try:  # late: only a GPU needs it, and not every build of torch brings it
        from .border_triton import scale_pixels_
    except ImportError:
        return None
    return scale_pixels_
