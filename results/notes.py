"""What tables and figures say of their runs: what is apart from the paper, what does not count."""

from collections.abc import Iterable, Mapping

from foundation.words import counted
from records.summary import LAST_EPOCHS
from results.collect import Run
from results.departures import departures, differing
from results.statistics import Values


def one_seed(rows: Mapping[str, Values]) -> tuple[str, ...]:
    """Return the note that says why rows with a single run have no spread."""
    alone = [name for name, values in rows.items() if len(values) == 1]
    return (f"One seed, so no stdev and no interval: {', '.join(alone)}.",) if alone else ()


def few_epochs(runs: Iterable[Run], measure: str) -> tuple[str, ...]:
    """Return the note about runs whose `last5_avg` is of fewer epochs than five."""
    known = {len(run.rows): run.path.name for run in runs if run.finished}
    short = sorted(count for count in known if count < LAST_EPOCHS)
    if measure != "last5_avg" or not short:
        return ()
    told = ", ".join(f"{count} epochs in all (as {known[count]})" for count in short)
    return (f"last5_avg is over fewer than {LAST_EPOCHS} epochs where runs have {told}.",)


def unfinished(runs: list[Run]) -> tuple[str, ...]:
    """Return the notes about runs that are not finished."""
    left = [run for run in runs if not run.finished]
    going = len(left) - sum(run.failure is not None for run in left)
    reasons = {run.path.name: run.failure for run in left if run.failure is not None}
    failed = [f"{name} ({' '.join(reason.split())})" for name, reason in reasons.items()]
    told = ("run is not finished and does not count.", "runs are not finished and do not count.")
    notes = [counted(going, *told)] if going else []
    notes += [f"Failed, and not counted: {'; '.join(failed)}."] if failed else []
    return tuple(notes)


def about(runs: list[Run]) -> tuple[str, ...]:
    """Return the notes of what sets runs of one task apart, and of those that do not count."""
    return (*departures(runs), *differing(runs), *unfinished(runs))
