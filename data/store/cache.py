"""The cache files of a data set: beside the data, or in the user's cache folder."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from data.store.paths import open_regular
from foundation.files import FileError, atomic_writer, lock

CACHE_NAME = ".image_index.npz"
_FORMAT = "2"  # of the arrays

Arrays = dict[str, np.ndarray]


def cached(
    root: Path,
    is_current: Callable[[Arrays], bool],
    make: Callable[[], Arrays],
    again: bool = False,
    name: str = CACHE_NAME,
) -> Arrays:
    """Return what `make` returned for `root` and `name` last time, or call it again.

    It is called again unless the cache is whole and `is_current`, or if `again`. Processes that
    ask at the same time wait for the one that calls it.
    """
    arrays = None
    for file in _cache_files(root, name):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            held = lock(file.with_name(f"{file.name}.lock"))
        except OSError:
            continue  # not ours to write, or no locks: a cache must not stop a run
        with held:
            known = None if again or arrays else _read(file)
            if known is not None and is_current(known):
                return known
            arrays = arrays or make()
            if _write(file, arrays):
                return arrays
    return arrays or make()


def _cache_files(root: Path, name: str) -> list[Path]:
    beside = [root / name] if os.access(root, os.W_OK) else []
    try:
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except RuntimeError:  # no HOME, and a user whom the machine does not know
        return beside
    place = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    return [*beside, home / "partial-convolution-padding" / f"{place}{name}"]


def _read(file: Path) -> Arrays | None:
    try:
        with open_regular(str(file)) as opened, np.load(opened) as known:
            arrays = dict(known)
        return arrays if str(arrays.pop("digest")) == _digest(arrays) else None
    # Absent, of another version, or damaged, for which numpy and zipfile have a dozen errors.
    except Exception:
        return None


def _write(file: Path, arrays: Arrays) -> bool:
    try:
        with atomic_writer(file) as opened:
            np.savez(opened, digest=np.array(_digest(arrays)), **arrays)
        return True
    except FileError:
        return False  # no room, or no right


def _digest(arrays: Arrays) -> str:
    """Return what no damaged cache has: a wrong label in it would change the training unseen."""
    digest = hashlib.sha256(_FORMAT.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return digest.hexdigest()
