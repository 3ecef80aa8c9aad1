"""What the tables share: rows of runs, columns of seeds, cells with three decimals."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from statistics import fmean
from typing import Literal

from results.collect import Run
from results.statistics import Difference, Values, difference, half_interval, holm

_PAIRED = (
    "diff: paired by seed, over the seeds that both rows have; W: Welch, over all runs, where they "
    "share no seed, or one while both have more."
)
METHODS = (
    f"± and [ ]: 95 % confidence intervals (Student's t), uncorrected. {_PAIRED} p: two-sided, of "
    "no difference, Holm's correction over this table."
)

RANGE = "in paper's range"  # column of tables with the paper's runs beside ours
Columns = Literal["all", "paper"]
Key = tuple[str, ...]  # of a row: network, padding, ...

# Runs of a complete row: the paper's.
SEEDS = {"classification": 5, "segmentation": 3}


def seed_columns(runs: list[Run], seeds: int) -> list[int | None]:
    """Return the seed of each column: the same seed stands in the same column of every row."""
    known = sorted({run.seed for run in runs})
    return known + [None] * (seeds - len(known))


def seed_names(seeds: list[int | None], suffix: str = "") -> tuple[str, ...]:
    """Return the columns' names, each its seed's; those of runs to come go on counting."""
    names = [seed for seed in seeds if seed is not None]
    while len(names) < len(seeds):
        names.append(max(names, default=0) + 1)
    return tuple(f"{name}{suffix}" for name in names)


def average_cells(values: Values, mark: str) -> tuple[str, str]:
    """Return the cells of a mean and of half its interval."""
    if not values:
        return mark.strip(), ""
    half = half_interval(list(values.values()))
    return cell(fmean(values.values()), mark), "" if half is None else f"± {half:.3f}"


def diff_cells(values: Values, base: Values, seeds: int) -> tuple[str, str, Difference | None]:
    """Return the cells of a difference and its interval, and what is behind them.

    The first is '' where one of the rows has no runs yet.
    """
    known = difference(values, base)
    if known is None:
        return "", "", None
    interval = known.interval
    shown = "" if interval is None else f"[{interval[0]:.3f}, {interval[1]:.3f}]"
    unpaired = " W" if known.method == "Welch" else ""
    return cell(known.mean, incomplete(known.n, seeds) + unpaired), shown, known


def tested(
    numbers: Mapping[Key, Values], base_of: Callable[[Key], Key | None], seeds: int
) -> dict[Key, dict[str, str]]:
    """Return each row's cells of its difference to another's, tested over the whole table.

    Args:
        numbers: of each row.
        base_of: the row that a row is compared with, None: with none.
        seeds: runs of a complete row.
    """
    bases = {key: base_of(key) for key in numbers}
    diffs = {
        key: diff_cells(numbers[key], numbers.get(base, {}), seeds)
        for key, base in bases.items()
        if base is not None
    }
    corrected = holm([known and known.p for *_, known in diffs.values()])
    none = {"diff": "-", "diff interval": "-", "p": "-"}
    return dict.fromkeys(numbers, none) | {
        key: {"diff": diff, "diff interval": interval, "p": p_cell(p)}
        for (key, (diff, interval, _)), p in zip(diffs.items(), corrected, strict=True)
    }


def to_zero(key: Key) -> Key | None:
    """Return the row of zero padding that one is compared with; a key ends with the padding."""
    return None if key[-1] == "zero" else (*key[:-1], "zero")


def highest(numbers: Mapping[Key, Values]) -> set[Key]:
    """Return the rows of the highest mean of each network (and split), which the paper has bold."""
    means = {key: fmean(values.values()) for key, values in numbers.items() if values}
    best: dict[Key, float] = {}
    for key, value in means.items():
        best[key[:-1]] = max(best.get(key[:-1], value), value)
    return {key for key, value in means.items() if value == best[key[:-1]]}


def in_range(known: Iterable[float], ours: float | None) -> str:
    """Return whether our mean lies among the paper's runs, '' where there is one of the two."""
    known = list(known)
    if not known or ours is None:
        return ""
    return "yes" if min(known) <= ours <= max(known) else "no"


def methods(rows: Sequence[Mapping[str, str]], columns: Columns) -> tuple[str, ...]:
    """Return the note that says what intervals, p and marks are; of the paper's columns, marks."""
    if columns == "all":
        return (METHODS,)
    return (_PAIRED,) * any(row.get("diff", "").endswith(" W") for row in rows)


def without(rows: Iterable[Mapping[str, str]], names: Collection[str]) -> list[dict[str, str]]:
    """Return the rows without some columns."""
    return [{name: cell for name, cell in row.items() if name not in names} for row in rows]


def p_cell(p: float | None) -> str:
    """Return a p-value as tables show it."""
    if p is None:
        return ""
    return "< 0.0001" if p < 0.0001 else f"{p:.4f}"


def mean(values: Values) -> float | None:
    """Return the mean over the seeds, None without any."""
    return fmean(values.values()) if values else None


def cell(value: float | None, mark: str = "") -> str:
    """Return a number as tables show it."""
    return "" if value is None else f"{value:.3f}{mark}"


def incomplete(done: int, seeds: int) -> str:
    """Return the mark of a cell that rests on fewer runs than a complete row has."""
    return "" if done >= seeds else f" ({done}/{seeds} seeds)"
