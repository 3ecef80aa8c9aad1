"""Tables 2 and 3 from runs, with the paper's columns and the paper's numbers beside ours."""

from typing import Literal

from results import printed
from results.collect import Run
from results.departures import not_imagenet
from results.render import Table
from results.statistics import StdevFormula, stdev
from results.tables.rows import cell, diff, groups, incomplete, mean, seed_columns, unfinished


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
        for key, group in groups(runs).items()
    }
    seeds_shown = seed_columns(runs, seeds)
    rows = []
    for (arch, padding), values in numbers.items():
        name = printed.network(arch, padding)
        base = numbers.get((arch, "zero"), {})
        mark = incomplete(len(values), seeds)
        ours = [
            cell(mean(values), mark) or mark.strip(),
            "-" if padding == "zero" else diff(values, base, seeds),
            cell(stdev(list(values.values()), padding, formula), mark),
        ]
        printed_row = paper.get(name, {})
        theirs = [printed_row.get(c, "") for c in ("average", "diff", "stdev", *official)]
        rows.append((name, *(cell(values.get(seed)) for seed in seeds_shown), *ours, *theirs))
    return Table(
        name=f"table_{number}_{measure}",
        title=f"Table {number}: {measure} top-1 (%)",
        names=1,
        columns=(
            "Network",
            *(f"{i}_{measure}" for i in range(1, len(seeds_shown) + 1)),
            "average",
            "diff",
            "stdev",
            "paper average",
            "paper diff",
            "paper stdev",
            *official,
        ),
        rows=tuple(rows),
        notes=_notes(runs, len(paper.keys() - {row[0] for row in rows}), len(paper), formula),
    )


def _notes(
    runs: list[Run], missing: int, paper_rows: int, formula: StdevFormula
) -> tuple[str, ...]:
    described = {
        "sample": "stdev: sample formula in every row of ours; the paper's column mixes two "
        "(results/paper/README.md).",
        "paper": "stdev: the paper's mixed formulas (results/paper/README.md).",
    }
    absent = (f"{missing} of the paper's {paper_rows} rows have no runs here.",) if missing else ()
    return (*not_imagenet(runs), described[formula], *unfinished(runs), *absent)
