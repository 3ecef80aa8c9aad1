"""The list of images to leave out: one <split>/<class>/<file> a line, a tab, the reason."""

import os
from pathlib import Path

from data.interface import SPLITS, DataError


def read_excluded(file: str | Path) -> dict[str, list[bytes]]:
    """Return for each split the paths to leave out.

    Raises:
        DataError: the file cannot be read, or a line names no split.
    """
    try:
        lines = Path(file).read_bytes().splitlines()
    except OSError as error:
        raise DataError(f"data.exclude: {file}: cannot be read ({error.strerror})") from None
    excluded: dict[str, list[bytes]] = {split: [] for split in SPLITS}
    for number, line in enumerate(lines, start=1):
        path = line.split(b"\t")[0]
        if not path or path.startswith(b"#"):
            continue
        split, _, rest = path.partition(b"/")
        if os.fsdecode(split) not in SPLITS or not rest:
            raise DataError(
                f"{file}:{number}: should be train/<class>/<file> or val/<class>/<file>"
            )
        excluded[os.fsdecode(split)].append(rest)
    return excluded


def claim_excluded(file: Path, root: str | Path) -> None:
    """Make sure that `file` may be written: that it is absent, or an older list of this data set.

    Raises:
        DataError: it is anything else.
    """
    if file.exists() and (file.is_dir() or not file.read_bytes().startswith(_title(root))):
        raise DataError(f"{file}: is not the list of {root}; choose another file with --out")


def _title(root: str | Path) -> bytes:
    return b"# Images of " + os.fsencode(Path(root).resolve()) + b" to leave out (data.exclude)\n"


def write_excluded(file: Path, root: str | Path, bad: list[tuple[str, bytes, str]]) -> None:
    """Write split, path and reason of every image to leave out, replacing the file as a whole."""
    temporary = file.with_name(f".{file.name}.{os.getpid()}")
    lines = [_title(root)]
    for split, path, reason in bad:
        told = " ".join(reason.split()).encode(errors="replace")
        lines.append(split.encode() + b"/" + path + b"\t" + told + b"\n")
    temporary.write_bytes(b"".join(lines))
    os.replace(temporary, file)
