"""The layout of a run directory and its status."""

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from configs.load import dump, flat, load_recorded
from configs.schema import OPERATIONAL_KEYS, Config
from foundation.files import (
    is_locked,
    is_temporary,
    lock,
    read_json,
    remove_temporaries,
    write_atomically,
    write_json,
    writing,
)
from foundation.homes import expanded
from records.claim import beats, hold
from records.errors import RunError

GONE = "its process is gone"  # the reason of a run that could not say why it ended
Status = Literal["running", "interrupted", "failed", "finished"]


def evaluation_name(padding: str, flip: bool = False) -> str:
    """Return the name, without suffix, of an evaluation's files in eval/.

    One with mirror images averaged in (`eval.flip`) has its own: it is another reading, shown
    beside the first.
    """
    return f"{padding}_flip" if flip else padding


@dataclass(frozen=True)
class RunDir:
    """The paths of one run."""

    path: Path

    @classmethod
    def of(cls, config: Config) -> "RunDir":
        """Return the run directory of a configuration, which need not exist yet.

        Raises:
            UserError: nobody knows the home folder that run.root names.
        """
        return cls(expanded(config.run.root, "run.root") / config.run.name)

    @property
    def config_file(self) -> Path:
        """The resolved configuration; the only place that tells what the run is."""
        return self.path / "config.yaml"

    @property
    def environment_file(self) -> Path:
        """Provenance: commit, versions, devices, data set."""
        return self.path / "environment.json"

    @property
    def metrics_file(self) -> Path:
        """One JSON line a finished epoch."""
        return self.path / "metrics.jsonl"

    @property
    def summary_file(self) -> Path:
        """`best` and `last5_avg`; exists only when the run is finished."""
        return self.path / "summary.json"

    @property
    def progress_file(self) -> Path:
        """Where a running command stands, written anew every few seconds: its sign of life."""
        return self.path / "progress.json"

    @property
    def stop_file(self) -> Path:
        """Made by somebody who wants the run to stop; the run removes it when it does."""
        return self.path / "stop"

    @property
    def checkpoints(self) -> Path:
        """last.pt and previous.pt (everything), best.pt and the last five epochs' weights."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def evaluations(self) -> Path:
        """<padding>.json and <padding>.npz of evaluate.py."""
        return self.path / "eval"

    def config(self, overrides: Sequence[str] = ()) -> Config:
        """Return the run's configuration under `overrides` (`key.sub=value`).

        Raises:
            UserError: this is no run directory, or one of a version with other settings.
        """
        if not self.config_file.is_file():
            raise RunError(f"{self.path}: not a run directory (it has no config.yaml)")
        return load_recorded(self.config_file, overrides)

    def status(self) -> dict[str, Any]:
        """Return status.json: `status`, and `reason` where there is one; {} before the start."""
        file = self.path / "status.json"
        return read_json(file) if file.is_file() else {}

    def state(self) -> dict[str, Any]:
        """Return `status` as it is now: a killed process could not say that it ended."""
        status, held = self.status(), is_locked(self.path / ".lock")
        if status.get("status") == "finished":
            lost = {"status": "interrupted", "reason": "summary.json is missing"}
            return status if self.summary_file.is_file() else lost
        if held:
            return {"status": "running"}
        if status.get("status") == "running":
            if beats(self.progress_file, time.time(), anywhere=held is None):
                return {"status": "running"}
            return {"status": "interrupted", "reason": GONE}
        return status

    def set_status(self, status: Status, reason: str = "", **facts: Any) -> None:
        """Write status.json; `facts` say more: where the run stands, or what it ended with."""
        write_json(self.path / "status.json", {"status": status, "reason": reason} | facts)

    def end(self, status: Status, reason: str = "", **facts: Any) -> bool:
        """Write how a running run ended; the first of several processes to say so is believed."""
        if self.status().get("status") != "running":
            return False
        self.set_status(status, reason, **facts)
        return True

    def is_finished(self) -> bool:
        """Tell whether the run has its summary and says that it ended."""
        return self.status().get("status") == "finished" and self.summary_file.is_file()

    def open_for(self, config: Config) -> None:
        """Create the directory for `config`, or accept it as that run's own.

        config.yaml is what makes a run directory, so it comes last; a start that ended before is
        begun again.

        Raises:
            RunError: it holds a run of another recipe, or something else; nothing is touched.
        """
        try:
            if self.config_file.is_file():
                self._refuse_other_recipe(config)
                return
            if self.path.exists() and not self._holds_nothing():
                raise RunError(
                    f"{self.path}: exists and is not a run directory; move it away or give "
                    f"run.name=..."
                )
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot create it ({error.strerror}); choose another run.root"
            ) from None
        with self.lock():
            if self.config_file.is_file():  # another command was faster
                self._refuse_other_recipe(config)
            else:
                write_atomically(self.config_file, dump(config).encode())

    @contextmanager
    def lock(self) -> Iterator[str]:
        """Hold the run for one training command; the lock ends with the process.

        What killed commands left half written is removed. Yields what is to be said of the lock,
        '' if nothing.

        Raises:
            RunError: another command is training here.
        """
        with ExitStack() as stack:
            with writing(self.path):
                file, note = hold(self.path, self.progress_file)
                stack.enter_context(file)
                self.checkpoints.mkdir(exist_ok=True)
            for folder in (self.path, self.checkpoints):
                remove_temporaries(folder)
            yield note

    @contextmanager
    def lock_evaluations(self) -> Iterator[None]:
        """Hold eval/ while results are written there, one command after the other.

        What killed commands left half written is removed.

        Raises:
            RunError: it cannot be written.
        """
        with writing(self.evaluations):
            self.evaluations.mkdir(exist_ok=True)
            with lock(self.evaluations / ".lock"):
                remove_temporaries(self.evaluations)
                yield

    def differences(self, config: Config) -> list[str]:
        """Return in what `config` is another recipe than the run's own, key by key."""
        old, new = flat(self.config()), flat(config)
        if old["task"] != new["task"]:  # what else differs says nothing
            return [f"task {old['task']} -> {new['task']}"]
        changed = [key for key in new if key not in OPERATIONAL_KEYS and old[key] != new[key]]
        return [f"{key} {_text(old[key])} -> {_text(new[key])}" for key in changed]

    def _refuse_other_recipe(self, config: Config) -> None:
        changed = self.differences(config)
        if changed:
            raise RunError(
                f"{self.path}: holds a run of another recipe ({', '.join(changed)}); "
                f"give this one another run.name or run.root"
            )

    def _holds_nothing(self) -> bool:
        """Tell whether the directory is empty but for what a start that was broken off leaves."""
        if not self.path.is_dir():
            return False
        rest = [p for p in self.path.iterdir() if p.name != ".lock" and not is_temporary(p)]
        if rest == [self.checkpoints] and self.checkpoints.is_dir():
            return not any(self.checkpoints.iterdir())
        return not rest


def _text(value: Any) -> str:
    return "null" if value is None else str(value)
