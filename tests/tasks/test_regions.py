"""Maps of regions against each pixel's coordinates."""

from fractions import Fraction

import pytest
import torch

from tasks.regions import (
    LEFT_OUT,
    RINGS,
    TILE_REGIONS,
    border_rings,
    centre_levels,
    leave_outs,
    tile_map,
    tile_rings,
)
from tasks.tiles import tile_starts

CPU = torch.device("cpu")
SIZES = [((8, 8), 8), ((64, 128), 64), ((33, 70), 16), ((5, 9), 64), ((150, 40), 37), ((1, 1), 4)]


def position(place, length, tile):
    """Return where a place lies in the first tile that holds it, and the tile's length."""
    tile = min(tile, length)
    start = next(s for s in tile_starts(length, tile, Fraction(0)) if s <= place < s + tile)
    return place - start, tile


def is_left_out(place, size, tile, share):
    """Compare the pixel's centre with the central share of its tile, in both axes."""
    for one, length in zip(place, size, strict=True):
        at, side = position(one, length, tile)
        # |centre - middle| < share / 2 of the side
        if not abs(Fraction(2 * at + 1, 2) - Fraction(side, 2)) < share * side / 2:
            return False
    return True


def ring_of(place, size, tile):
    sides = [position(one, length, tile) for one, length in zip(place, size, strict=True)]
    distance = min(min(at, side - 1 - at) for at, side in sides)
    return max(number for number, start in enumerate(RINGS) if start <= distance)


def pixels(size):
    return [(y, x) for y in range(size[0]) for x in range(size[1])]


@pytest.mark.parametrize(("size", "tile"), SIZES)
def test_maps_equal_comparing_coordinates(size, tile):
    for side in (tile, max(size)):
        levels, rings = centre_levels(size, side, CPU), border_rings(size, side, CPU)
        for place in pixels(size):
            inside = [is_left_out(place, size, side, share) for share in LEFT_OUT]
            assert inside == sorted(inside)  # nested
            assert levels[place] == sum(inside)
            assert rings[place] == ring_of(place, size, side)


@pytest.mark.parametrize(("size", "tile"), SIZES)
def test_one_counting_gives_all_parts(size, tile):
    regions = tile_map(size, tile, CPU)
    assert regions.dtype == torch.int16
    assert regions.max() < TILE_REGIONS
    counts = torch.bincount(regions.flatten().long(), minlength=TILE_REGIONS)
    places = pixels(size)
    for name, side in (("image", max(size)), ("tile", tile)):
        for share in LEFT_OUT:
            kept = sum(not is_left_out(place, size, side, share) for place in places)
            assert leave_outs(counts)[name][str(share)] == kept
    rings = [ring_of(place, size, tile) for place in places]
    assert tile_rings(counts).tolist() == [rings.count(number) for number in range(len(RINGS))]


def test_cityscapes_regions():
    """Height and width of the centres, and kept shares in percent, of 1024 x 2048 px."""
    size = (1024, 2048)
    levels = centre_levels(size, 2048, CPU)
    centres = [(342, 682), (512, 1024), (682, 1366), (768, 1536), (896, 1792)]
    kept = [88.88, 75, 55.58, 43.75, 23.44]
    for place, (centre, percent) in enumerate(zip(centres, kept, strict=True)):
        inside = levels >= len(LEFT_OUT) - place
        assert (inside.any(1).sum().item(), inside.any(0).sum().item()) == centre
        assert inside.sum() == centre[0] * centre[1]
        assert round(100 * (~inside).double().mean().item(), 2) == percent
    assert [str(share) for share in LEFT_OUT] == ["1/3", "1/2", "2/3", "3/4", "7/8"]


def test_tiles_of_cityscapes_are_alike():
    both = tile_map((1024, 2048), 1024, CPU)
    rings = both % len(RINGS)
    assert torch.equal(rings[:, :1024], rings[:, 1024:])
    assert torch.equal(rings[:, :1024], border_rings((1024, 1024), 1024, CPU))
    assert (rings == 0).sum() == 2 * (4 * 1024 - 4)
