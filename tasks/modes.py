"""The ways in which a segmentation run sees an image when it is evaluated (Tables 6 and 7)."""

from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import torch
from torch import Tensor

from records.iou import CLASSES
from tasks.confusion import confusion
from tasks.regions import RINGS, TILE_REGIONS, image_map, leave_outs, tile_map, tile_rings
from tasks.tiles import Network, flipped, tiled_logits

# Overlap of the tiles, a share of their side; None: the image as a whole.
MODES = {"regular": None, "tile 0": Fraction(0), "tile 1/3": Fraction(1, 3)}
# Parts of the image that are counted apart: without another forward pass, tile 0 tells the
# leave-outs of Table 7 as well.
_REGIONS = {"regular": len(RINGS), "tile 0": TILE_REGIONS, "tile 1/3": 1}


def predictions(
    network: Network, images: Tensor, tile: int, flip: bool
) -> Iterator[tuple[str, Tensor]]:
    """Yield each of MODES with the classes it predicts, (n, H, W) int64; one at a time.

    Args:
        network: gives the logits, (n, CLASSES, h, w), of images or tiles.
        images: (n, 3, H, W).
        tile: side of the tiles, px.
        flip: whether to average the logits with those of the mirrored image or tile.
    """
    seen = partial(flipped, network) if flip else network
    for mode, overlap in MODES.items():
        logits = seen(images) if overlap is None else tiled_logits(seen, images, tile, overlap)
        predicted = logits.argmax(dim=1)
        del logits  # or they would stay through the next mode
        yield mode, predicted


def no_counts(device: torch.device) -> Tensor:
    """Return the counts of no image, which `count` adds to."""
    regions = sum(_REGIONS.values())
    return torch.zeros((regions, CLASSES, CLASSES), dtype=torch.int64, device=device)


def count(counts: Tensor, mode: str, predicted: Tensor, labels: Tensor, tile: int) -> None:
    """Add what a mode predicted to `counts`, in place, without waiting for a GPU.

    Args:
        counts: of no_counts.
        mode: one of MODES.
        predicted: (n, H, W) int64, classes.
        labels: (n, H, W) int64; data.interface.FILLER_LABEL where none counts.
        tile: side of the tiles, px.
    """
    size, device = tuple(labels.shape[-2:]), labels.device
    regions = None
    if mode == "regular":
        regions = image_map(size, device)
    elif mode == "tile 0":
        regions = tile_map(size, tile, device)
    _by_mode(counts)[mode] += confusion(predicted, labels, CLASSES, regions, _REGIONS[mode])


def matrices(counts: Tensor) -> dict[str, dict[str, Tensor]]:
    """Return the matrices that the counts hold, each (CLASSES, CLASSES), or with rings first.

    Returns:
        `modes`: by MODES; `image` and `tile`: without a centre, by its share; `rings`: 'regular'
        and 'tile 0', (len(RINGS), CLASSES, CLASSES).
    """
    parts = _by_mode(counts)
    rings = {"regular": parts["regular"], "tile 0": tile_rings(parts["tile 0"])}
    modes = {mode: part.sum(0) for mode, part in parts.items()}
    return {"modes": modes, **leave_outs(parts["tile 0"]), "rings": rings}


def _by_mode(counts: Tensor) -> dict[str, Tensor]:
    """Return views of the counts."""
    return dict(zip(_REGIONS, counts.split(list(_REGIONS.values())), strict=True))
