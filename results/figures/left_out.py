"""Fig. 7: how much of an image Table 7's proportions leave out of its centre."""

from fractions import Fraction
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from records.errors import RunError
from results.figures import style
from results.mode_scores import SHARES
from results.saved_predictions import in_tile

_WIDTH = 440  # px that a picture is shown with


def left_out(height: int, width: int, share: Fraction, tile: int | None = None) -> np.ndarray:
    """Return the pixels that are left out, (height, width) bool.

    Those with |2 i + 1 - L| < share L in both axes: the middle share of height and of width.

    Args:
        height, width: of the image, px.
        share: of height and of width.
        tile: px, side of the tiles whose middle is meant; None: the image's.
    """
    rows, columns = (_middle(*in_tile(length, tile), share) for length in (height, width))
    return rows[:, None] & columns[None, :]


def _middle(place: np.ndarray, length: int, share: Fraction) -> np.ndarray:
    return np.abs(2 * place + 1 - length) * share.denominator < share.numerator * length


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
            of = tile if reading == "tile" else None
            out = left_out(height, width, Fraction(share), of)
            _show(panel, photo, out)
            panel.set_title(f"{share} x {share}: {100 * (1 - out.mean()):.1f} % kept")
        panels[0].set_ylabel(f"of the {reading}")
    style.caption(
        figure,
        f"Left out (grey): the middle of {first.stem.removesuffix('_leftImg8bit')}, or of each of "
        f"its tiles of {tile} px; Table 7 counts the rest.",
    )
    return figure


def _show(panel: Axes, photo: np.ndarray, out: np.ndarray) -> None:
    covered = np.where(out[..., None], np.uint8(128), photo)
    height, width = out.shape
    small = min(width, _WIDTH)
    size = (small, max(1, round(height * small / width)))
    panel.imshow(Image.fromarray(covered).resize(size))
    panel.set_xticks([])
    panel.set_yticks([])
    panel.spines[:].set_visible(False)
