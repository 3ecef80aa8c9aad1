"""The rows of a finished run, with everything that can show that some are missing or altered."""

import math
from typing import Any

from foundation.files import read_json
from records import metrics_log
from records.errors import RunError
from records.metrics_log import Row
from records.run_dir import RunDir
from records.score import Score
from records.summary import summarize


def finished_rows(run: RunDir, length: int, score: Score) -> list[Row]:
    """Return the rows of a run that says that it is finished, one for each of its epochs.

    Args:
        run: the run.
        length: of it, in the score's unit.
        score: of its task.

    Raises:
        RunError: the log is not what the run ended with: it is missing, cut, longer, or says
            something else than summary.json.
    """
    file = run.metrics_file
    if not file.is_file():
        raise RunError(f"{file}: missing, though the run is finished; restore it")
    rows = metrics_log.read(file)
    if not rows or _done(rows[-1], score) != length:
        raise RunError(
            f"{file}: has {len(rows)} whole rows, though the run finished {length} {score.unit}; "
            f"restore the file"
        )
    needed = {score.key, *score.integers, "val_count"}
    uncounted = [row["epoch"] for row in rows if not row.keys() >= needed]
    if uncounted:
        raise RunError(f"{file}: epoch {uncounted[0]}: has no counts; restore the file")
    if len({row["val_count"] for row in rows}) > 1:
        raise RunError(f"{file}: val_count is not the same in all epochs; restore the file")
    said, counted = read_json(run.summary_file), summarize(rows, score)
    for key in ("best", "last5_avg", "epochs"):
        if not _equal(said.get(key), counted[key]):
            raise RunError(
                f"{run.summary_file}: {key} is {said.get(key)}, by metrics.jsonl "
                f"{counted[key]}; restore the one that was changed"
            )
    return rows


def _done(row: Row, score: Score) -> int | None:
    try:
        return score.done(row)
    except KeyError:
        return None


def _equal(said: Any, counted: Any) -> bool:
    if isinstance(counted, dict):
        return isinstance(said, dict) and all(
            _equal(said.get(key), value) for key, value in counted.items()
        )
    return isinstance(said, int | float) and math.isclose(said, counted, abs_tol=1e-6)
