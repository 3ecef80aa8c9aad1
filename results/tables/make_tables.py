"""The paper's tables that can be made from the runs at hand, of each task its own."""

from results.collect import Run, of_task
from results.mode_scores import READINGS
from results.render import Table
from results.statistics import StdevFormula
from results.tables.accuracy import Columns, accuracy_tables
from results.tables.cross import cross_table, matrix_table
from results.tables.mean_iou import cross_tables, mean_iou_table
from results.tables.near_border import border_table, leave_out_table, tile_table
from results.tables.rows import SEEDS


def make_tables(
    runs: list[Run], seeds: int | None, formula: StdevFormula, columns: Columns = "all"
) -> list[Table]:
    """Return Tables 2 to 4 where there are classification runs, 5 to 7 where of segmentation.

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
        for measure in ("best", "last5_avg"):
            made += accuracy_tables(images, measure, wanted, formula, columns)
        made.append(cross_table(images, wanted, columns))
        made += [matrix_table(images, wanted)] if made[-1].rows and columns == "all" else []
    if scenes := of_task(runs, "segmentation"):
        wanted = seeds or SEEDS["segmentation"]
        made += [mean_iou_table(scenes, wanted, columns), tile_table(scenes, wanted, columns)]
        made += [leave_out_table(scenes, wanted, reading, columns) for reading in READINGS]
        if columns == "all":
            borders = [border_table(scenes, wanted, mode) for mode in ("regular", "tile 0")]
            made += [table for table in borders if table.rows]
        made += cross_tables(scenes, wanted, columns)
    return made
