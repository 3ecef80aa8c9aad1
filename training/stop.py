"""Requests to stop: noted when they come, obeyed by all processes after one and the same step."""

import os
import signal
import time
from pathlib import Path
from types import FrameType

import torch
import torch.distributed as dist

from training.distributed import Process

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
_REPEATED = 1.0  # s; torchrun hands a terminal's Ctrl-C on to processes that have it already
_LOOK_AGAIN = 1.0  # s, between two looks at what others may have asked for


class Requests:
    """What this process has been asked for, by a signal or by the file `stop`.

    Nothing is raised out of a signal's handler: it would break off whatever is being written. A
    second Ctrl-C ends the process at once; files are replaced whole, so that harms none.
    """

    def __init__(self, process: Process, file: Path):
        self._process, self._file = process, file
        self._reason, self._noted = "", 0.0
        self._looked = {"file": 0.0, "store": 0.0}
        self._before: dict[int, object] = {}
        self._pending: tuple[dist.Work, torch.Tensor] | None = None

    def __enter__(self) -> "Requests":
        self._before = {one: signal.signal(one, self._note) for one in _SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        self.settle()
        for one, handler in self._before.items():
            signal.signal(one, handler)

    def _note(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self._reason and number == signal.SIGINT and now - self._noted > _REPEATED:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGINT)
        if not self._reason:
            self._reason, self._noted = signal.Signals(number).name, now

    def own(self) -> str:
        """Return what this process was asked for, '' if nothing."""
        looks = not self._reason and self._process.is_first and self._is_time("file")
        if looks and self._file.exists():
            self._file.unlink(missing_ok=True)
            self._reason = f"the file {self._file.name}"
        return self._reason

    def anywhere(self) -> str:
        """Return what any process was asked for, within a second or so.

        For the evaluation, in which processes have different numbers of batches: nothing is
        exchanged, they leave each other a word.
        """
        reason, store = self.own(), self._process.store
        if store is None:
            return reason
        if reason:
            store.set("stop", reason)
        elif self._is_time("store") and store.check(["stop"]):
            reason = store.get("stop").decode()
        return reason

    def _is_time(self, what: str) -> bool:
        now = time.monotonic()
        if now - self._looked[what] < _LOOK_AGAIN:
            return False
        self._looked[what] = now
        return True

    def agreed(self) -> bool:
        """Return whether a process had been asked when it last called this; all call it together.

        The answer comes one step later, so nobody waits for it, least of all a GPU.
        """
        asked = bool(self.own())
        if self._process.world == 1:
            return asked
        answer = self.settle()
        flag = torch.tensor([asked], dtype=torch.int32)
        work = dist.all_reduce(flag, dist.ReduceOp.MAX, async_op=True)
        self._pending = work, flag
        return answer

    def settle(self) -> bool:
        """Return the answer that is still on its way."""
        if self._pending is None:
            return False
        (work, flag), self._pending = self._pending, None
        work.wait()
        return bool(flag)
