"""Tables 2 and 3 from runs, with the paper's columns and the paper's numbers beside ours."""

from records.summary import LAST_EPOCHS
from results import printed
from results.collect import Run
from results.departures import differing, not_imagenet
from results.diverged import diverged
from results.notes import one_seed, unfinished
from results.numbers import Measure, Numbers, numbers_of, printed_numbers
from results.render import Table
from results.statistics import StdevFormula, Values, stdev
from results.tables.rows import (
    RANGE,
    Columns,
    average_cells,
    cell,
    highest,
    in_range,
    incomplete,
    mean,
    methods,
    seed_columns,
    seed_names,
    tested,
    to_zero,
    without,
)


def accuracy_table(
    runs: list[Run],
    measure: Measure,
    seeds: int,
    formula: StdevFormula,
    columns: Columns = "all",
) -> Table:
    """Return Table 2 (`best`) or Table 3 (`last5_avg`).

    Args:
        runs: of `collect`.
        measure: the number that stands for a run.
        seeds: runs that a complete row has.
        formula: of the stdev column.
        columns: 'paper': the paper's own alone.
    """
    number = 2 if measure == "best" else 3
    numbers = numbers_of(runs, measure)
    wrong = diverged(numbers)
    diffs = tested(numbers, to_zero, seeds)
    rows = [
        {"Network": printed.network(*key)}
        | _seed_cells(key, values, seed_columns(runs, seeds), measure, wrong)
        | _average(values, incomplete(len(values), seeds) + _short(runs, key, measure))
        | diffs[key]
        | {"stdev": _stdev(values, key[1], formula, seeds)}
        | _papers(key, number, mean(values))
        for key, values in numbers.items()
    ]
    if columns == "paper":
        rows = without(rows, _OURS)
    names, top = tuple(rows[0]), highest(numbers)
    return Table(
        name=f"table_{number}_{measure}",
        title=f"Table {number}: {measure} top-1 (%)",
        names=1,
        columns=names,
        rows=tuple(tuple(row.values()) for row in rows),
        notes=_notes(runs, numbers, formula, methods(rows, columns)),
        bold=frozenset((i, names.index("average")) for i, key in enumerate(numbers) if key in top),
    )


_OURS = {"±", "diff interval", "p", "paper average", "paper diff", "paper stdev", RANGE}


def _seed_cells(
    key: tuple[str, str], values: Values, seeds: list[int | None], measure: Measure, wrong: set
) -> dict[str, str]:
    cells = (cell(values.get(seed), " diverged" * ((*key, seed) in wrong)) for seed in seeds)
    return dict(zip(seed_names(seeds, f"_{measure}"), cells, strict=True))


def _average(values: Values, mark: str) -> dict[str, str]:
    return dict(zip(("average", "±"), average_cells(values, mark), strict=True))


def _stdev(values: Values, padding: str, formula: StdevFormula, seeds: int) -> str:
    return cell(stdev(list(values.values()), padding, formula), incomplete(len(values), seeds))


def _papers(key: tuple[str, str], number: int, ours: float | None) -> dict[str, str]:
    """Return the paper's cells of a row, and whether our average lies among its runs."""
    row = _paper(number).get(printed.network(*key), {})
    known = printed_numbers(number).get(key, {}).values()
    cells = {f"paper {column}": row.get(column, "") for column in ("average", "diff", "stdev")}
    official = {"PT_official": row.get("PT_official", "")} if number == 2 else {}
    return cells | {RANGE: in_range(known, ours)} | official


def _paper(number: int) -> dict[str, dict[str, str]]:
    return {row["Network"]: row for row in printed.table(number)}


def _short(runs: list[Run], key: tuple[str, str], measure: Measure) -> str:
    """Return the mark of a last5_avg over fewer than five epochs."""
    epochs = {r.settings["train.epochs"] for r in runs if (r.arch, r.padding) == key and r.finished}
    short = [count for count in epochs if count < LAST_EPOCHS]
    return f" ({max(short)} epochs)" if short and measure == "last5_avg" else ""


def _notes(
    runs: list[Run], numbers: Numbers, formula: StdevFormula, told: tuple[str, ...]
) -> tuple[str, ...]:
    described = {
        "sample": "stdev: sample formula in every row of ours; the paper's column mixes two "
        "(results/paper/README.md).",
        "paper": "stdev: the paper's mixed formulas (results/paper/README.md).",
    }
    papers = _paper(2).keys()
    missing = len(papers - {printed.network(*key) for key in numbers})
    absent = (f"{missing} of the paper's {len(papers)} rows have no runs here.",) * bool(missing)
    return (
        *not_imagenet(runs),
        *differing(runs),
        *told,
        described[formula],
        *one_seed({printed.network(*key): values for key, values in numbers.items()}),
        *unfinished(runs),
        *absent,
    )
