"""Parts of an image by their distance to its border or centre, or to those of its tiles (Table 7).

Maps of small integers, one for each pixel, so that one counting of an image's pixels serves all.
"""

from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

# Share of the height and of the width that the left-out centre takes: Table 7, in increasing order.
LEFT_OUT = tuple(Fraction(share) for share in ("1/3", "1/2", "2/3", "3/4", "7/8"))
# px from the nearest border at which a ring begins; 0 is the outermost row or column.
RINGS = (0, 1, 2, 4, 8, 16, 32, 64)

_LEVELS = len(LEFT_OUT) + 1
TILE_REGIONS = _LEVELS * _LEVELS * len(RINGS)


def centre_levels(size: tuple[int, int], tile: int, device: torch.device) -> Tensor:
    """Return in how many of the centres of LEFT_OUT each pixel lies, (H, W) int16.

    Of an axis of L px the centre p takes the places i with |2i + 1 - L| < pL. The centres are
    nested, so the count tells which they are: the largest ones.

    Args:
        size: height and width, px.
        tile: side of the tiles whose centres are meant, px; no smaller than the image: its own.
        device: of the result.
    """
    levels = torch.zeros(size, dtype=torch.int16, device=device)
    (row, height), (column, width) = (_in_tile(length, tile, device) for length in size)
    for share in LEFT_OUT:
        over, under = share.numerator, share.denominator
        rows = under * (2 * row + 1 - height).abs() < over * height
        columns = under * (2 * column + 1 - width).abs() < over * width
        levels += rows[:, None] & columns
    return levels


def border_rings(size: tuple[int, int], tile: int, device: torch.device) -> Tensor:
    """Return in which of RINGS each pixel lies, (H, W) int16; arguments as of centre_levels."""
    row, column = (
        torch.minimum(place, length - 1 - place)
        for place, length in (_in_tile(length, tile, device) for length in size)
    )
    distance = torch.minimum(row[:, None], column)
    return sum((distance >= start).to(torch.int16) for start in RINGS[1:])


@lru_cache(maxsize=2)  # the images of a data set have one size
def image_map(size: tuple[int, int], device: torch.device) -> Tensor:
    """Return the image's border_rings."""
    return border_rings(size, max(size), device)


@lru_cache(maxsize=2)
def tile_map(size: tuple[int, int], tile: int, device: torch.device) -> Tensor:
    """Return one of TILE_REGIONS for each pixel, (H, W) int16.

    It tells the level in the image, the level in the tile and the ring in the tile.
    """
    image_level = centre_levels(size, max(size), device)
    tile_level = centre_levels(size, tile, device)
    ring = border_rings(size, tile, device)
    return (image_level * _LEVELS + tile_level) * len(RINGS) + ring


def leave_outs(counts: Tensor) -> dict[str, dict[str, Tensor]]:
    """Return what is left of a tile_map's counts without the centres of image and tile.

    Args:
        counts: (TILE_REGIONS, ...).

    Returns:
        {'image' | 'tile': {share of LEFT_OUT: (...)}}.
    """
    by_part = counts.unflatten(0, (_LEVELS, _LEVELS, len(RINGS)))
    levels = {"image": by_part.sum((1, 2)), "tile": by_part.sum((0, 2))}
    # A pixel of level k lies in the k largest centres.
    return {
        name: {
            str(share): level[: len(LEFT_OUT) - place].sum(0)
            for place, share in enumerate(LEFT_OUT)
        }
        for name, level in levels.items()
    }


def tile_rings(counts: Tensor) -> Tensor:
    """Return a tile_map's counts by ring, (len(RINGS), ...) of (TILE_REGIONS, ...)."""
    return counts.unflatten(0, (-1, len(RINGS))).sum(0)


def _in_tile(length: int, tile: int, device: torch.device) -> tuple[Tensor, int]:
    """Return each place's position in its tile, (length,), and the tile's length.

    Tiles do not overlap but for the last one, which is moved in as in tasks/tiles.py; where it
    covers what its neighbour does, the neighbour counts.
    """
    tile = min(tile, length)
    place = torch.arange(length, device=device)
    return place - (place // tile * tile).clamp(max=length - tile), tile
