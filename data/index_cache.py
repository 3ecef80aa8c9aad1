"""The cache file of an index: beside the data, or in the user's cache folder."""

import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import filelock
import numpy as np

CACHE_NAME = ".image_index.npz"

Arrays = dict[str, np.ndarray]


def cached(root: Path, state: str, make: Callable[[], Arrays], again: bool = False) -> Arrays:
    """Return what `make` returned for `root` last time, or call it again.

    It is called again when `state` is another, or if `again`. Processes that ask at the same time
    wait for the one that calls it.
    """
    arrays = None
    for file in _cache_files(root):
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(f"{file}.lock"):
                known = None if again or arrays else _read(file, state)
                if known is not None:
                    return known
                arrays = arrays or make()
                _write(file, arrays, state)
                return arrays
        except OSError:
            continue  # not ours to write, or no room: a cache must not stop a run
    return arrays or make()


def _cache_files(root: Path) -> list[Path]:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    fallback = home / "partial-convolution-padding" / f"{name}{CACHE_NAME}"
    return [root / CACHE_NAME, fallback] if os.access(root, os.W_OK) else [fallback]


def _read(file: Path, state: str) -> Arrays | None:
    try:
        with np.load(file) as arrays:
            return dict(arrays) if str(arrays["state"]) == state else None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # absent, or damaged


def _write(file: Path, arrays: Arrays, state: str) -> None:
    temporary = file.with_name(f"{file.name}.{os.getpid()}.npz")
    try:
        np.savez(temporary, state=np.array(state), **arrays)
        os.replace(temporary, file)
    finally:
        temporary.unlink(missing_ok=True)
