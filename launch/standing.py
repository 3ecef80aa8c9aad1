"""How a planned run stands, as its directory tells it."""

from dataclasses import dataclass

from foundation.errors import UserError
from launch.expand import PlannedRun
from records import metrics_log
from records.finished import finished_rows
from records.score import SCORES
from records.summary import best, last5_avg


@dataclass(frozen=True)
class Standing:
    """How a run stands.

    Attributes:
        state: finished, running, interrupted, failed, not started, another recipe, or damaged.
        reason: what there is to say about it.
        epochs: finished ones.
    """

    state: str
    reason: str = ""
    epochs: int = 0

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
        if directory.is_finished():
            score = SCORES[run.config.task]
            whole = finished_rows(directory, run.config.train.epochs, score)
            top, average = float(score.value(best(whole, score))), last5_avg(whole, score)
            result = f"best {top:.3f}  last5_avg {average:.3f}"
            return Standing("finished", result, len(rows))
        status = directory.state()
    except UserError as error:
        return Standing("damaged", " ".join(str(error).split("\n")))
    return Standing(status.get("status", "not started"), status.get("reason", ""), len(rows))
