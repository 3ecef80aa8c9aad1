"""One scan of an image folder: paths, classes and sizes, remembered in a cache file.

python -m data.index ROOT
"""

import argparse
import hashlib
import os
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import filelock
import numpy as np
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset
from tqdm import tqdm

from configs.errors import run_command
from data.interface import DataError

SPLITS = ("train", "val")
CACHE_NAME = ".image_index.npz"
_SCAN_THREADS = 16  # reading headers waits for the disk, not for the processor


@dataclass(frozen=True)
class Split:
    """The images of train/ or val/, in torchvision's ImageFolder order.

    Attributes:
        folder: where the paths start.
        paths: (n,) file-system bytes, relative to `folder`.
        labels: (n,) int64 class of each image.
        sizes: (n, 2) int32 height and width in pixels.
    """

    folder: Path
    paths: np.ndarray
    labels: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.paths)

    def path(self, sample: int) -> Path:
        """Return the file of a sample."""
        return self.folder / os.fsdecode(bytes(self.paths[sample]))


@dataclass(frozen=True)
class Index:
    """An image folder: its classes in order, and its two splits."""

    classes: tuple[str, ...]
    train: Split
    val: Split

    @property
    def fingerprint(self) -> str:
        """Digest of names, labels and sizes: equal for equal data sets, wherever they lie."""
        digest = hashlib.sha256("\n".join(self.classes).encode(errors="surrogateescape"))
        for split in (self.train, self.val):
            for array in (split.paths, split.labels, split.sizes):
                digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]


def load_index(root: str | Path) -> Index:
    """Return the index of `root`, from its cache where the folders have not changed since.

    Processes that ask at the same time wait for the one that scans.

    Raises:
        DataError: `root` is no image folder with train/<class>/ and val/<class>/, a class is empty,
            the classes of the splits differ, or a file is no image.
    """
    root = Path(root)
    classes = _check_layout(root)
    state = _folder_state(root)
    for cache in _cache_files(root):
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(f"{cache}.lock"):
                index = _read_cache(cache, root, classes, state)
                if index is None:
                    index = _scan_splits(root, classes)
                    _write_cache(cache, index, state)
                return index
        except OSError:
            continue  # not ours to write, or no room: a cache must not stop a run
    return _scan_splits(root, classes)


def _check_layout(root: Path) -> tuple[str, ...]:
    if not os.path.isdir(root):  # False, too, where a parent cannot be read
        raise DataError(f"{root}: there is no such folder; set data.root to your image folder")
    names = {split: _class_names(root, split) for split in SPLITS}
    only = {
        split: sorted(set(names[split]) - set(names[other]))
        for split, other in zip(SPLITS, reversed(SPLITS), strict=True)
    }
    if any(only.values()):
        listed = "; ".join(
            f"{len(extra)} only in {split}/ ({', '.join(extra[:3])}{', ...' * (len(extra) > 3)})"
            for split, extra in only.items()
            if extra
        )
        raise DataError(f"{root}: train/ and val/ must have the same class folders: {listed}")
    return tuple(names["train"])


def _class_names(root: Path, split: str) -> list[str]:
    folder = root / split
    if not os.path.isdir(folder):
        raise DataError(f"{folder}: missing; data.root must hold train/<class>/ and val/<class>/")
    try:
        names = find_classes(str(folder))[0]
        closed = [name for name in names if not os.access(folder / name, os.R_OK | os.X_OK)]
        if closed:
            raise DataError(f"{folder / closed[0]}: cannot be read; check its rights")
        return names
    except FileNotFoundError:  # no folder inside
        flat = any(entry.name.lower().endswith(IMG_EXTENSIONS) for entry in folder.iterdir())
        what = "holds images but no class folders" if flat else "has no class folders"
        raise DataError(
            f"{folder}: {what}; move each image into {split}/<class>/"
            + (" (ImageNet's devkit lists the class of each)" if flat else "")
        ) from None
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its rights") from None


def _folder_state(root: Path) -> str:
    """Digest the modification times of all folders: adding or removing a file changes it."""
    digest = hashlib.sha256()
    for split in SPLITS:
        for entry in sorted(os.scandir(root / split), key=lambda entry: entry.name):
            if entry.is_dir():
                digest.update(f"{split}/{entry.name} {entry.stat().st_mtime_ns}\n".encode(
                    errors="surrogateescape"))  # fmt: skip
    return digest.hexdigest()


def _scan_splits(root: Path, classes: tuple[str, ...]) -> Index:
    return Index(classes, *(_scan(root / split, classes) for split in SPLITS))


def _scan(folder: Path, classes: tuple[str, ...]) -> Split:
    labels_of = {name: label for label, name in enumerate(classes)}
    try:
        samples = make_dataset(str(folder), labels_of, IMG_EXTENSIONS)
    except FileNotFoundError as error:  # a class without images
        reason = str(error).split("Supported")[0].strip()
        raise DataError(f"{folder}: {reason} Add images or delete the class folder") from None
    files = [file for file, _ in samples]
    with ThreadPoolExecutor(_SCAN_THREADS) as pool:
        headers = tqdm(
            pool.map(_size, files),
            total=len(files),
            desc=f"indexing {folder.name}/",
            unit="img",
            disable=None,  # no bar where stderr is no terminal
        )
        sizes = list(headers)
    bad = [f"{f} ({s})" for f, s in zip(files, sizes, strict=True) if isinstance(s, str)]
    if bad:
        listed = ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")
        raise DataError(
            f"{len(bad)} files are no readable images: {listed}; replace or delete them"
        )
    start = len(os.fsencode(folder)) + 1
    return Split(
        folder,
        np.array([os.fsencode(file)[start:] for file in files]),
        np.array([label for _, label in samples], dtype=np.int64),
        np.array(sizes, dtype=np.int32),
    )


def _size(file: str) -> tuple[int, int] | str:
    """Return height and width from the header, or why there is none."""
    try:
        with Image.open(file) as image:
            return image.height, image.width
    except Image.UnidentifiedImageError:
        return "not an image"
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        return str(error)


def _cache_files(root: Path) -> list[Path]:
    """Beside the data; where that cannot be written, in the user's cache folder."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    name = hashlib.sha256(os.fsencode(root.resolve())).hexdigest()[:16]
    fallback = home / "partial-convolution-padding" / f"{name}{CACHE_NAME}"
    return [root / CACHE_NAME, fallback] if os.access(root, os.W_OK) else [fallback]


def _read_cache(cache: Path, root: Path, classes: tuple[str, ...], state: str) -> Index | None:
    try:
        with np.load(cache) as arrays:
            if str(arrays["state"]) != state:
                return None
            columns = ("paths", "labels", "sizes")
            splits = (Split(root / s, *(arrays[f"{s}_{c}"] for c in columns)) for s in SPLITS)
            return Index(classes, *splits)
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return None  # absent, or damaged: scan again


def _write_cache(cache: Path, index: Index, state: str) -> None:
    arrays = {"state": np.array(state)}
    for split in (index.train, index.val):
        for column in ("paths", "labels", "sizes"):
            arrays[f"{split.folder.name}_{column}"] = getattr(split, column)
    temporary = cache.with_name(f"{cache.name}.{os.getpid()}.npz")
    np.savez(temporary, **arrays)
    os.replace(temporary, cache)


def main() -> None:
    """Index the folder given on the command line and say what is in it."""
    parser = argparse.ArgumentParser(
        prog="python -m data.index", description="Scan an image folder once; later runs reuse it."
    )
    parser.add_argument("root", help="folder that holds train/<class>/ and val/<class>/")
    index = load_index(parser.parse_args().root)
    print(
        f"{len(index.classes)} classes, {len(index.train)} training and {len(index.val)} "
        f"validation images, fingerprint {index.fingerprint}"
    )


if __name__ == "__main__":
    run_command(main)
