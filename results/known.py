"""Which images the runs of two paddings know, and which classes gain and lose most."""

from collections.abc import Sequence

import numpy as np

from records.errors import RunError
from results.collect import Run
from results.diverged import diverged_runs, without_note
from results.predictions import Predictions, class_accuracy, has_predictions

_EXTREMES = 10  # classes shown at each end


def zero_and_partial(runs: list[Run]) -> tuple[list[Run], list[Run], tuple[str, ...]]:
    """Return a network's zero and partial runs that were evaluated under their own padding.

    One run that knows nothing would move every count, so those whose best epoch diverged are left
    out.

    Args:
        runs: of one network, of all its paddings.

    Returns:
        Both sides, and the note that names the runs left out.

    Raises:
        RunError: a side has none.
    """
    evaluated = [run for run in runs if run.finished and has_predictions(run, run.padding)]
    asked = [run for run in evaluated if run.padding in ("zero", "partial")]
    apart = [run for run in diverged_runs(runs, ("best",)) if run in asked]
    kept = [run for run in asked if run not in apart]
    zero, partial = ([run for run in kept if run.padding == name] for name in ("zero", "partial"))
    notes = without_note(apart)
    if not zero or not partial:
        told = "no predictions of zero and of partial runs; evaluate.py makes them"
        raise RunError(". ".join([told, *notes]))
    return zero, partial, notes


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
