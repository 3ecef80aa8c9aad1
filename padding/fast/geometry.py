"""Where r differs from 1, remembered for every geometry."""

from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from ..ratio import Pair, padding_ratio

# What r depends on: padding_ratio's size, kernel_size, stride, padding and dilation.
Geometry = tuple[Pair, Pair, Pair, Pair, Pair]


class Strip(NamedTuple):
    """Rows (dim 2) or columns (dim 3) of the output that share one factor of r."""

    dim: int
    start: int
    length: int
    factor: float

    def of(self, output: Tensor) -> Tensor:
        """Return the strip of `output` as a view."""
        return output.narrow(self.dim, self.start, self.length)


@lru_cache(maxsize=512)
def border_strips(geometry: Geometry) -> tuple[Strip, ...]:
    """Return the strips where r differs from 1, those with r = 0 last: nothing may refill them.

    In whole numbers and Python's floats: no tensor of a tracer's can stay behind in the cache.
    """
    strips = []
    for dim, axis in zip((2, 3), zip(*geometry, strict=True), strict=True):
        start = 0
        for factor, run in groupby(_factors(*axis)):
            length = len(list(run))
            if factor != 1:
                strips.append(Strip(dim, start, length, factor))
            start += length
    return tuple(sorted(strips, key=lambda strip: strip.factor == 0))


def _factors(size: int, kernel: int, stride: int, padding: int, dilation: int) -> list[float]:
    """Return padding_ratio's factor of every row or column."""
    outputs = (size + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
    firsts = (output * stride - padding for output in range(outputs))
    inside = (sum(0 <= first + tap * dilation < size for tap in range(kernel)) for first in firsts)
    return [kernel / taps if taps else 0.0 for taps in inside]


@lru_cache(maxsize=64)
@torch.inference_mode(False)  # whoever asks first, others may need it for their gradients
def ratio_map(geometry: Geometry, dtype: torch.dtype, limit: int) -> Tensor | None:
    """Return r of shape (H, W) on the CPU, rounded once; None beyond `limit` pixels."""
    rows, columns = padding_ratio(*geometry)
    return (rows[:, None] * columns).to(dtype) if len(rows) * len(columns) <= limit else None


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def border_pixels(
    geometry: Geometry, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return row, column (int32) and r (`dtype`) of every pixel where r differs from 1."""
    rows, columns = padding_ratio(*geometry)
    ratio = rows[:, None] * columns
    row, column = torch.nonzero(ratio != 1, as_tuple=True)
    pixels = row.to(torch.int32), column.to(torch.int32), ratio[row, column].to(dtype)
    return tuple(values.to(device) for values in pixels)
