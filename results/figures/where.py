"""Where partial padding helps: which images, and which classes, from predictions."""

import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from scipy import stats

from results.figures import style
from results.known import extreme_classes, known_by
from results.predictions import Predictions, same_images


@style.styled
def where(
    zero: Sequence[Predictions],
    partial: Sequence[Predictions],
    name: str,
    notes: Sequence[str] = (),
) -> Figure:
    """Return the images by how many runs know them, and the classes that gain and lose most.

    Args:
        zero, partial: evaluations of a network's runs, each under its own padding.
        name: of the network.
        notes: to stand below, of the runs that are left out.

    Raises:
        RunError: they are not of the same images.
    """
    same_images([*zero, *partial])
    figure = Figure(figsize=(9.5, 5.2))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.1))
    counts = known_by(zero, partial)
    _grid(left, counts)
    _classes(right, zero, partial)
    figure.suptitle(f"{name}: where partial padding helps")
    style.caption(
        figure,
        f"Left: images by the number of zero ({len(zero)}) and partial ({len(partial)}) runs that "
        f"are right; bold: right in all runs of one side and in none of the other.",
        "Right: the classes that gain and lose most, mean over the runs; bars: 95 % intervals over "
        "two runs or more (Welch).",
        "They are picked by their gain, so each looks larger than it is.",
        *notes,
    )
    return figure


def _grid(axes: Axes, counts: np.ndarray) -> None:
    shade = ScalarMappable(LogNorm(0.5, 2 * counts.max()), "Greys")
    axes.imshow(np.maximum(counts, 0.5).T, origin="lower", cmap=shade.cmap, norm=shade.norm)
    zero, partial = (runs - 1 for runs in counts.shape)
    for (i, j), count in np.ndenumerate(counts):
        ground = shade.to_rgba(max(count, 0.5))
        axes.text(
            *(i, j, f"{count:,}"),
            ha="center",
            va="center",
            fontsize=style.SMALL,
            weight="bold" if (i, j) in ((0, partial), (zero, 0)) else "normal",
            color=style.readable_on(ground),
        )
    axes.set_xticks(range(counts.shape[0]))
    axes.set_yticks(range(counts.shape[1]))
    axes.set_xlabel("zero runs that are right")
    axes.set_ylabel("partial runs that are right")


def _classes(axes: Axes, zero: Sequence[Predictions], partial: Sequence[Predictions]) -> None:
    order, without, with_ = extreme_classes(zero, partial)
    gain = with_.mean(axis=0) - without.mean(axis=0)
    look = style.looks(["partial"])["partial"]
    if min(len(zero), len(partial)) > 1:
        with warnings.catch_warnings(action="ignore"):  # a class on which all runs agree has none
            known = stats.ttest_ind(with_[:, order], without[:, order], equal_var=False)
            interval = known.confidence_interval()
        axes.hlines(range(len(order)), interval.low, interval.high, color=style.PALE)
    axes.plot(gain[order], range(len(order)), ls="", marker=look.marker, color=look.colour)
    axes.axvline(0, color=style.INK, lw=0.8)
    names = [style.shortened(zero[0].classes[i], 24) for i in order]
    axes.set_yticks(range(len(order)), names)
    axes.set_xlabel("accuracy, partial - zero (points)")
