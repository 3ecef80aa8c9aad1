"""A process ends with the launcher that started it."""

import ctypes
import os
import signal
import sys
import threading
import time

_EVERY = 0.5  # s
_LIBC = ctypes.CDLL(None)  # loaded here: a forked child should not
_PR_SET_PDEATHSIG = 1  # <sys/prctl.h>; the standard library has no name for it


def end_with_launcher() -> None:
    """Let this process end where torchrun, or whoever started it as one of several, is gone.

    Its other processes are unknown to the next launcher: a run would go on unseen, beside the same
    command given again, or wait long for a store that is no more. To be called before anything
    that takes time, importing torch above all.
    """
    if "RANK" in os.environ:
        started_by = os.getppid()
        threading.Thread(target=_watch, args=(started_by,), name="launcher", daemon=True).start()


def _watch(started_by: int) -> None:
    while os.getppid() == started_by:
        time.sleep(_EVERY)
    rank = os.environ["RANK"]
    print(
        f"error: rank {rank}: torchrun, which started this process, is gone",
        file=sys.stderr,
        flush=True,
    )
    os._exit(1)  # the main thread may be waiting where nothing interrupts it


def stop_with_parent() -> None:
    """Let this process get SIGTERM when its parent is gone; for `subprocess.Popen(preexec_fn=)`."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
