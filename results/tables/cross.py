"""Table 4: weights trained with one padding, evaluated with another."""

from records.errors import RunError
from results import printed
from results.checked import again, checked, place
from results.collect import Run
from results.mode_scores import alike, mode_scores
from results.render import Table
from results.statistics import Values
from results.tables.diverged import diverged_runs
from results.tables.rows import (
    RANGE,
    Columns,
    about,
    average_cells,
    cell,
    groups,
    in_range,
    incomplete,
    mean,
    methods,
    one_seed,
    seed_columns,
    seed_names,
    tested,
    without,
)

Accuracies = dict[tuple[str, str, str], Values]  # by network, training and inference padding


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
    wrong = {(run.arch, run.padding, run.seed) for run in diverged_runs(runs, ("best",))}
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


def evaluated(runs: list[Run]) -> Accuracies:
    """Return every evaluation's top-1 or regular mIoU by network, both paddings, and seed.

    The first padding is the training's, the second the inference's.

    Raises:
        RunError: as cross_table.
    """
    finished = [run for run in runs if run.finished and run.evaluations]
    alike([mode_scores(run, used) for run in finished if run.split for used in run.evaluations])
    return {
        (arch, trained, used): {
            run.seed: _evaluated(run, used) for run in group if used in run.evaluations
        }
        for (arch, trained), group in groups(finished).items()
        for used in _in_order(trained, {name for run in group for name in run.evaluations})
    }


def _evaluated(run: Run, padding: str) -> float:
    if run.split:
        return mode_scores(run, padding).modes["regular"]
    result = checked(run, padding)
    correct, said = result.get("correct1"), result.get("top1")
    top1 = 100 * correct / result["count"] if type(correct) is int else None
    if top1 is None or not isinstance(said, int | float) or not abs(said - top1) < 1e-6:
        raise RunError(
            f"{place(run, padding)}: top1 {said} is not {correct} of {result['count']} images in "
            f"percent; {again(run, padding)}"
        )
    return top1


def _suffix(runs: list[Run]) -> str:
    return f"_{runs[0].split}" if runs and runs[0].split else ""


def _title(runs: list[Run], what: str = ":") -> str:
    if not _suffix(runs):
        return f"Table 4{what} top-1 (%)"
    return f"As Table 4, split {printed.split(runs[0].split)}{what} regular mIoU (%)"


def _in_order(trained: str, used: set[str]) -> list[str]:
    """Return the training padding first, then the others in the paper's order."""
    return sorted(used, key=lambda name: (name != trained, printed.place("", name)))
