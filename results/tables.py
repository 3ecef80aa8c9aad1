"""Tables 2, 3 and 4 from runs, with the paper's columns and the paper's numbers beside ours."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from configs.same_data import same_data
from records.run_dir import RunError
from results import printed
from results.collect import Run
from results.departures import not_imagenet

StdevFormula = Literal["sample", "paper"]


@dataclass(frozen=True)
class Table:
    """A table of text cells; '-' where the paper has it, '' for what does not exist yet."""

    name: str  # file name without suffix
    title: str
    names: int  # leading columns that hold names, not numbers
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def stdev(values: list[float], padding: str, formula: StdevFormula) -> float | None:
    """Return the spread of the runs; None for a single run.

    'sample' is sqrt(SS / (n - 1)). 'paper' is what Tables 2 and 3 print: the same for reflection
    and replication padding, but sqrt(SS / (n + 1)) for zero and partial (results/paper/README.md).
    """
    if len(values) < 2:
        return None
    mean = fmean(values)
    squares = sum((value - mean) ** 2 for value in values)
    six_cells = formula == "paper" and padding in ("zero", "partial")
    return math.sqrt(squares / (len(values) + (1 if six_cells else -1)))


def accuracy_table(
    runs: list[Run], measure: Literal["best", "last5_avg"], seeds: int, formula: StdevFormula
) -> Table:
    """Return Table 2 (`best`) or Table 3 (`last5_avg`).

    Args:
        runs: of `collect`.
        measure: the number that stands for a run.
        seeds: runs that a complete row has.
        formula: of the stdev column.
    """
    number = 2 if measure == "best" else 3
    paper = {row["Network"]: row for row in printed.table(number)}
    official = ("PT_official",) if measure == "best" else ()
    numbers = {
        key: {run.seed: getattr(run, measure) for run in group if run.finished}
        for key, group in _groups(runs).items()
    }
    places = _places(runs, seeds)
    rows = []
    for (arch, padding), values in numbers.items():
        name = printed.network(arch, padding)
        base = numbers.get((arch, "zero"), {})
        mark = _mark(len(values), seeds)
        ours = [
            _cell(_mean(values), mark) or mark.strip(),
            "-" if padding == "zero" else _diff(values, base, seeds),
            _cell(stdev(list(values.values()), padding, formula), mark),
        ]
        printed_row = paper.get(name, {})
        theirs = [printed_row.get(c, "") for c in ("average", "diff", "stdev", *official)]
        rows.append((name, *(_cell(values.get(seed)) for seed in places), *ours, *theirs))
    return Table(
        name=f"table_{number}_{measure}",
        title=f"Table {number}: {measure} top-1 (%)",
        names=1,
        columns=(
            "Network",
            *(f"{i}_{measure}" for i in range(1, len(places) + 1)),
            *("average", "diff", "stdev"),
            *("paper average", "paper diff", "paper stdev", *official),
        ),
        rows=tuple(rows),
        notes=_notes(runs, len(paper.keys() - {row[0] for row in rows}), len(paper), formula),
    )


def cross_table(runs: list[Run], seeds: int) -> Table:
    """Return Table 4: weights trained with one padding, evaluated with another.

    Raises:
        RunError: an evaluation is not of the finished run's best checkpoint on the run's own data.
    """
    paper = {(row["Training"], row["Inference"]): row for row in printed.table(4)}
    evaluated = [run for run in runs if run.finished and run.evaluations]
    cells = {
        (arch, trained, used): {
            run.seed: _evaluated(run, used) for run in group if used in run.evaluations
        }
        for (arch, trained), group in _groups(evaluated).items()
        for used in _in_order(trained, {name for run in group for name in run.evaluations})
    }
    places = _places(evaluated, seeds)
    rows = []
    for (arch, trained, used), values in cells.items():
        names = printed.network(arch, trained), printed.network(arch, used)
        base = cells.get((arch, trained, trained), {})
        ours = [
            _cell(_mean(values), _mark(len(values), seeds)),
            "-" if used == trained else _diff(values, base, seeds),
        ]
        theirs = [paper.get(names, {}).get(column, "") for column in ("average", "diff")]
        rows.append((*names, *(_cell(values.get(seed)) for seed in places), *ours, *theirs))
    return Table(
        name="table_4_cross",
        title="Table 4: top-1 (%) of the best checkpoints under another padding",
        names=2,
        columns=(
            *("Training", "Inference", *(str(i) for i in range(1, len(places) + 1))),
            *("average", "diff", "paper average", "paper diff"),
        ),
        rows=tuple(rows),
        notes=(*not_imagenet(runs), *_unfinished(runs))
        if rows
        else ("No evaluations yet: run evaluate.py on the run directories.",),
    )


def _groups(runs: Iterable[Run]) -> dict[tuple[str, str], list[Run]]:
    """Return the runs by network and padding, in the paper's order of rows, then others."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in sorted(runs, key=lambda run: (printed.place(run.arch, run.padding), run.seed)):
        groups.setdefault((run.arch, run.padding), []).append(run)
    return groups


def _places(runs: list[Run], seeds: int) -> list[int | None]:
    """Return the seed of each column: the same seed stands in the same column of every row."""
    known = sorted({run.seed for run in runs})
    return known + [None] * (seeds - len(known))


def _evaluated(run: Run, padding: str) -> float:
    result = run.evaluations[padding]
    expected = {
        "checkpoint": "best",
        "epoch": run.best_epoch,
        "precision": run.settings["train.precision"],
        "data_fingerprint": run.fingerprint,
        "count": run.val_count,
    }
    for key, value in expected.items():
        found = result.get(key)
        same = same_data(found, value) if key == "data_fingerprint" else found == value
        if not same:
            raise RunError(
                f"{run.path}/eval/{padding}.json: {key} is {found}, the run's is {value};"
                f" run evaluate.py {run.path} --padding {padding}"
            )
    correct, said = result.get("correct1"), result.get("top1")
    top1 = 100 * correct / result["count"] if type(correct) is int else None
    if top1 is None or not isinstance(said, int | float) or not abs(said - top1) < 1e-6:
        raise RunError(
            f"{run.path}/eval/{padding}.json: top1 {said} is not {correct} of {result['count']} "
            f"images in percent; run evaluate.py {run.path} --padding {padding}"
        )
    return top1


def _in_order(trained: str, used: set[str]) -> list[str]:
    """Return the training padding first, then the others in the paper's order."""
    return sorted(used, key=lambda name: (name != trained, printed.place("", name)))


def _diff(values: dict[int, float], base: dict[int, float], seeds: int) -> str:
    mean, other = _mean(values), _mean(base)
    if mean is None or other is None:
        return ""
    return _cell(mean - other, _mark(min(len(values), len(base)), seeds))


def _mean(values: dict[int, float]) -> float | None:
    return fmean(values.values()) if values else None


def _cell(value: float | None, mark: str = "") -> str:
    return "" if value is None else f"{value:.3f}{mark}"


def _mark(done: int, seeds: int) -> str:
    return "" if done >= seeds else f" ({done}/{seeds} seeds)"


def _notes(
    runs: list[Run], missing: int, paper_rows: int, formula: StdevFormula
) -> tuple[str, ...]:
    described = {
        "sample": "stdev: sample formula in every row of ours; the paper's column mixes two "
        "(results/paper/README.md).",
        "paper": "stdev: the paper's mixed formulas (results/paper/README.md).",
    }
    absent = (f"{missing} of the paper's {paper_rows} rows have no runs here.",) if missing else ()
    return (*not_imagenet(runs), described[formula], *_unfinished(runs), *absent)


def _unfinished(runs: list[Run]) -> tuple[str, ...]:
    unfinished = sum(not run.finished for run in runs)
    return (f"{unfinished} runs are not finished and do not count.",) if unfinished else ()
