"""Paths as users have them: names that no terminal shows, things that are no files."""

import errno
import os
import stat
from typing import BinaryIO


def printable(name: str) -> str:
    """Return a file's name on one line: what cannot be shown as escapes."""
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def is_folder_name(name: str) -> bool:
    """Tell whether a name is that of a visible folder inside another, wherever it came from."""
    return bool(name) and not name.startswith(".") and not {"/", "\0"} & set(name)


def open_regular(path: str) -> BinaryIO:
    """Open a file of bytes without waiting for whoever would write into a FIFO.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is no regular file")
    return open(descriptor, "rb")
