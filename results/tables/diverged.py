"""Runs that went astray: marked in tables, left out of what is concluded from them."""

from collections.abc import Mapping

from results.collect import Run
from results.statistics import Values

RULE = "diverged: less than half of what the network's best run of any padding has"


def diverged(numbers: Mapping[tuple[str, ...], Values]) -> set[tuple]:
    """Return (*key, seed) of every run with less than half of what its network's best run has.

    Args:
        numbers: percents by seed; the last part of a key is the padding, what is before it (the
            network, and the split) is what runs are compared within.
    """
    best: dict[tuple[str, ...], float] = {}
    for key, values in numbers.items():
        best[key[:-1]] = max(best.get(key[:-1], 0), *values.values(), 0)
    return {
        (*key, seed)
        for key, values in numbers.items()
        for seed, value in values.items()
        if value < best[key[:-1]] / 2
    }


def without_diverged(
    runs: list[Run], measures: tuple[str, ...] = ("best", "last5_avg")
) -> tuple[list[Run], tuple[str, ...]]:
    """Return the runs that did not diverge, and the note that names the others.

    Args:
        runs: unfinished ones stay.
        measures: of Run; a run that diverged by any of them is left out.
    """
    wrong = set()
    for measure in measures:
        numbers: dict[tuple[str, str], dict[int, float]] = {}
        for run in runs:
            if run.finished:
                numbers.setdefault((run.panel, run.padding), {})[run.seed] = getattr(run, measure)
        wrong |= diverged(numbers)
    apart = [run for run in runs if run.finished and (run.panel, run.padding, run.seed) in wrong]
    names = ", ".join(run.path.name for run in apart)
    notes = (f"Without {len(apart)} diverged runs: {names} ({RULE}).",) if apart else ()
    return [run for run in runs if run not in apart], notes
