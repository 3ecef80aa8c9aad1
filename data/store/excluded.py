"""The list of images to leave out: one <split>/<class>/<file> a line, a tab, the reason.

A path with a character that would end it (a tab, a line's end) is written as JSON writes strings,
in double quotes. No other path begins with one, so that older lists read as they did.
"""

import json
import os
from pathlib import Path

from data.store.dataset import SPLITS, DataError
from data.store.machine import machine_error
from data.store.paths import printable
from foundation.files import write_atomically
from foundation.homes import expanded

_ENDS = b"\t\n\r"


def read_excluded(file: str | Path) -> dict[str, list[bytes]]:
    """Return for each split the paths to leave out.

    Raises:
        DataError: the file cannot be read, or a line names no split.
    """
    try:
        lines = expanded(file).read_bytes().splitlines()
    except OSError as error:
        told = DataError(f"data.exclude: {file}: cannot be read ({error.strerror})")
        raise machine_error(error) or told from None
    excluded: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    for number, line in enumerate(lines, start=1):
        path = line.split(b"\t")[0]
        if not path or path.startswith(b"#"):
            continue
        try:
            split, _, rest = _unquoted(path).partition(b"/")
            excluded[os.fsdecode(split)].append(rest)
        except (ValueError, KeyError):
            rest = b""
        if not rest:
            raise DataError(
                f"{file}:{number}: should be train/<class>/<file> or val/<class>/<file>"
            )
    return excluded


def _quoted(path: bytes) -> bytes:
    if not any(end in path for end in _ENDS):
        return path
    return json.dumps(os.fsdecode(path)).encode()


def _unquoted(path: bytes) -> bytes:
    return os.fsencode(json.loads(path)) if path.startswith(b'"') else path


def claim_excluded(file: Path, root: str | Path) -> None:
    """Make sure that `file` may be written: that it is absent, or an older list of this data set.

    Raises:
        DataError: it is anything else, or cannot be written.
    """
    if not file.parent.is_dir():
        raise DataError(f"{file.parent}: there is no such folder; create it, or give another --out")
    if file.exists() and (not file.is_file() or not _content(file).startswith(_title(root))):
        raise DataError(f"{file}: is not the list of {root}; choose another file with --out")
    if not os.access(file.parent, os.W_OK):
        raise DataError(f"{file.parent}: cannot be written; choose another file with --out")


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise DataError(
            f"{file}: cannot be read ({error.strerror}); choose another file with --out"
        ) from None


def _title(root: str | Path) -> bytes:
    place = printable(str(Path(root).resolve())).encode()
    return b"# Images of " + place + b" to leave out (data.exclude)\n"


def write_excluded(file: Path, root: str | Path, bad: list[tuple[str, bytes, str]]) -> None:
    """Write split, path and reason of every image to leave out, replacing the file as a whole.

    Raises:
        FileError: there is no room, or no right.
    """
    lines = [_title(root)]
    for split, path, reason in bad:
        told = " ".join(reason.split()).encode(errors="replace")
        lines.append(_quoted(split.encode() + b"/" + path) + b"\t" + told + b"\n")
    write_atomically(file, b"".join(lines))
