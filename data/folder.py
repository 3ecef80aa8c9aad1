"""An image folder, ROOT/train/<class>/ and ROOT/val/<class>/, as torchvision's ImageFolder."""

import hashlib
import os
from pathlib import Path

import numpy as np
from torchvision.datasets.folder import IMG_EXTENSIONS, find_classes, make_dataset

from data.headers import read_sizes
from data.interface import SPLITS, DataError


def state(root: Path) -> str:
    """Return a digest that changes when a file or class is added, removed or renamed.

    Raises:
        DataError: `root` is no image folder, or the classes of the splits differ.
    """
    digest = hashlib.sha256()
    for split in SPLITS:
        for name in _classes(root):
            line = f"{split}/{name} {os.stat(root / split / name).st_mtime_ns}\n"
            digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def scan(root: Path) -> dict[str, np.ndarray]:
    """Return the classes and, named by split, paths, labels, sizes, and what is wrong with whom.

    Raises:
        DataError: a class without images.
    """
    classes = _classes(root)
    arrays = {"classes": np.array([os.fsencode(name) for name in classes])}
    for split in SPLITS:
        files, labels = _files(root / split, classes)
        sizes, bad = read_sizes(files, f"indexing {split}/")
        start = len(os.fsencode(root / split)) + 1
        arrays |= {
            f"{split}_paths": np.array([os.fsencode(file)[start:] for file in files]),
            f"{split}_labels": np.array(labels, dtype=np.int64),
            f"{split}_sizes": sizes,
            f"{split}_bad": np.array(list(bad), dtype=np.int64),
            f"{split}_reasons": np.array(list(bad.values()), dtype=str),
        }
    return arrays


def _files(folder: Path, classes: list[str]) -> tuple[list[str], list[int]]:
    labels = {name: label for label, name in enumerate(classes)}
    try:
        samples = make_dataset(str(folder), labels, IMG_EXTENSIONS)
    except FileNotFoundError as error:  # a class without images
        reason = str(error).split("Supported")[0].strip()
        raise DataError(f"{folder}: {reason} Add images or delete the class folder") from None
    return [file for file, _ in samples], [label for _, label in samples]


def _classes(root: Path) -> list[str]:
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
    return names["train"]


def _class_names(root: Path, split: str) -> list[str]:
    folder = root / split
    if not os.path.isdir(folder):
        raise DataError(
            f"{folder}: missing; data.root must hold train/<class>/ and val/<class>/, or the "
            f"shards that `python -m data.shard` writes"
        )
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
            + (" (`python -m data.imagenet` sorts ImageNet's own files)" if flat else "")
        ) from None
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error.strerror}); check its rights") from None
