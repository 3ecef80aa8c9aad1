"""Runs that went astray: marked in tables, left out of what is concluded from them."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from foundation.words import counted
from results.collect import Run
from results.numbers import MEASURES
from results.render import Table
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


def diverged_runs(runs: list[Run], measures: tuple[str, ...] = MEASURES) -> list[Run]:
    """Return the finished runs that diverged by any of these measures, attributes of Run."""
    wrong = set()
    for measure in measures:
        numbers: dict[tuple[str, str], dict[int, float]] = {}
        for run in runs:
            if run.finished:
                numbers.setdefault((run.panel, run.padding), {})[run.seed] = getattr(run, measure)
        wrong |= diverged(numbers)
    return [run for run in runs if run.finished and (run.panel, run.padding, run.seed) in wrong]


def without_diverged(
    runs: list[Run], measures: tuple[str, ...] = MEASURES
) -> tuple[list[Run], tuple[str, ...]]:
    """Return the runs that did not diverge, unfinished ones too, and a note naming the others."""
    apart = diverged_runs(runs, measures)
    return [run for run in runs if run not in apart], without_note(apart)


def with_and_without(
    runs: list[Run], measure: str, make: Callable[[list[Run]], list[Table]]
) -> list[Table]:
    """Return the tables of all runs, and below each that diverged runs change one without them.

    Args:
        runs: of one task, as `collect` returns them.
        measure: by which a run diverges, 'best' or 'last5_avg'.
        make: the tables of some of the runs, each of a name of its own.
    """
    tables, apart = make(runs), diverged_runs(runs, (measure,))
    if not apart:
        return tables
    others = {table.name: table for table in make([run for run in runs if run not in apart])}
    made = []
    for table in tables:
        other = others.get(table.name)
        if not other or other.rows == table.rows:
            made.append(table)
            continue
        title = f"{other.title}, without the diverged runs ({len(apart)})"
        made += [
            replace(table, notes=(*table.notes, *with_note(apart))),
            replace(other, name=f"{other.name}_without_diverged", title=title),
        ]
    return made


def with_note(apart: list[Run]) -> tuple[str, ...]:
    """Return the note that names diverged runs which count; () without any."""
    return (f"With {_named(apart)}.",) if apart else ()


def without_note(apart: list[Run]) -> tuple[str, ...]:
    """Return the note that names diverged runs which do not count; () without any."""
    return (f"Without {_named(apart)}.",) if apart else ()


def _named(apart: list[Run]) -> str:
    names = ", ".join(run.path.name for run in apart)
    return f"{counted(len(apart), 'diverged run')}: {names} ({RULE})"
