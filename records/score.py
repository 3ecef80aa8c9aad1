"""What a run of each task is judged by, and how long it is, for readers without torch."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from records.iou import CLASSES, mean_iou

Row = dict[str, Any]  # of metrics.jsonl


@dataclass(frozen=True)
class Score:
    """A task's score.

    Attributes:
        key: its name in a row of metrics.jsonl and in summary.json, in percent.
        title: its name for people.
        integers: names of what it follows from in a row, integers or tables of them.
        follows: how, as a format of a row.
        value: of a row, exact: a mean of several does not depend on the order of the sum.
        length_key: the setting that says how long a run is.
        done: how much of that is done after a row.
    """

    key: str
    title: str
    integers: tuple[str, ...]
    follows: str
    value: Callable[[Row], Fraction]
    length_key: str
    done: Callable[[Row], int]

    @property
    def unit(self) -> str:
        """What a run's length is counted in."""
        return self.length_key.rpartition(".")[2]

    @property
    def train_key(self) -> str:
        """Its name in a row where it is of the training, which not every task has."""
        return self.key.replace("val_", "train_")


def _top1(row: Row) -> Fraction:
    return Fraction(100 * row["val_correct1"], row["val_count"])


def _miou(row: Row) -> Fraction:
    value = mean_iou(row["confusion"])
    if value is None:
        raise ZeroDivisionError("nothing is labelled")
    return 100 * value


SCORES = {
    "classification": Score(
        key="val_top1",
        title="top-1",
        integers=("val_correct1", "val_count"),
        follows="{val_correct1} of {val_count} images in percent",
        value=_top1,
        length_key="train.epochs",
        done=lambda row: row["epoch"] + 1,
    ),
    "segmentation": Score(
        key="val_miou",
        title="mIoU",
        integers=("confusion",),
        follows="the mean IoU of its confusion matrix in percent",
        value=_miou,
        length_key="train.iterations",
        done=lambda row: row["iteration"],
    ),
}


def contradiction(row: Row) -> str | None:
    """Return where a row's score is not what its integers say, which are what is believed."""
    for score in SCORES.values():
        if {score.key, *score.integers} <= row.keys() and not _agrees(row, score):
            return f"{score.key} {row[score.key]} is not {score.follows.format(**row)}"
    return None


def _agrees(row: Row, score: Score) -> bool:
    said = row[score.key]
    if not all(_counts(row[name]) for name in score.integers):
        return False
    try:
        value = score.value(row)
    except ZeroDivisionError:
        return False
    # Not so with NaN, which is near to nothing.
    return 0 <= value <= 100 and isinstance(said, int | float) and abs(said - value) < 1e-6


def _counts(value: Any) -> bool:
    """Tell whether a value is a count, or a square table of them."""
    if isinstance(value, list):
        rows = [row for row in value if isinstance(row, list) and len(row) == CLASSES]
        return len(rows) == len(value) == CLASSES and all(
            type(count) is int and count >= 0 for row in rows for count in row
        )
    return type(value) is int and value >= 0
