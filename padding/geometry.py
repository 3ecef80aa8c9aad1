"""Where r differs from 1, in the forms in which it is applied, remembered for every geometry."""

from functools import lru_cache
from itertools import groupby
from typing import NamedTuple

import torch
from torch import Tensor

from .ratio import Pair, padding_ratio

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
def ratio_map(
    geometry: Geometry, dtype: torch.dtype, device: torch.device, limit: float
) -> Tensor | None:
    """Return r of shape (H, W), rounded once; None beyond `limit` pixels."""
    ratio = _ratio(geometry)
    return ratio.to(device, dtype) if ratio.numel() <= limit else None


@lru_cache(maxsize=512)
def rest_map(
    geometry: Geometry, dtype: torch.dtype, device: torch.device, limit: float
) -> Tensor | None:
    """Return 1 - r as ratio_map; None, too, where r is 0 and the output not b but 0."""
    ratio = _ratio(geometry)
    return (1 - ratio).to(device, dtype) if ratio.numel() <= limit and ratio.all() else None


@lru_cache(maxsize=512)
def border_pixels(
    geometry: Geometry, dtype: torch.dtype, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return row, column (int32) and r (`dtype`) of every pixel where r differs from 1."""
    ratio = _ratio(geometry)
    row, column = torch.nonzero(ratio != 1, as_tuple=True)
    pixels = row.to(torch.int32), column.to(torch.int32), ratio[row, column].to(dtype)
    return tuple(values.to(device) for values in pixels)


def _ratio(geometry: Geometry) -> Tensor:
    rows, columns = padding_ratio(*geometry)
    return rows[:, None] * columns
