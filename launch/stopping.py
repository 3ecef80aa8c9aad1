"""Stopping runs at their exact step, when whoever started them is told to stop."""

import os
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import FrameType

from launch.work import Work
from records.run_dir import RunDir

_REPEATED = 1.0  # s, after which a second Ctrl-C is one


class StopSignals:
    """Signals, noted while the block lasts; true once there was one. Nothing is raised.

    Attributes:
        first: the number of the first one, 0 before.
        urgent: whether somebody pressed Ctrl-C again.
    """

    def __init__(self, *numbers: int):
        self._numbers = numbers
        self._before: dict[int, object] = {}
        self._noted = 0.0
        self.first, self.urgent = 0, False

    def __enter__(self) -> "StopSignals":
        for number in self._numbers:
            # nohup's wish is respected; SIGINT is ignored in a shell's background jobs, where
            # whoever sends it all the same means it.
            if number == signal.SIGHUP and signal.getsignal(number) == signal.SIG_IGN:
                continue
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def __bool__(self) -> bool:
        return bool(self.first)

    def _note(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if not self.first:
            self.first, self._noted = number, now
        elif number == signal.SIGINT and now - self._noted > _REPEATED:
            self.urgent = True


def ask_to_stop(work: Work, process: subprocess.Popen) -> None:
    """Ask a work to stop; a run in training saves its exact step, however long that takes."""
    run = RunDir(Path(work.directory))
    with suppress(Exception):  # damaged, full or gone: a signal will do
        if not work.paddings and run.status().get("status") == "running":
            run.stop_file.touch()
            return
    with suppress(ProcessLookupError):
        process.terminate()  # torchrun, or srun, passes it on; its processes have 30 s


def clear_request(work: Work) -> None:
    """Remove a request that came too late, which would stop the run's next start."""
    with suppress(OSError):
        RunDir(Path(work.directory)).stop_file.unlink(missing_ok=True)


def kill(process: subprocess.Popen) -> None:
    """End a work at once; its processes notice that their launcher is gone."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
