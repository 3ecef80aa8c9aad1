"""How a planned run stands, as its directory tells it."""

from dataclasses import dataclass
from typing import Any

from foundation.errors import UserError
from foundation.files import read_json
from launch.expand import PlannedRun
from records import metrics_log
from records.finished import finished_rows
from records.run_dir import RunDir
from records.score import SCORES, Row, Score
from records.summary import best, last5_avg


@dataclass(frozen=True)
class Standing:
    """How a run stands.

    Attributes:
        state: finished, running, interrupted, failed, not started, another recipe, or damaged.
        reason: what there is to say about it.
        epochs: finished ones.
        done: of the run's length, in its unit: epochs or iterations.
        step: of the next epoch, where it was last heard of.
        steps: in an epoch, 0 where that is not known.
        best: the best score so far, in percent.
        images_per_second: lately.
        eta: s to its end, of a running one.
        host: that trains it, or did.
        restarts: how often it was resumed.
        processes: of its latest session, one a GPU.
        epoch_seconds: of each finished epoch, evaluation included.
        unit_seconds: the same for a unit of the run's length.
    """

    state: str
    reason: str = ""
    epochs: int = 0
    done: int = 0
    step: int = 0
    steps: int = 0
    best: float | None = None
    images_per_second: float | None = None
    eta: float | None = None
    host: str = ""
    restarts: int = 0
    processes: int = 1
    epoch_seconds: tuple[float, ...] = ()
    unit_seconds: tuple[float, ...] = ()

    def __str__(self) -> str:
        return self.state + (f": {self.reason}" if self.reason else "")


def standing(run: PlannedRun) -> Standing:
    """Return how a run stands; whatever is wrong with its files is a state of its own."""
    directory = run.directory
    try:
        if not directory.config_file.is_file():
            return Standing("not started")
        differences = directory.differences(run.config)
        if differences:
            return Standing("another recipe", ", ".join(differences))
        rows = metrics_log.read(directory.metrics_file)
        score = SCORES[run.config.task]
        facts = _facts(directory, rows, score)
        if directory.is_finished():
            whole = finished_rows(directory, run.config.length, score)
            top, average = float(score.value(best(whole, score))), last5_avg(whole, score)
            result = f"best {top:.3f}  last5_avg {average:.3f}"
            if run.config.task != "classification":
                result += f" ({score.title})"
            return Standing("finished", result, **facts)
        status = directory.state()
        facts |= {"step": status.get("step", 0)}
        if status.get("status") == "running":
            facts |= _progress(directory, len(rows))
    except UserError as error:
        return Standing("damaged", " ".join(str(error).split("\n")))
    except (TypeError, KeyError, AttributeError):  # JSON, but not of the form that a run writes
        return Standing("damaged", f"{directory.path}/: a file of it was altered; restore it")
    return Standing(status.get("status", "not started"), status.get("reason", ""), **facts)


def _facts(directory: RunDir, rows: list[Row], score: Score) -> dict[str, Any]:
    """Return what log and environment.json tell of a run in any state."""
    file = directory.environment_file
    first = read_json(file) if file.is_file() else {}
    latest = first | (first.get("resumed") or [{}])[-1]
    done = [score.done(row) for row in rows]
    units = [end - before for before, end in zip([0, *done], done, strict=False)]
    timed = [(row["seconds"], n) for row, n in zip(rows, units, strict=True) if "seconds" in row]
    return {
        "epochs": len(rows),
        "done": done[-1] if done else 0,
        "best": float(score.value(best(rows, score))) if rows else None,
        "images_per_second": rows[-1].get("images_per_second") if rows else None,
        "host": latest.get("host", ""),
        "restarts": first.get("restarts", 0),
        "processes": latest.get("world_size", 1),
        "epoch_seconds": tuple(seconds for seconds, _ in timed),
        "unit_seconds": tuple(seconds / units for seconds, units in timed),
    }


def _progress(directory: RunDir, epochs: int) -> dict[str, Any]:
    """Return what a running command says of where it is; nothing yet, if it only begins."""
    try:
        said = read_json(directory.progress_file)
    except UserError:
        return {}
    keys = ("host", "steps", "eta", "images_per_second")
    here = {"step": said["step"]} if said.get("epoch") == epochs and "step" in said else {}
    return {key: said[key] for key in keys if key in said} | here
