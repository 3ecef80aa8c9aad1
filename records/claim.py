"""Who trains a run: one command at a time, on whatever host and file system."""

import errno
import json
import os
import socket
import time
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from foundation.errors import UserError
from foundation.files import lock, read_json
from records.errors import RunError

EVERY = 5.0  # s between two signs of life
_ALIVE = 6 * EVERY  # since the last one, of whom nothing else is known
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)
_UNLOCKED = "of two commands at a time the second is noticed by the first one's progress.json alone"


def hold(folder: Path, progress: Path) -> tuple[IO[str], str]:
    """Return the lock of a run directory, and what is to be said of it, '' if nothing.

    A lock says nothing of other hosts where the file system keeps it to itself, and some keep none.
    What is left then is the sign of life that a running command gives.

    Args:
        folder: the run's.
        progress: its file that a running command writes anew every few seconds.

    Raises:
        RunError: another command holds it.
        OSError: the lock cannot be written.
    """
    path, note = folder / ".lock", ""
    for _ in range(5):
        try:
            file = lock(path, wait=False)
            break
        except BlockingIOError:
            time.sleep(0.1)  # somebody who asks how the run stands may hold it for a moment
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            note = f"{folder}: the file system has no locks ({error.strerror}); {_UNLOCKED}"
            file = open(path, "a")  # noqa: SIM115
            break
    else:
        raise RunError(f"{folder}: another command is training this run{_holder(path)}")
    os.utime(path)  # by the clock of the file system, which stamps the other file as well
    if beats(progress, path.stat().st_mtime, anywhere=bool(note)) and _goes_on(progress):
        file.close()
        raise RunError(f"{folder}: another command is training this run{_holder(path)}")
    with suppress(OSError):  # no room for it: others are not told who holds the run
        os.ftruncate(file.fileno(), 0)
        since = datetime.now(UTC).isoformat(timespec="seconds")
        os.write(file.fileno(), json.dumps([socket.gethostname(), os.getpid(), since]).encode())
    return file, note


def beats(progress: Path, now: float, anywhere: bool) -> bool:
    """Return whether a command has given a sign of life lately.

    Args:
        progress: where it gives them.
        now: s since the epoch.
        anywhere: whether one of this host's counts, too, of which a lock could tell.
    """
    try:
        age = now - progress.stat().st_mtime
        here = read_json(progress).get("host") == socket.gethostname()
    except (OSError, UserError):
        return False
    return age < _ALIVE and (anywhere or not here)


def _goes_on(progress: Path) -> bool:
    """Return whether another sign of life follows the last one, which may be a dead command's."""
    first = _stamp(progress)
    end = time.monotonic() + 2.5 * EVERY
    while time.monotonic() < end:
        time.sleep(0.2)
        if _stamp(progress) != first:
            return True
    return False


def _stamp(path: Path) -> float | None:
    return path.stat().st_mtime if path.exists() else None


def _holder(path: Path) -> str:
    """Return who holds the run, as far as that is written down."""
    try:
        host, pid, since = json.loads(path.read_text())
    except (OSError, ValueError, TypeError):
        return ""
    return f" (process {pid} on {host}, since {since})"
