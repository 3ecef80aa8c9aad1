"""Table 5 from runs: the best mIoU of every run, a block a split (Section 4.2)."""

from dataclasses import replace
from statistics import stdev

from results import printed
from results.collect import Run
from results.departures import differing, not_cityscapes
from results.diverged import diverged
from results.grouping import by_split
from results.notes import one_seed, unfinished
from results.numbers import Key, miou_numbers, printed_miou_numbers
from results.render import Table
from results.statistics import Values
from results.tables.cross import cross_table, matrix_table
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


def mean_iou_table(runs: list[Run], seeds: int, columns: Columns = "all") -> Table:
    """Return Table 5, its second block of rows below the first.

    Args:
        runs: of segmentation, as `collect` returns them.
        seeds: runs that a complete row has.
        columns: 'paper': the paper's own alone.
    """
    numbers = miou_numbers(runs)
    shown = seed_columns(runs, seeds)
    wrong = diverged(numbers)
    diffs = tested(numbers, to_zero, seeds)
    rows = []
    for key, values in numbers.items():
        split, arch, padding = key
        average, half = average_cells(values, incomplete(len(values), seeds))
        row = {"Network": printed.network(arch, padding), "split": printed.split(split)}
        cells = [cell(values.get(s), " diverged" * ((*key, s) in wrong)) for s in shown]
        row |= zip(seed_names(shown, "_best"), cells, strict=True)
        row |= {"mean": average, "±": half, "n": str(len(values))} | diffs[key]
        row |= {"stdev": _stdev(values)} | _papers(key, mean(values))
        rows.append(row)
    if columns == "paper":
        rows = without(rows, _OURS)
    names = tuple(rows[0]) if rows else ("Network", "split")
    top = highest(numbers)
    return Table(
        name="table_5_miou",
        title="Table 5: best mIoU (%), of whole images",
        names=2,
        columns=names,
        rows=tuple(tuple(row.values()) for row in rows),
        notes=_notes(runs, numbers, methods(rows, columns) + (_SOURCES,) * (columns == "all")),
        bold=frozenset((i, names.index("mean")) for i, key in enumerate(numbers) if key in top),
    )


_OURS = {"±", "n", "diff interval", "p", "stdev", "paper mean", "paper diff", "paper stdev", RANGE}


def _stdev(values: Values) -> str:
    return cell(stdev(values.values()) if len(values) > 1 else None)


def _papers(key: Key, ours: float | None) -> dict[str, str]:
    """Return the paper's cells of a row, and whether our mean lies among its runs."""
    split, arch, padding = key
    row = printed.miou_row(arch, padding, split)
    known = printed_miou_numbers().get(key, {})
    cells = {f"paper {column}": row.get(column, "") for column in ("mean", "diff")}
    return cells | {"paper stdev": _stdev(known), RANGE: in_range(known.values(), ours)}


def _notes(runs: list[Run], numbers: dict[Key, Values], told: tuple[str, ...]) -> tuple[str, ...]:
    missing = len(printed_miou_numbers().keys() - numbers.keys())
    absent = f"{missing} of the paper's 8 rows have no runs here."
    return (
        *not_cityscapes(runs),
        *differing(runs),
        *told,
        *one_seed(
            {
                f"{printed.network(arch, padding)} {printed.split(split)}": values
                for (split, arch, padding), values in numbers.items()
            }
        ),
        *unfinished(runs),
        *((absent,) if missing else ()),
    )


_SOURCES = (
    "stdev: sample formula; the paper prints none, its column is of its printed runs. The paper "
    "does not name the cities of its additional split: cv2 is taken for it."
)


def cross_tables(runs: list[Run], seeds: int, columns: Columns = "all") -> list[Table]:
    """Return for each split what Table 4 has for classification; none without such evaluations."""
    made = []
    for part in by_split(runs).values():
        if not any(run.evaluations.keys() - {run.padding} for run in part if run.finished):
            continue
        table = cross_table(part, seeds, columns)
        # The paper has no such table.
        kept = [i for i, name in enumerate(table.columns) if "paper" not in name]
        rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
        made.append(replace(table, columns=tuple(table.columns[i] for i in kept), rows=rows))
        made += [matrix_table(part, seeds)] if columns == "all" else []
    return made
