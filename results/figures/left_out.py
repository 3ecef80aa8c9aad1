"""Fig. 7: how much of an image Table 7's proportions leave out of its centre."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from records.errors import RunError
from results.figures import style
from results.mode_scores import SHARES

_WIDTH = 440  # px that a picture is shown with


def left_out(height: int, width: int, share: Fraction) -> np.ndarray:
    """Return the pixels that are left out, (height, width) bool.

    Those with |2 i + 1 - L| < share L in both axes: the middle share of height and of width.
    """
    rows, columns = (_middle(length, share) for length in (height, width))
    return rows[:, None] & columns[None, :]


def _middle(length: int, share: Fraction) -> np.ndarray:
    from_centre = np.abs(2 * np.arange(length) + 1 - length)
    return from_centre * share.denominator < share.numerator * length


@style.styled
def left_out_samples(root: Path, tile: int) -> Figure:
    """Return Fig. 7 on the first image of the official validation set, for both readings.

    Args:
        root: the data set's folder.
        tile: px, side of a tile.

    Raises:
        RunError: there is no such image.
    """
    first = min((root / "leftImg8bit" / "val").glob("*/*_leftImg8bit.png"), default=None)
    if first is None:
        raise RunError(f"no images in {root}/leftImg8bit/val; name their folder with --data")
    try:
        with Image.open(first) as file:
            photo = np.array(file.convert("RGB"))
    except OSError as error:
        raise RunError(f"{first}: cannot be shown ({error})") from None
    height, width = photo.shape[:2]
    figure = Figure(figsize=(2.1 * len(SHARES), 0.5 + 2 * (2.05 * height / width + 0.3)))
    figure.get_layout_engine().set(w_pad=0.02, h_pad=0.03, wspace=0.01, hspace=0.02)
    grid = figure.subplots(2, len(SHARES), squeeze=False)
    for panels, reading in zip(grid, ("image", "tile"), strict=True):
        for panel, share in zip(panels, SHARES, strict=True):
            out = _of_tiles(height, width, tile, Fraction(share))
            out = out if reading == "tile" else left_out(height, width, Fraction(share))
            _show(panel, photo, out)
            panel.set_title(f"{share} x {share}: {100 * (1 - out.mean()):.1f} % kept")
        panels[0].set_ylabel(f"of the {reading}")
    style.caption(
        figure,
        f"Left out (grey): the middle of {first.stem.removesuffix('_leftImg8bit')}, or of each of "
        f"its tiles of {tile} px; Table 7 counts the rest.",
    )
    return figure


def _of_tiles(height: int, width: int, tile: int, share: Fraction) -> np.ndarray:
    """Return the same of each tile, the last of a row moved in; of two tiles both leave out."""
    out = np.zeros((height, width), dtype=bool)
    sides = min(tile, height), min(tile, width)
    for top in (*range(0, height - sides[0], tile), height - sides[0]):
        for left in (*range(0, width - sides[1], tile), width - sides[1]):
            out[top : top + sides[0], left : left + sides[1]] |= left_out(*sides, share)
    return out


def _show(panel: object, photo: np.ndarray, out: np.ndarray) -> None:
    covered = np.where(out[..., None], np.uint8(128), photo)
    height, width = out.shape
    small = min(width, _WIDTH)
    size = (small, max(1, round(height * small / width)))
    panel.imshow(Image.fromarray(covered).resize(size))
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
