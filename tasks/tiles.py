"""Logits of an image seen through overlapping tiles, or mirrored (Section 4.2, Table 6)."""

import math
from collections.abc import Callable
from fractions import Fraction

import torch
from torch import Tensor

Network = Callable[[Tensor], Tensor]  # (n, 3, H, W) images to (n, classes, H, W) logits


def tile_starts(length: int, tile: int, overlap: Fraction) -> list[int]:
    """Return where the tiles that cover an axis begin; the last one is moved in.

    Neighbours are ceil(tile * (1 - overlap)) apart. In binary numbers the product comes out above
    the integer for many tile sizes at overlap 1/3, and the distance one pixel too large.

    Args:
        length: of the axis, px.
        tile: px; an axis that is no longer has one tile, of its own length.
        overlap: of neighbours, a share of the tile in [0, 1).
    """
    if length <= tile:
        return [0]
    return [*range(0, length - tile, math.ceil(tile * (1 - overlap))), length - tile]


def tiled_logits(network: Network, images: Tensor, tile: int, overlap: Fraction) -> Tensor:
    """Return the mean of each pixel's logits over the tiles that cover it, (n, classes, H, W).

    Besides the result only one tile's logits exist at a time, whatever the overlap.

    Args:
        network: gives the logits of a tile.
        images: (n, 3, H, W).
        tile: side of the square tiles, px; along an axis that is shorter, that axis.
        overlap: of neighbouring tiles, a share of the tile in [0, 1).
    """
    height, width = images.shape[-2:]
    rows, columns = (tile_starts(length, tile, overlap) for length in (height, width))
    total = None
    for top in rows:
        for left in columns:
            # torch clips a slice that reaches beyond an image smaller than the tile.
            window = (..., slice(top, top + tile), slice(left, left + tile))
            logits = network(images[window])
            if total is None:
                total = logits.new_zeros((*logits.shape[:-2], height, width))
            total[window].add_(logits)
            del logits  # or it would stay while the next tile's are computed
    for axis, starts, length in ((-2, rows, height), (-1, columns, width)):
        total /= _cover(starts, tile, length, total).unsqueeze(-2 if axis == -1 else -1)
    return total


def flipped(network: Network, images: Tensor) -> Tensor:
    """Return the mean of the logits of images and of their mirror images, mirrored back."""
    logits = network(images.flip(-1)).flip(-1)
    return logits.add_(network(images)).div_(2)


def _cover(starts: list[int], tile: int, length: int, like: Tensor) -> Tensor:
    """Return how many tiles cover each place of an axis, (length,)."""
    place = torch.arange(length, device=like.device)
    count = sum((place >= start) & (place < start + tile) for start in starts)
    return count.to(like.dtype)
