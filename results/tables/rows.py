"""What Tables 2, 3 and 4 share: rows of runs, columns of seeds, cells with three decimals."""

from collections.abc import Iterable
from statistics import fmean

from results import printed
from results.collect import Run


def groups(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """Return the runs by network and padding, in the paper's order of rows, then others."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda run: (printed.place(run.arch, run.padding), run.seed)):
        groups.setdefault((run.arch, run.padding), []).append(run)
    return groups


def seed_columns(runs: list[Run], seeds: int) -> list[int | None]:
    """Return the seed of each column: the same seed stands in the same column of every row."""
    known = sorted({run.seed for run in runs})
    return known + [None] * (seeds - len(known))


def diff(values: dict[int, float], base: dict[int, float], seeds: int) -> str:
    """Return the cell of a difference of means; '' where one of the rows has no runs yet."""
    ours, theirs = mean(values), mean(base)
    if ours is None or theirs is None:
        return ""
    return cell(ours - theirs, incomplete(min(len(values), len(base)), seeds))


def mean(values: dict[int, float]) -> float | None:
    """Return the mean over the seeds, None without any."""
    return fmean(values.values()) if values else None


def cell(value: float | None, mark: str = "") -> str:
    """Return a number as tables show it."""
    return "" if value is None else f"{value:.3f}{mark}"


def incomplete(done: int, seeds: int) -> str:
    """Return the mark of a cell that rests on fewer runs than a complete row has."""
    return "" if done >= seeds else f" ({done}/{seeds} seeds)"


def unfinished(runs: list[Run]) -> tuple[str, ...]:
    """Return the note about runs that are not finished."""
    count = sum(not run.finished for run in runs)
    return (f"{count} runs are not finished and do not count.",) if count else ()
