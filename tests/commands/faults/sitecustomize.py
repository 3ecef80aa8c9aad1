"""Imported by every Python process that has this folder on its path: ends one at a chosen moment.

FAULT is "RANK OPERATION VICTIM": before the process of that rank does its so manieth operation on
a file of its run, the victim is killed: itself ("rank"), torchrun ("launcher"), or all of them; or
the operation fails as no operation should ("error").
"""

import os
import signal
import sys
from pathlib import Path

_OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.link", "os.truncate"}


def _kill(victim: str) -> None:
    if victim == "error":
        raise RuntimeError("injected fault")
    launcher = os.getppid()
    children = Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
    pids = {"rank": [], "launcher": [launcher], "all": [launcher, *map(int, children)]}[victim]
    for pid in pids:
        if pid != os.getpid():
            os.kill(pid, signal.SIGKILL)
    if victim != "launcher":
        os.kill(os.getpid(), signal.SIGKILL)


def _prepare(rank: str, operation: str, victim: str) -> None:
    root = next((w.partition("=")[2] for w in sys.argv if w.startswith("run.root=")), None)
    if root is None or os.environ.get("RANK") != rank:
        return
    left = int(operation)

    def hook(event: str, details: tuple) -> None:
        nonlocal left
        if event not in _OPERATIONS or not str(details[0]).startswith(root):
            return
        if event == "open" and not details[2] & (os.O_WRONLY | os.O_RDWR):
            return
        left -= 1
        if left == 0:
            _kill(victim)

    sys.addaudithook(hook)


if "FAULT" in os.environ and "RANK" in os.environ:
    # sys.argv is not there yet when this is imported.
    sys.argv = getattr(sys, "argv", None) or Path("/proc/self/cmdline").read_text().split("\0")
    _prepare(*os.environ["FAULT"].split())
