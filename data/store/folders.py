"""An image folder, ROOT/train/<class>/ and ROOT/val/<class>/, as torchvision's ImageFolder."""

import os
from pathlib import Path

import numpy as np

from data.store import walk
from data.store.dataset import SPLITS, DataError
from data.store.headers import read_headers
from data.store.paths import printable
from data.store.walk import Seen

Arrays = dict[str, np.ndarray]


def is_current(root: Path, arrays: Arrays) -> bool:
    """Tell whether no file or folder was added, removed or renamed since `scan` returned this.

    Only folders are asked: an ImageNet has 2,002 of them.
    """
    folders = map(os.fsdecode, arrays["folders"].tolist())
    try:
        times = [walk.folder_times(os.path.join(root, folder)) for folder in folders]
    except OSError:
        return False
    return np.array_equal(np.array(times), arrays["folder_times"])


def scan(root: Path) -> Arrays:
    """Return what the index holds of a folder.

    `classes`, `notes` on what was left out, `folders` and their `folder_times`; named by split:
    paths, labels, sizes, lengths, and the places of images that cannot be used (bad).

    Raises:
        DataError: `root` is no image folder, the classes of the splits differ, a class is empty,
            or the machine has reached a limit.
    """
    seen = {split: Seen() for split in SPLITS}
    classes = _classes(root, seen)
    arrays: Arrays = {"classes": np.array([os.fsencode(name) for name in classes])}
    for split in SPLITS:
        files, labels = _files(root / split, classes, seen[split])
        sizes, lengths, bad = read_headers(files, f"indexing {split}/")
        start = len(os.fsencode(root / split)) + 1
        arrays |= {
            f"{split}_paths": np.array([os.fsencode(file)[start:] for file in files]),
            f"{split}_labels": np.array(labels, dtype=np.int64),
            f"{split}_sizes": sizes,
            f"{split}_lengths": lengths,
            f"{split}_bad": np.array(list(bad), dtype=np.int64),
        }
    folders = {path: times for each in seen.values() for path, times in each.folders.items()}
    told = [note for split in SPLITS for note in walk.notes(split, seen[split])]
    return arrays | {
        "folders": np.array([os.fsencode(os.path.relpath(path, root)) for path in folders]),
        "folder_times": np.array(list(folders.values()), dtype=np.int64),
        "notes": np.array(told, dtype=str),
    }


def _files(folder: Path, classes: list[str], seen: Seen) -> tuple[list[str], list[int]]:
    images = [walk.image_files(str(folder / name), seen) for name in classes]
    empty = [printable(name) for name, files in zip(classes, images, strict=True) if not files]
    if empty:
        listed = ", ".join(empty[:3]) + ", ..." * (len(empty) > 3)
        left_out = "".join(f" ({note})" for note in walk.notes(folder.name, seen))
        raise DataError(
            f"{folder}: found no valid file for the classes {listed}{left_out}. Add images or "
            f"delete the class folder"
        )
    labels = [label for label, files in enumerate(images) for _ in files]
    return [file for files in images for file in files], labels


def _classes(root: Path, seen: dict[str, Seen]) -> list[str]:
    names = {split: _class_names(root, split, seen[split]) for split in SPLITS}
    only = {
        split: sorted(set(names[split]) - set(names[other]))
        for split, other in zip(SPLITS, reversed(SPLITS), strict=True)
    }
    if any(only.values()):
        listed = "; ".join(
            f"{len(extra)} only in {split}/ ("
            f"{', '.join(map(printable, extra[:3]))}{', ...' * (len(extra) > 3)})"
            for split, extra in only.items()
            if extra
        )
        flat = names["val"] == ["images"]  # Tiny-ImageNet's validation images lie there together
        raise DataError(
            f"{root}: train/ and val/ must have the same class folders: {listed}"
            + "; `python -m data.imagenet --help` sorts val/images by val_annotations.txt" * flat
        )
    return names["train"]


def _class_names(root: Path, split: str, seen: Seen) -> list[str]:
    folder = root / split
    if not os.path.isdir(folder):
        raise DataError(
            f"{folder}: missing; data.root must hold train/<class>/ and val/<class>/, or the "
            f"shards that `python -m data.shard` writes"
        )
    names = walk.class_names(str(folder), seen)
    if not names:
        flat = bool(seen.beside)
        what = "holds images but no class folders" if flat else "has no class folders"
        raise DataError(
            f"{folder}: {what}; move each image into {split}/<class>/"
            + (" (`python -m data.imagenet` sorts ImageNet's own files)" if flat else "")
        )
    return names
