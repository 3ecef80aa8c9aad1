"""Doing the next batches' work beside the training thread."""

import queue
import threading
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()
_POLL = 0.1  # s, how soon the thread notices that nobody listens any more


def prefetched(items: Iterable[T], ahead: int) -> Iterator[T]:
    """Yield `items`, which are made in a thread of their own, at most `ahead` before their time.

    What the thread raises is raised here. It ends with this iterator, whether used up or left.
    """
    ready: queue.Queue[Any] = queue.Queue(ahead)
    left = threading.Event()

    def hand_over(item: Any) -> bool:
        while not left.is_set():
            try:
                ready.put(item, timeout=_POLL)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not hand_over((item, None)):
                    return
            hand_over((_END, None))
        except BaseException as error:  # raised where the items are awaited
            hand_over((_END, error))

    thread = threading.Thread(target=work, name="loader", daemon=True)
    thread.start()
    try:
        while True:
            item, error = ready.get()
            if error is not None:
                raise error
            if item is _END:
                return
            yield item
    finally:
        left.set()
        thread.join()
