"""Two sets of segmentation runs, class by class, at their best epochs."""

from statistics import fmean

from data.store.labels import NAMES
from records.iou import percents
from results.collect import Run
from results.render import Table
from results.tables.rows import cell


def class_iou_table(a: list[Run], b: list[Run]) -> Table:
    """Return the mean IoU of every class on both sides, the largest difference first.

    Args:
        a, b: finished runs of one split.
    """
    sides = [[percents(run.rows[run.best_epoch]["confusion"]) for run in runs] for runs in (a, b)]
    means = [[_mean([ious[i] for ious in side]) for i in range(len(NAMES))] for side in sides]
    apart = [None if None in both else both[1] - both[0] for both in zip(*means, strict=True)]
    order = sorted(range(len(NAMES)), key=lambda i: -abs(apart[i] or 0))
    return Table(
        name=f"compare_classes_{a[0].split}",
        title=f"IoU (%) of the classes, split {a[0].split}",
        names=1,
        columns=("class", "A", "B", "B - A"),
        rows=tuple((NAMES[i], cell(means[0][i]), cell(means[1][i]), cell(apart[i])) for i in order),
        notes=(f"Means of {len(a)} and {len(b)} runs' best epochs.",),
    )


def _mean(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
