"""The layout of a run directory and its status."""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from configs.errors import UserError
from configs.load import dump, flat, load
from configs.schema import OPERATIONAL_KEYS, Config

Status = Literal["running", "interrupted", "failed", "finished"]


class RunError(UserError):
    """A run directory cannot be used for what was asked."""


@dataclass(frozen=True)
class RunDir:
    """The paths of one run."""

    path: Path

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
    def checkpoints(self) -> Path:
        """last.pt (everything), best.pt and the last five epochs' weights."""
        return self.path / "checkpoints"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard's event files."""
        return self.path / "tensorboard"

    @property
    def evaluations(self) -> Path:
        """<padding>.json and <padding>.npz of evaluate.py."""
        return self.path / "eval"

    def config(self) -> Config:
        """Return the run's configuration.

        Raises:
            RunError: this is no run directory.
        """
        if not self.config_file.is_file():
            raise RunError(f"{self.path}: not a run directory (it has no config.yaml)")
        return load(self.config_file)

    def status(self) -> dict[str, Any]:
        """Return status.json: `status`, and `reason` where there is one; {} before the start."""
        file = self.path / "status.json"
        return read_json(file) if file.is_file() else {}

    def set_status(self, status: Status, reason: str = "") -> None:
        """Write status.json."""
        write_json(self.path / "status.json", {"status": status, "reason": reason})

    def end(self, status: Status, reason: str = "") -> bool:
        """Write how a running run ended; the first of several processes to say so is believed."""
        if self.status().get("status") != "running":
            return False
        self.set_status(status, reason)
        return True

    def is_finished(self) -> bool:
        """Tell whether the run has its summary and says that it ended."""
        return self.status().get("status") == "finished" and self.summary_file.is_file()

    def open_for(self, config: Config) -> None:
        """Create the directory for `config`, or accept it as that run's own.

        Raises:
            RunError: it holds a run of another recipe, or something else; nothing is touched.
        """
        if self.config_file.is_file():
            self._refuse_other_recipe(config)
            return
        if self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise RunError(
                f"{self.path}: exists and is not a run directory; move it away or give run.name=..."
            )
        try:
            self.checkpoints.mkdir(parents=True)
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot create it ({error.strerror}); choose another run.root"
            ) from None
        write_atomically(self.config_file, dump(config).encode())

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for one training command; the lock ends with the process.

        Raises:
            RunError: another command is training here.
        """
        with open(self.path / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise RunError(
                    f"{self.path}: another command is training this run; wait for it or stop it"
                ) from None
            yield

    def _refuse_other_recipe(self, config: Config) -> None:
        old, new = flat(self.config()), flat(config)
        changed = [key for key in new if key not in OPERATIONAL_KEYS and old[key] != new[key]]
        if changed:
            listed = ", ".join(f"{key} {old[key]} -> {new[key]}" for key in changed)
            raise RunError(
                f"{self.path}: holds a run of another recipe ({listed}); "
                f"give this one another run.name or run.root"
            )


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` when the block ends well; nobody ever meets half of it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`."""
    with atomic_writer(path) as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        RunError: it is unreadable or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: not readable JSON ({error}); restore or delete it") from None
