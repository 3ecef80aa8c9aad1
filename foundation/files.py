"""Files: replaced whole or not at all, locked, and one clear line where that cannot be."""

import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, BinaryIO
from weakref import WeakSet

from foundation.errors import UserError

# What atomic_writer leaves of a run's files when it is killed: .last.pt.4711
_TEMPORARY = re.compile(r"\.[a-z]+(?:_[0-9]+)?\.(?:yaml|json|jsonl|pt|npz)\.[0-9]+")


class FileError(UserError):
    """A file cannot be read or written."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name `path` when the block meets a full disk, missing rights or the like.

    Raises:
        FileError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise FileError(
            f"{path}: cannot be written ({error.strerror or error}); make room, check the rights "
            f"or choose another place"
        ) from None


def is_free(path: Path) -> bool:
    """Tell whether nothing is at `path`, or an empty folder, which `replacing` may replace.

    Raises:
        FileError: nobody may look.
    """
    with writing(path):
        return not path.exists() or (path.is_dir() and not any(path.iterdir()))


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give out where the block is to make the file or folder that becomes `path` when it ends well.

    It is on disk before it has the name: after a power cut, too, nobody meets half of it.

    Raises:
        OSError: it cannot be written; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        _to_disk(temporary)
        os.replace(temporary, path)
        _name_to_disk(path)
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary, ignore_errors=True)
        else:
            temporary.unlink(missing_ok=True)


def _to_disk(path: Path) -> None:
    if path.is_dir():
        os.sync()  # once, rather than for each of a thousand files
        return
    with open(path, "rb") as file:
        os.fsync(file.fileno())


def _name_to_disk(path: Path) -> None:
    """Make sure that the folder of a file or folder that was renamed is on disk as well."""
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system can
            os.fsync(folder)
    finally:
        os.close(folder)


def duplicate(path: Path, copy: Path) -> None:
    """Make `copy` a second name of the file `path`, or a copy of it where there are no such names.

    Raises:
        FileError: it cannot be written; `copy` is as it was.
    """
    with writing(copy), replacing(copy) as temporary:
        try:
            os.link(path, temporary)
        except OSError:
            shutil.copyfile(path, temporary)


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a file, to write and to read, that replaces `path` when the block ends well.

    Raises:
        FileError: it cannot be written; `path` is as it was.
    """
    with writing(path), replacing(path) as temporary, open(temporary, "w+b") as file:
        yield file


def is_temporary(path: Path) -> bool:
    """Tell whether atomic_writer made this file of a run and did not come to its end."""
    return bool(_TEMPORARY.fullmatch(path.name))


def remove_temporaries(folder: Path) -> None:
    """Delete what killed processes left in `folder`; only for who has it locked."""
    with writing(folder):
        for path in folder.glob(".*"):
            if is_temporary(path):
                path.unlink(missing_ok=True)


def write_atomically(path: Path, content: bytes) -> None:
    """Replace `path` by `content`."""
    with atomic_writer(path) as file:
        file.write(content)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as readable JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file that holds `{name: value}`.

    Raises:
        FileError: it is unreadable, not JSON, or something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{path}: not readable JSON ({error}); restore or delete it") from None
    if not isinstance(content, dict):
        raise FileError(f"{path}: not a table of names and values; restore or delete it")
    return content


# A forked child, such as a loader's worker, would hold them beyond the end of its parent.
_locks: WeakSet[IO[str]] = WeakSet()
os.register_at_fork(after_in_child=lambda: [file.close() for file in _locks])


def lock(path: Path, wait: bool = True) -> IO[str]:
    """Return `path`, opened and locked; closing it, or the end of the process, gives the lock back.

    Raises:
        BlockingIOError: somebody else holds it, and we are not to `wait`.
        OSError: it cannot be opened, or the file system has no locks.
    """
    file = open(path, "a")  # noqa: SIM115
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        file.close()
        raise
    _locks.add(file)
    return file


def is_locked(path: Path) -> bool | None:
    """Tell whether a process, on any machine, holds the lock of a file; None: nobody can say."""
    try:
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    except OSError:  # no right to look, or a file system without locks
        return None
    return False
