"""Which images the runs of two paddings know, and which classes gain and lose most."""

from collections.abc import Sequence

import numpy as np

from records.errors import RunError
from results.collect import Run
from results.predictions import Predictions, class_accuracy, has_predictions

_EXTREMES = 10  # classes shown at each end


def zero_and_partial(runs: list[Run]) -> tuple[list[Run], list[Run]]:
    """Return a network's zero and partial runs that were evaluated under their own padding.

    Raises:
        RunError: a side has none.
    """
    zero, partial = (
        [
            run
            for run in runs
            if run.finished and run.padding == padding and has_predictions(run, padding)
        ]
        for padding in ("zero", "partial")
    )
    if not zero or not partial:
        raise RunError("no predictions of zero and of partial runs; evaluate.py makes them")
    return zero, partial


def known_by(zero: Sequence[Predictions], partial: Sequence[Predictions]) -> np.ndarray:
    """Return the number of images that i zero and j partial runs get right, [i, j]."""
    sides = [np.sum([one.right for one in side], axis=0) for side in (zero, partial)]
    table = np.zeros((len(zero) + 1, len(partial) + 1), dtype=int)
    np.add.at(table, tuple(sides), 1)
    return table


def gained(zero: Sequence[Predictions], partial: Sequence[Predictions]) -> np.ndarray:
    """Return the images that every zero run gets wrong and every partial run right, by place."""
    wrong = ~np.any([one.right for one in zero], axis=0)
    return np.flatnonzero(wrong & np.all([one.right for one in partial], axis=0))


def extreme_classes(
    zero: Sequence[Predictions], partial: Sequence[Predictions]
) -> tuple[list[int], np.ndarray, np.ndarray]:
    """Return the classes that lose and gain most, those that lose most first.

    Returns:
        Their numbers; and every class's accuracy in each zero and in each partial evaluation,
        (evaluations, classes), in percent.
    """
    each = class_accuracy(zero), class_accuracy(partial)
    gain = each[1].mean(axis=0) - each[0].mean(axis=0)
    order = [i for i in np.argsort(gain, kind="stable").tolist() if not np.isnan(gain[i])]
    if len(order) > 2 * _EXTREMES:
        order = order[:_EXTREMES] + order[-_EXTREMES:]
    return order, *each
