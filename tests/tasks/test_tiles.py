"""Tiles against averages pixel by pixel, and how much of them is held at a time."""

import weakref
from fractions import Fraction

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from tasks.tiles import flipped, tile_starts, tiled_logits

OVERLAPS = (Fraction(0), Fraction(1, 3), Fraction(1, 2), Fraction(2, 3))


def starts_by_hand(length, tile, overlap):
    """Step on by the smallest whole distance that is no shorter than the exact one."""
    stride = next(n for n in range(1, tile + 1) if n >= tile * (1 - overlap))
    starts, start = [], 0
    while start + tile < length:
        starts.append(start)
        start += stride
    return [*starts, max(length - tile, 0)]


@pytest.mark.parametrize("overlap", OVERLAPS)
def test_starts_for_all_sizes(overlap):
    for tile in range(8, 201):
        for length in {1, tile - 1, tile, tile + 1, 2 * tile, 2 * tile + 1, 128, 200, 256, 333}:
            starts = tile_starts(length, tile, overlap)
            assert starts == starts_by_hand(length, tile, overlap)
            covered = {place for start in starts for place in range(start, start + tile)}
            assert covered >= set(range(length))
            assert starts[-1] + min(tile, length) == length  # none reaches beyond


def test_the_paper_s_tiles():
    assert tile_starts(2048, 1024, Fraction(0)) == [0, 1024]
    assert tile_starts(2048, 1024, Fraction(1, 3)) == [0, 683, 1024]
    assert tile_starts(1024, 1024, Fraction(1, 3)) == [0]


def test_binary_numbers_would_not_do():
    """At a third's overlap of 9 px the distance is 6, not 7."""
    assert 9 * (1 - 1 / 3) > 6
    assert tile_starts(21, 9, Fraction(1, 3)) == [0, 6, 12]


class Border(nn.Module):
    """Logits that tell where in its tile a pixel lies, as padding does."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(3, 4, 5, padding=2).double()

    def forward(self, images):
        """Return (n, 4, H, W)."""
        self.largest = max(getattr(self, "largest", 0), *images.shape[-2:])
        return self.conv(images)


def averaged_by_hand(network, images, tile, overlap):
    """Sum up pixel by pixel over all tiles that hold it."""
    height, width = images.shape[-2:]
    rows, columns = (starts_by_hand(length, tile, overlap) for length in (height, width))
    tiles = {
        (top, left): network(images[..., top : top + tile, left : left + tile])
        for top in rows
        for left in columns
    }
    result = torch.zeros(len(images), 4, height, width, dtype=images.dtype)
    for y in range(height):
        for x in range(width):
            seen = [
                logits[..., y - top, x - left]
                for (top, left), logits in tiles.items()
                if top <= y < top + tile and left <= x < left + tile
            ]
            result[..., y, x] = torch.stack(seen).mean(0)
    return result


@torch.no_grad()
@pytest.mark.parametrize("overlap", OVERLAPS[:2])
@pytest.mark.parametrize("size", [(8, 8), (12, 25), (17, 30), (6, 40), (5, 7)])
def test_mean_of_each_pixel(size, overlap):
    """Also of images that are smaller than a tile, along one axis or both."""
    network, images = Border(), torch.randn(2, 3, *size, dtype=torch.float64)
    for tile in (8, 9, 12):
        found = tiled_logits(network, images, tile, overlap)
        torch.testing.assert_close(found, averaged_by_hand(network, images, tile, overlap))
        assert network.largest <= tile


@torch.no_grad()
def test_one_tile_is_the_image():
    network, images = Border(), torch.randn(1, 3, 10, 14, dtype=torch.float64)
    assert torch.equal(tiled_logits(network, images, 14, Fraction(1, 3)), network(images))


@torch.no_grad()
def test_mirrored():
    network, images = Border(), torch.randn(2, 3, 9, 14, dtype=torch.float64)
    expected = (network(images) + network(images.flip(-1)).flip(-1)) / 2
    torch.testing.assert_close(flipped(network, images), expected)
    torch.testing.assert_close(flipped(network, images.flip(-1)).flip(-1), expected)


class Held(TorchDispatchMode):
    """Follows how many numbers exist at a time in tensors of so many channels."""

    def __init__(self, channels):
        super().__init__()
        self.channels, self.peak, self.known = channels, 0, []

    def __torch_dispatch__(self, function, _, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        self.known += [weakref.ref(leaf) for leaf in tensors if self.channels in leaf.shape]
        living = {
            one.untyped_storage().data_ptr(): one.untyped_storage().nbytes() // one.itemsize
            for one in (reference() for reference in self.known)
            if one is not None
        }
        self.peak = max(self.peak, sum(living.values()))
        return result


@torch.no_grad()
@pytest.mark.parametrize("overlap", [*OVERLAPS, Fraction(9, 10)])
def test_one_logit_map_whatever_the_overlap(overlap):
    """Beside the image's own map there is one tile's at a time, and no other."""
    conv, images = nn.Conv2d(3, 29, 1), torch.randn(1, 3, 16, 64)
    expected = conv(images)
    with Held(29) as held:
        result = tiled_logits(conv, images, 16, overlap)
    torch.testing.assert_close(result, expected)
    assert held.peak == 29 * (16 * 64 + 16 * 16)
