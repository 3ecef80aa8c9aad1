"""Two sets of segmentation runs, class by class, at their best epochs."""

from collections.abc import Iterable
from statistics import fmean

from data.store.labels import NAMES
from records.iou import percents
from results.collect import Run
from results.render import Table
from results.tables.groups_alike import Groups, means_of, title_of
from results.tables.rows import cell


def class_iou_table(split: str, a: Groups[Run], b: Groups[Run]) -> Table:
    """Return the mean IoU of every class on both sides, the largest difference first.

    Args:
        split: of the runs.
        a, b: finished runs, of `alike`.
    """
    means = [[_mean(each) for each in zip(*map(_ious, side.values()), strict=True)]
             for side in (a, b)]  # fmt: skip
    apart = [None if None in both else both[1] - both[0] for both in zip(*means, strict=True)]
    order = sorted(range(len(NAMES)), key=lambda i: -abs(apart[i] or 0))
    return Table(
        name=f"compare_classes_{split}",
        title=title_of(f"IoU (%) of the classes, split {split}", a, b),
        names=1,
        columns=("class", "A", "B", "B - A"),
        rows=tuple((NAMES[i], cell(means[0][i]), cell(means[1][i]), cell(apart[i])) for i in order),
        notes=(f"{means_of(a, b, 'best epochs')}.",),
    )


def _ious(runs: list[Run]) -> list[float | None]:
    """Return the mean IoU of each class over the runs."""
    each = [percents(run.rows[run.best_epoch]["confusion"]) for run in runs]
    return [_mean(ious) for ious in zip(*each, strict=True)]


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
