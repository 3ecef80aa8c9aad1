"""The paper's tables that can be made from the runs at hand, of each task its own."""

from dataclasses import replace
from functools import partial

from results.collect import Run, of_task, read_mirrored
from results.diverged import with_and_without
from results.mode_scores import READINGS
from results.numbers import MEASURES, Measure
from results.render import Table
from results.statistics import StdevFormula
from results.tables.accuracy import accuracy_table
from results.tables.cross import cross_table, matrix_table
from results.tables.mean_iou import cross_tables, mean_iou_table
from results.tables.near_border import border_table, leave_out_table, tile_table
from results.tables.rows import SEEDS, Columns


def make_tables(
    runs: list[Run], seeds: int | None, formula: StdevFormula, columns: Columns = "all"
) -> list[Table]:
    """Return Tables 2 to 4 where there are classification runs, 5 to 7 where of segmentation.

    Those that a diverged run is in come without it, too.

    Args:
        runs: of `collect`.
        seeds: runs of a complete row; None: the paper's 5, or 3 of segmentation.
        formula: of the stdev column of Tables 2 and 3.
        columns: 'paper': the paper's own alone.

    Raises:
        RunError: an evaluation is not of the finished run's best checkpoint on the run's own data.
    """
    made = []
    if images := of_task(runs, "classification"):
        wanted = seeds or SEEDS["classification"]
        for measure in MEASURES:
            make = partial(_accuracies, measure, wanted, formula, columns)
            made += with_and_without(images, measure, make)
        made += with_and_without(images, "best", partial(_crossed, wanted, columns))
    if scenes := of_task(runs, "segmentation"):
        wanted = seeds or SEEDS["segmentation"]
        made += with_and_without(scenes, "best", partial(_scenes, wanted, columns))
    return made


def _accuracies(
    measure: Measure, seeds: int, formula: StdevFormula, columns: Columns, runs: list[Run]
) -> list[Table]:
    return [accuracy_table(runs, measure, seeds, formula, columns)]


def _crossed(seeds: int, columns: Columns, runs: list[Run]) -> list[Table]:
    table = cross_table(runs, seeds, columns)
    return [table, matrix_table(runs, seeds)] if table.rows and columns == "all" else [table]


def _scenes(seeds: int, columns: Columns, runs: list[Run]) -> list[Table]:
    made = [mean_iou_table(runs, seeds, columns), *_in_parts(runs, seeds, columns)]
    if any(run.mirrored for run in runs):
        made += [
            replace(one, name=f"{one.name}_flip", title=f"{one.title}, mirror images averaged in")
            for one in _in_parts(read_mirrored(runs), seeds, columns)
        ]
    return made + cross_tables(runs, seeds, columns)


def _in_parts(runs: list[Run], seeds: int, columns: Columns) -> list[Table]:
    """Return Tables 6 and 7, and mIoU near the border."""
    made = [tile_table(runs, seeds, columns)]
    made += [leave_out_table(runs, seeds, reading, columns) for reading in READINGS]
    if columns == "all":
        borders = [border_table(runs, seeds, mode) for mode in ("regular", "tile 0")]
        made += [table for table in borders if table.rows]
    return made
