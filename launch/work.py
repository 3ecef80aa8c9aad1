"""What is to be done of a run: its training or its evaluations, as plain words for any launcher."""

import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from foundation.errors import UserError
from foundation.files import read_json
from launch.expand import PlannedRun
from launch.standing import Standing
from records.run_dir import GONE, RunDir, evaluation_name

ROOT = Path(__file__).resolve().parent.parent
_PREDICTIONS = "--save-predictions"
_TORCHRUN = (sys.executable, "-m", "torch.distributed.run")


@dataclass(frozen=True)
class Work:
    """A command for one run.

    Attributes:
        name: the run's.
        directory: the run's.
        script: train.py or evaluate.py with its arguments, but for the paddings.
        paddings: that it evaluates; none: it trains.
        asked: what eval/<padding>.json must say, besides that it is of the best checkpoint.
    """

    name: str
    directory: str
    script: tuple[str, ...]
    paddings: tuple[str, ...] = ()
    asked: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def command(self, processes: int) -> list[str]:
        """Return the command line that does it on this machine."""
        return [*_TORCHRUN, "--standalone", f"--nproc-per-node={processes}", *self.words()]

    def words(self) -> list[str]:
        """Return what torchrun starts, to do what is missing."""
        return [*self.script, *(["--padding", *self._missing()] if self.paddings else [])]

    def _missing(self) -> list[str]:
        run = RunDir(Path(self.directory))
        folder = run.evaluations / "predictions" if _PREDICTIONS in self.script else None
        return [
            padding
            for padding in self.paddings
            if not is_evaluated(run, padding, self.asked)
            or (folder and not (folder / _name(padding, self.asked)).is_dir())
        ]

    def standing(self) -> Standing:
        """Return how it stands, by what is in the run directory."""
        run = RunDir(Path(self.directory))
        try:
            if self.paddings:
                missing = self._missing()
                told = f"not evaluated with {', '.join(missing)}"
                return Standing("failed", told) if missing else Standing("finished")
            status = run.state()
        except UserError as error:
            return Standing("damaged", " ".join(str(error).split("\n")))
        return Standing(status.get("status", "not started"), status.get("reason", ""))

    def ended(self) -> Standing:
        """Return how it stands after a command for it ended: one that was killed has failed."""
        known = self.standing()
        if known.state == "interrupted" and known.reason == GONE:
            return Standing("failed", GONE)
        return known

    def content(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        return asdict(self)


def training(run: PlannedRun) -> Work:
    """Return the training of a run."""
    script = (str(ROOT / "train.py"), str(run.file), *run.overrides)
    return Work(run.config.run.name, str(run.directory.path), script)


def evaluation(
    run: PlannedRun,
    paddings: Sequence[str],
    overrides: Sequence[str] = (),
    save_predictions: bool = False,
) -> Work:
    """Return the evaluation of a finished run's best checkpoint.

    Args:
        run: the run.
        paddings: to evaluate it under.
        overrides: `key.sub=value`, that evaluate.py takes.
        save_predictions: of segmentation: whether every pixel's class is written, too.
    """
    directory, asked = str(run.directory.path), {}
    if run.config.task == "segmentation":  # the sweep's, whatever the run's config.yaml holds
        asked = {"tile": run.config.eval.tile, "flip": run.config.eval.flip}
        told = {f"eval.{key}": f"{value}".lower() for key, value in asked.items()}
        rest = [word for word in overrides if word.partition("=")[0] not in told]
        overrides = [*rest, *(f"{key}={value}" for key, value in told.items())]
    words = (*overrides, *([_PREDICTIONS] if save_predictions else []))
    script = (str(ROOT / "evaluate.py"), directory, *words)
    return Work(run.config.run.name, directory, script, tuple(paddings), asked)


def is_evaluated(run: RunDir, padding: str, asked: Mapping[str, Any]) -> bool:
    """Return whether the best checkpoint's evaluation under a padding is there, whole, as asked."""
    file = run.evaluations / f"{_name(padding, asked)}.json"
    with suppress(UserError):  # damaged: it is made again
        wanted = {"checkpoint": "best", **asked}
        return file.is_file() and wanted.items() <= read_json(file).items()
    return False


def _name(padding: str, asked: Mapping[str, Any]) -> str:
    return evaluation_name(padding, asked.get("flip", False))
