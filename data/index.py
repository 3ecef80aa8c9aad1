"""One scan of an image folder: paths, classes and sizes, remembered in a cache file.

python -m data.index ROOT
"""

import argparse
import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset
from tqdm import tqdm

from configs.errors import run_command
from data.index_cache import cached
from data.interface import DataError

SPLITS = ("train", "val")
_COLUMNS = ("paths", "labels", "sizes")  # of a Split
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
    folders = [root / split for split in SPLITS]
    arrays = cached(root, folders, lambda: _scan_splits(folders, classes))
    splits = (
        Split(folder, *(arrays[f"{folder.name}_{column}"] for column in _COLUMNS))
        for folder in folders
    )
    return Index(classes, *splits)


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


def _scan_splits(folders: list[Path], classes: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {
        f"{folder.name}_{column}": array
        for folder in folders
        for column, array in zip(_COLUMNS, _scan(folder, classes), strict=True)
    }


def _scan(folder: Path, classes: tuple[str, ...]) -> tuple[np.ndarray, ...]:
    """Return the paths, labels and sizes of a split."""
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
    return (
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
