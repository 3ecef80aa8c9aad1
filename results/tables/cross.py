"""Table 4: weights trained with one padding, evaluated with another."""

from results import printed
from results.collect import Run
from results.diverged import diverged
from results.notes import about, one_seed
from results.numbers import Accuracies, evaluated, numbers_of
from results.render import Table
from results.tables.rows import (
    RANGE,
    Columns,
    average_cells,
    cell,
    in_range,
    incomplete,
    mean,
    methods,
    seed_columns,
    seed_names,
    tested,
    without,
)


def cross_table(runs: list[Run], seeds: int, columns: Columns = "all") -> Table:
    """Return Table 4: weights trained with one padding, evaluated with another.

    Args:
        runs: of one task and split, as `collect` returns them.
        seeds: runs that a complete row has.
        columns: 'paper': the paper's own alone.

    Raises:
        RunError: an evaluation is not of the finished run's best checkpoint on the run's own data.
    """
    cells = evaluated(runs)
    wrong = diverged(numbers_of(runs, "best"))
    shown = seed_columns([run for run in runs if run.finished and run.evaluations], seeds)
    diffs = tested(cells, lambda key: None if key[1] == key[2] else (*key[:2], key[1]), seeds)
    rows = []
    for key, values in cells.items():
        arch, trained, used = key
        names = printed.network(arch, trained), printed.network(arch, used)
        average, half = average_cells(values, incomplete(len(values), seeds))
        row = dict(zip(("Training", "Inference"), names, strict=True))
        marks = [" diverged" * ((arch, trained, seed) in wrong) for seed in shown]
        marked = [cell(values.get(seed), mark) for seed, mark in zip(shown, marks, strict=True)]
        row |= zip(seed_names(shown), marked, strict=True)
        row |= {"average": average, "±": half} | diffs[key] | _papers(names, mean(values))
        rows.append(row)
    if columns == "paper":
        rows = without(rows, _OURS)
    return Table(
        name=f"table_4_cross{_suffix(runs)}",
        title=f"{_title(runs)} of the best checkpoints under another padding",
        names=2,
        columns=tuple(rows[0]) if rows else ("Training", "Inference"),
        rows=tuple(tuple(row.values()) for row in rows),
        notes=(
            *about(runs),
            *methods(rows, columns),
            *(_one_seed(cells) if columns == "all" else ()),
        )
        if rows
        else ("No evaluations yet: run evaluate.py on the run directories.",),
    )


_OURS = {"±", "diff interval", "p", "paper average", "paper diff", RANGE}


def _papers(names: tuple[str, str], ours: float | None) -> dict[str, str]:
    """Return the paper's cells of a row, and whether our average lies among its runs."""
    rows = {(row["Training"], row["Inference"]): row for row in printed.table(4)}
    row = rows.get(names, {})
    known = [float(text) for column, text in row.items() if column.isdecimal()]
    cells = {f"paper {column}": row.get(column, "") for column in ("average", "diff")}
    return cells | {RANGE: in_range(known, ours)}


def _one_seed(cells: Accuracies) -> tuple[str, ...]:
    return one_seed(
        {
            f"{printed.network(arch, trained)} under {used}": values
            for (arch, trained, used), values in cells.items()
        }
    )


def matrix_table(runs: list[Run], seeds: int) -> Table:
    """Return the averages of all pairs of paddings, a row for each that weights were trained with.

    Raises:
        RunError: as cross_table.
    """
    cells = evaluated(runs)
    used = sorted({key[2] for key in cells}, key=lambda name: printed.place("", name))
    rows = dict.fromkeys(key[:2] for key in cells)
    return Table(
        name=f"table_4_matrix{_suffix(runs)}",
        title=f"{_title(runs, ', all pairs: average')}, trained with a row's padding, evaluated "
        "with a column's",
        names=1,
        columns=("Training", *(printed.network("", name).strip("_") for name in used)),
        rows=tuple(
            (
                printed.network(*row),
                *(
                    average_cells(values, incomplete(len(values), seeds))[0]
                    for values in (cells.get((*row, name), {}) for name in used)
                ),
            )
            for row in rows
        ),
        notes=about(runs),
    )


def _suffix(runs: list[Run]) -> str:
    return f"_{runs[0].split}" if runs and runs[0].split else ""


def _title(runs: list[Run], what: str = ":") -> str:
    if not _suffix(runs):
        return f"Table 4{what} top-1 (%)"
    return f"As Table 4, split {printed.split(runs[0].split)}{what} regular mIoU (%)"
