"""metrics.jsonl: one row a finished epoch."""

import json
import os
from pathlib import Path

from foundation.files import write_atomically, writing
from foundation.words import counted
from records.errors import RunError
from records.score import Row, contradiction


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
        if told := contradiction(row):
            raise RunError(f"{path}: epoch {number}: {told}; restore the file")
    return rows


def restore(path: Path, epochs: int, rows: list[Row]) -> list[Row]:
    """Make the file that of the first `epochs` epochs, as a checkpoint has them, and return them.

    A checkpoint may be older than the file: the epochs after it are run again.

    Args:
        path: the file.
        epochs: that the checkpoint was saved after.
        rows: of them, that it holds; those of older versions hold none.

    Raises:
        RunError: the rows of some epochs are lost.
    """
    if len(rows) < epochs:
        rows = read(path)[:epochs]
    if len(rows) < epochs:
        raise RunError(
            f"{path}: has {counted(len(rows), 'epoch')}, but the checkpoint was saved after "
            f"{epochs}; restore the file, or delete the run directory to start over"
        )
    write_atomically(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
    return rows
