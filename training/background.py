"""Work that goes on beside the training, one piece after the other."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor


class Background:
    """A thread for what would keep the training waiting; its errors are raised here."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, "background")
        self._work: Future[None] | None = None

    def __enter__(self) -> "Background":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def begin(self, function: Callable[[], None]) -> None:
        """Start `function`; what was begun before comes to its end first."""
        self.wait()
        self._work = self._thread.submit(function)

    def check(self) -> None:
        """Raise what the last piece of work ended with, if it has ended."""
        if self._work is not None and self._work.done():
            self.wait()

    def wait(self) -> None:
        """Wait for the last piece of work, and raise what it ended with."""
        work, self._work = self._work, None
        if work is not None:
            work.result()
