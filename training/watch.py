"""A thread that says that this process lives, and ends it where its life is of no use."""

import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from training.distributed import Process

_EVERY = 0.5  # s
_SILENT = 3.0  # s without a word: a process that says one every _EVERY has been stopped
_DOING = ("loading", "computing", "evaluating", "waiting for the others")


class Watch:
    """Watches over one process of a run, from inside.

    A process whose collective hangs cannot say so, as it waits in it. This thread says which
    process the others wait for, and ends its own.
    """

    def __init__(self, process: Process, timeout: float, every: Callable[[], None]):
        """Watch a run.

        Args:
            process: this one.
            timeout: s without progress after which a run hangs.
            every: called twice a second.
        """
        self._process, self._timeout, self._every = process, timeout, every
        self._place: tuple[int, int, int] = (0, 0, 0)
        self._moved = time.monotonic()
        self._told = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        if self._process.store is not None:
            self._tell()  # at once: a process stopped in its first moments has begun, too
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def at(self, epoch: int, step: int, doing: str) -> None:
        """Note where the process is; `doing` is one of _DOING, in the order of a step."""
        self._place, self._moved = (epoch, step, _DOING.index(doing)), time.monotonic()

    def _run(self) -> None:
        while not self._over.wait(_EVERY):
            self._every()
            if self._process.store is None:
                continue
            try:
                self._tell()
                if time.monotonic() - self._moved > self._timeout:
                    self._end(f"no step for {self._timeout:g} s (train.timeout): {self._whom()}")
            except RuntimeError:  # the store went with the first node; the next collective fails
                continue

    def _tell(self) -> None:
        self._told += 1
        word = [socket.gethostname(), os.getpid(), self._told, self._place]
        self._process.store.set(f"watch {self._process.rank}", json.dumps(word))

    def _whom(self) -> str:
        """Return which processes say nothing more, or else which are behind."""
        before = self._words()
        end = time.monotonic() + _SILENT
        while time.monotonic() < end:  # the others may be asking the same
            time.sleep(_EVERY)
            self._tell()
        words = self._words()
        last = min((place for *_, place in words.values()), default=None)
        silent = [rank for rank, word in words.items() if before.get(rank) == word]
        behind = [rank for rank, (*_, place) in words.items() if place == last]
        missing = [f"rank {rank} never began" for rank in range(self._process.world)
                   if rank not in words]  # fmt: skip
        named = [_described(rank, *words[rank], rank in silent) for rank in silent or behind]
        return "; ".join(missing or named)

    def _words(self) -> dict[int, list[Any]]:
        """Return what each process said last."""
        keys = {rank: f"watch {rank}" for rank in range(self._process.world)}
        store = self._process.store
        return {
            rank: json.loads(store.get(key)) for rank, key in keys.items() if store.check([key])
        }

    def _end(self, reason: str) -> None:
        print(f"error: rank {self._process.rank}: {reason}", file=sys.stderr, flush=True)
        os._exit(1)


def _described(
    rank: int, host: str, pid: int, number: int, place: list[int], is_silent: bool
) -> str:
    epoch, step, doing = place
    return (
        f"rank {rank} ({host}, process {pid}) {'says nothing more: it was' if is_silent else 'is'} "
        f"in epoch {epoch + 1}, step {step}, {_DOING[doing]}"
    )
