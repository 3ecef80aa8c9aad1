"""The number that a run of each task is judged by, for readers without torch."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

Row = dict[str, Any]  # of metrics.jsonl


@dataclass(frozen=True)
class Score:
    """A task's score.

    Attributes:
        key: its name in a row of metrics.jsonl and in summary.json, in percent.
        title: its name for people.
        integers: names of what it follows from in a row.
        follows: how, as a format of a row.
        value: of a row, exact: a mean of several does not depend on the order of the sum.
    """

    key: str
    title: str
    integers: tuple[str, ...]
    follows: str
    value: Callable[[Row], Fraction]

    @property
    def train_key(self) -> str:
        """Its name in a row where it is of the training, which not every task has."""
        return self.key.replace("val_", "train_")


def _top1(row: Row) -> Fraction:
    return Fraction(100 * row["val_correct1"], row["val_count"])


SCORES = {
    "classification": Score(
        key="val_top1",
        title="top-1",
        integers=("val_correct1", "val_count"),
        follows="{val_correct1} of {val_count} images in percent",
        value=_top1,
    )
}


def contradiction(row: Row) -> str | None:
    """Return where a row's score is not what its integers say, which are what is believed."""
    for score in SCORES.values():
        if {score.key, *score.integers} <= row.keys() and not _agrees(row, score):
            return f"{score.key} {row[score.key]} is not {score.follows.format(**row)}"
    return None


def _agrees(row: Row, score: Score) -> bool:
    said = row[score.key]
    if not all(type(row[name]) is int and row[name] >= 0 for name in score.integers):
        return False
    try:
        value = score.value(row)
    except ZeroDivisionError:
        return False
    # Not so with NaN, which is near to nothing.
    return 0 <= value <= 100 and isinstance(said, int | float) and abs(said - value) < 1e-6
