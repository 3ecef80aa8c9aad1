"""metrics.jsonl: one row a finished epoch."""

import json
import os
from pathlib import Path
from typing import Any

from foundation.files import write_atomically, writing
from records.run_dir import RunError

Row = dict[str, Any]


def append(path: Path, row: Row) -> None:
    """Add a row and make sure that it is on disk.

    Raises:
        RunError: there is no room for it.
    """
    with writing(path), open(path, "a") as file:
        file.write(json.dumps(row) + "\n")
        file.flush()
        os.fsync(file.fileno())


def read(path: Path) -> list[Row]:
    """Return all complete rows; [] when there is no file yet.

    A last line without its end is what a crash left of an epoch; that epoch has no checkpoint
    either, so it counts as never run.

    Raises:
        RunError: a complete line is not a row, or the epochs are not 0, 1, 2, ...
    """
    if not path.exists():
        return []
    try:
        *lines, _ = path.read_text().split("\n")
        rows = [json.loads(line) for line in lines]
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: a line is not JSON ({error}); restore the file") from None
    for number, row in enumerate(rows):
        if not isinstance(row, dict) or row.get("epoch") != number:
            raise RunError(f"{path}: the epochs are not 0, 1, 2, ...; restore the file")
        _check_counts(path, row)
    return rows


def _check_counts(path: Path, row: Row) -> None:
    """Refuse a row whose percentage is not what its counts say; the counts are what is believed."""
    if not {"val_top1", "val_correct1", "val_count"} <= row.keys():
        return  # of another task
    top1, correct, count = row["val_top1"], row["val_correct1"], row["val_count"]
    if (
        type(correct) is not int
        or type(count) is not int
        or not 0 <= correct <= count
        or count == 0
        or not isinstance(top1, int | float)
        or not abs(top1 - 100 * correct / count) < 1e-6  # which no NaN is
    ):
        raise RunError(
            f"{path}: epoch {row['epoch']}: val_top1 {top1} is not {correct} of {count} images in "
            f"percent; restore the file"
        )


def truncate(path: Path, epochs: int) -> list[Row]:
    """Keep the rows of the first `epochs` epochs, and return them.

    A crash between an epoch's row and its checkpoint leaves one row too many, never more.

    Raises:
        RunError: there are fewer, or so many more that a checkpoint must have been lost.
    """
    rows = read(path)
    if len(rows) > epochs + 1:
        raise RunError(
            f"{path}: has {len(rows)} epochs, but the last checkpoint is of epoch {epochs}; "
            f"restore checkpoints/last.pt, or delete the run directory to start over"
        )
    if len(rows) < epochs:
        raise RunError(
            f"{path}: has {len(rows)} epochs, but the checkpoint was saved after {epochs}; "
            f"restore the file, or delete the run directory to start over"
        )
    kept = rows[:epochs]
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in kept).encode())
    return kept
