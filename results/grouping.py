"""Runs by what tables and figures show apart."""

from collections.abc import Iterable

from results import printed
from results.collect import Run


def by_split(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the runs by split, in the paper's order; numbers of two splits are no one row's."""
    parts: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: run.split):
        parts.setdefault(run.split, []).append(run)
    return parts


def by_panel(runs: Iterable[Run]) -> dict[str, list[Run]]:
    """Return the runs by network and split, the paper's networks first, in its order."""
    parts: dict[str, list[Run]] = {}
    for run in sorted(runs, key=lambda run: (printed.place(run.arch, ""), run.split)):
        parts.setdefault(run.panel, []).append(run)
    return parts


def groups(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """Return the runs by network and padding, in the paper's order of rows, then others."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda run: (printed.place(run.arch, run.padding), run.seed)):
        groups.setdefault((run.arch, run.padding), []).append(run)
    return groups
