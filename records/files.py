"""Files of a run: replaced whole or not at all, and one clear line where that cannot be."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from configs.errors import UserError

# What atomic_writer leaves behind when it is killed: .last.pt.4711
_TEMPORARY = re.compile(r"\.[a-z]+(?:_[0-9]+)?\.(?:yaml|json|jsonl|pt|npz)\.[0-9]+")


class RunError(UserError):
    """A run directory cannot be used for what was asked."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name `path` when the block meets a full disk, missing rights or the like.

    Raises:
        RunError: in place of an OSError.
    """
    try:
        yield
    except OSError as error:
        raise RunError(
            f"{path}: cannot be written ({error.strerror or error}); make room, check the rights "
            f"or choose another place"
        ) from None


@contextmanager
def atomic_writer(path: Path) -> Iterator[BinaryIO]:
    """Open a file that replaces `path` when the block ends well; nobody ever meets half of it.

    Raises:
        RunError: it cannot be written; `path` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with writing(path):
        try:
            with open(temporary, "w+b") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def is_temporary(path: Path) -> bool:
    """Tell whether atomic_writer made this file and did not come to its end."""
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
        RunError: it is unreadable, not JSON, or something else.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise RunError(f"{path}: not readable JSON ({error}); restore or delete it") from None
    if not isinstance(content, dict):
        raise RunError(f"{path}: not a table of names and values; restore or delete it")
    return content
