"""Fig. 2: what partial convolution based padding does at the border (Section 3, Eqs. 4 and 5)."""

from fractions import Fraction

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from results.figures import style

_SIDE, _KERNEL, _PAD = 6, 3, 1  # px of the drawn input, taps of a window's side, px of the ring
# Name, and centre as (row, column) of the input.
_WINDOWS = {"corner": (0, 0), "edge": (2, 5), "inside": (4, 2)}
_HOLE = dict(facecolor="white", edgecolor=style.PALE, hatch="////")
_PIXEL = dict(facecolor="#d4e3ef", edgecolor="white")
_FRAME = dict(fill=False, ec=style.INK, lw=2.2, zorder=3)


def window(centre: tuple[int, int], side: int = _SIDE) -> np.ndarray:
    """Return the (3, 3) part of 1^p0 under a 3 x 3 window: 1 in the input, 0 in the padded ring.

    Args:
        centre: row and column in the input, from 0.
        side: of the square input, in pixels.
    """
    ones = np.pad(np.ones((side, side), dtype=int), _PAD)
    row, column = centre
    return ones[row : row + _KERNEL, column : column + _KERNEL]


def ratio(centre: tuple[int, int], side: int = _SIDE) -> Fraction:
    """Return r of Eq. 5 at an output, by counting: all taps of the window over those inside."""
    return Fraction(_KERNEL**2, int(window(centre, side).sum()))


@style.styled
def padding_layer() -> Figure:
    """Return Fig. 2: an input with its padded ring, three windows, r of each, and Eq. 4."""
    figure = Figure(figsize=(7.2, 4.5))
    parts = figure.add_gridspec(4, 2, width_ratios=(1.35, 1), height_ratios=(1, 1, 1, 0.75))
    _input(figure.add_subplot(parts[:3, 0]))
    for place, (name, centre) in enumerate(_WINDOWS.items()):
        _tap_count(figure.add_subplot(parts[place, 1]), name, centre)
    words = figure.add_subplot(parts[3, :])
    words.set_axis_off()
    words.text(0.5, 0.72, _EQUATION, ha="center", va="center", fontsize=11, parse_math=True)
    words.text(0.5, 0.2, _WORDS, ha="center", va="center", fontsize=style.SMALL)
    return figure


_EQUATION = (
    r"$x' = \mathbf{W}^T \mathbf{X}^{p0} \cdot r + b,\qquad"
    r" r = \|\mathbf{1}^{p1}\|_1 \,/\, \|\mathbf{1}^{p0}\|_1$"
)
_WORDS = (
    "The convolution of the zero-padded window, times all taps of the window over its taps\n"
    "inside the input, plus the bias (Eqs. 4 and 5). Zero padding is r = 1 everywhere (Eq. 6)."
)


def _input(axes: Axes) -> None:
    ones = np.pad(np.ones((_SIDE, _SIDE), dtype=int), _PAD)
    _cells(axes, ones, numbers=False)
    for name, (row, column) in _WINDOWS.items():
        axes.add_patch(Rectangle((column, row), _KERNEL, _KERNEL, **_FRAME))
        axes.text(
            *(column + 1.5, row + 1.5, name),
            ha="center",
            va="center",
            fontweight="bold",
            zorder=4,
            bbox=dict(facecolor="white", edgecolor="none", alpha=0.85, pad=1),
        )
    axes.set_title(f"Input {_SIDE} x {_SIDE}, and its padded ring (hatched: missing)")


def _tap_count(axes: Axes, name: str, centre: tuple[int, int]) -> None:
    taps, r = window(centre), ratio(centre)
    _cells(axes, taps, numbers=True)
    axes.add_patch(Rectangle((0, 0), _KERNEL, _KERNEL, **_FRAME))
    axes.text(3.5, 0.9, name, fontweight="bold", va="center")
    axes.text(3.5, 1.9, f"r = {taps.size}/{taps.sum()} = {float(r):g}", va="center", fontsize=11)
    axes.set_xlim(-0.1, 9)


def _cells(axes: Axes, ones: np.ndarray, numbers: bool) -> None:
    """Draw a grid whose row 0 is on top: pixels grey, holes hatched."""
    for (row, column), inside in np.ndenumerate(ones):
        look = _PIXEL if inside else _HOLE
        axes.add_patch(Rectangle((column, row), 1, 1, lw=1, **look))
        if numbers:
            axes.text(
                *(column + 0.5, row + 0.5, str(inside)),
                ha="center",
                va="center",
                fontsize=style.SMALL,
                bbox=dict(facecolor="white", edgecolor="none", pad=0.6) if not inside else None,
            )
    axes.set_aspect("equal")
    axes.set_xlim(-0.1, ones.shape[1] + 0.1)
    axes.set_ylim(ones.shape[0] + 0.1, -0.1)
    axes.set_axis_off()
