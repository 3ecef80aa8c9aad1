"""The ledger of a sweep: how every run stands, what was spent, and what is left to do."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from launch.costs import Estimate, Measured
from launch.expand import PlannedRun
from launch.standing import Standing, standing
from records.score import SCORES


class Job(NamedTuple):
    """What a queue says of a run's job."""

    name: str  # as its commands take it, 12_3
    state: str  # PENDING, RUNNING, ...
    reason: str = ""


@dataclass(frozen=True)
class Line:
    """A run in the ledger.

    Attributes:
        run: as planned.
        standing: how it stands.
        spent: GPU-seconds of its epochs.
        unit: what a unit of its length takes, an epoch or an iteration; None: unknown.
        job: in a queue, if it has one there.
    """

    run: PlannedRun
    standing: Standing
    spent: float
    unit: Estimate | None
    job: Job | None

    @property
    def left(self) -> float | None:
        """GPU-seconds to its end, None if unknown."""
        if self.standing.state == "finished":
            return 0.0
        if self.unit is None:
            return None
        known, config = self.standing, self.run.config
        step = known.step / known.steps if known.steps else 0
        done = known.done + (step if config.task == "classification" else known.step)
        return max(0.0, config.length - done) * self.unit.gpu_seconds

    @property
    def place(self) -> str:
        """How much of its length is behind it."""
        config = self.run.config
        return f"{self.standing.done}/{config.length} {SCORES[config.task].unit}"


def ledger(
    runs: Sequence[PlannedRun],
    stated: float | None = None,
    jobs: Mapping[Path, Job] = MappingProxyType({}),
) -> list[Line]:
    """Return a line a run, from the run directories alone.

    Args:
        runs: of a sweep.
        stated: images/s of a GPU for ResNet-50 at 224 px; None: what was measured or published.
        jobs: by run directory, what a queue has.
    """
    known = [(run, _after(standing(run), jobs.get(run.directory.path))) for run in runs]
    units = [[s * one.processes for s in one.unit_seconds] for _, one in known]
    measured = Measured((run.config, own) for (run, _), own in zip(known, units, strict=True))
    return [
        Line(
            run,
            one,
            sum(one.epoch_seconds) * one.processes,
            measured.estimate(run.config, own, stated),
            jobs.get(run.directory.path),
        )
        for (run, one), own in zip(known, units, strict=True)
    ]


def _after(one: Standing, job: Job | None) -> Standing:
    """Return how a run stands after its queue was heard, which knows of hosts that are not seen."""
    if job is None or one.state == "finished":
        return one
    if job.state == "GONE":
        if one.state != "running":
            return one
        return replace(one, state="interrupted", reason=f"its job {job.name} is gone")
    if job.state in ("PENDING", "REQUEUED", "SUSPENDED"):
        because = f" ({job.reason})" if job.reason not in ("", "None") else ""
        return replace(one, state="queued", reason=f"job {job.name}{because}")
    if one.state in ("not started", "interrupted"):
        return replace(one, state="starting", reason=f"job {job.name}")
    return one


def totals(lines: Sequence[Line]) -> dict[str, Any]:
    """Return how many runs are in which state, GPU-hours spent and left, and hours to the end.

    `hours_left` supposes that as many GPUs work as do now; None: none does, or the work is unknown.
    """
    states: dict[str, int] = {}
    for line in lines:
        states[line.standing.state] = states.get(line.standing.state, 0) + 1
    left = [line.left for line in lines]
    known = sum(one for one in left if one is not None)
    gpus = sum(one.standing.processes for one in lines if one.standing.state == "running")
    return {
        "runs": len(lines),
        "states": states,
        "gpu_hours_spent": sum(line.spent for line in lines) / 3600,
        "gpu_hours_left": None if None in left else known / 3600,
        "gpus_at_work": gpus,
        "hours_left": known / 3600 / gpus if gpus and None not in left else None,
    }


def record(line: Line) -> dict[str, Any]:
    """Return a line as `--json` prints it."""
    known = line.standing
    return {
        "name": line.run.config.run.name,
        "directory": str(line.run.directory.path),
        "state": known.state,
        "reason": known.reason,
        "epoch": known.epochs,
        "done": known.done,
        SCORES[line.run.config.task].unit: line.run.config.length,
        "step": known.step,
        "steps": known.steps,
        "best": known.best,
        "images_per_second": known.images_per_second,
        "eta_seconds": known.eta,
        "host": known.host,
        "restarts": known.restarts,
        "gpu_hours_spent": line.spent / 3600,
        "gpu_hours_left": None if line.left is None else line.left / 3600,
        "job": line.job.name if line.job else None,
    }
