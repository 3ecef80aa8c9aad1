"""The folders and image files below a split's folder, in the order of torchvision's ImageFolder."""

import errno
import os
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from data.store.dataset import IMAGE_ENDINGS, DataError
from data.store.machine import machine_error
from data.store.paths import printable
from foundation.words import counted

_TICK = 50_000_000  # ns, more than a file system's clock takes for a step
_NAMED = 3  # of many, in a message

Identity = tuple[int, int]  # device and number of a folder, whatever it is called


@dataclass
class Seen:
    """What a walk met besides images.

    Attributes:
        folders: of every folder its path, and when it was changed last (folder_times).
        hidden, loops, beside: paths of hidden folders, of links to a folder above, and of images
            beside the class folders, none of which are followed or used.
        endings: of the files that are no images, by ending.
    """

    folders: dict[str, tuple[int, int]] = field(default_factory=dict)
    hidden: list[str] = field(default_factory=list)
    loops: list[str] = field(default_factory=list)
    beside: list[str] = field(default_factory=list)
    endings: Counter[str] = field(default_factory=Counter)


def folder_times(path: str) -> tuple[int, int]:
    """Return when a folder's list of names was changed (ns): as told, and as nobody can fake it.

    A copy that keeps the times sets the first one alone.

    Raises:
        OSError: the folder cannot be asked.
    """
    facts = os.stat(path)
    return facts.st_mtime_ns, facts.st_ctime_ns


def class_names(folder: str, seen: Seen) -> list[str]:
    """Return the class folders of a split in the order of their labels.

    Raises:
        DataError: the folder cannot be read.
    """
    above = _ancestors(folder)
    names = []
    for entry in _entries(folder, seen):
        kind = _kind(entry)
        if kind == "image":
            seen.beside.append(entry.path)
        elif kind == "folder" and _is_followed(entry, above, seen):
            names.append(entry.name)
    return sorted(names)


def image_files(folder: str, seen: Seen) -> list[str]:
    """Return the images of a class, those of nested and linked folders among them.

    Raises:
        DataError: a folder cannot be read.
    """
    images: dict[str, list[str]] = {}
    todo = [(folder, _ancestors(folder))]
    while todo:
        here, above = todo.pop()
        images[here] = []
        for entry in _entries(here, seen):
            kind = _kind(entry)
            if kind == "image":
                images[here].append(entry.name)
            elif kind == "other":
                seen.endings[os.path.splitext(entry.name)[1].lower()] += 1
            elif _is_followed(entry, above, seen):
                todo.append((entry.path, above | {_identity(entry.path)}))
    # As sorted(os.walk(...)), then sorted names: make_dataset's order.
    return [os.path.join(here, name) for here in sorted(images) for name in sorted(images[here])]


def notes(split: str, seen: Seen) -> list[str]:
    """Return what was left out of a split, a line each kind."""
    told = [
        f"{split}/: {len(paths)} {what}: {_listed(sorted(paths))}"
        for what, paths in (
            ("hidden folders are left out", seen.hidden),
            ("links that lead back to a folder above them are left out", seen.loops),
            ("images lie beside the class folders and are left out", seen.beside),
        )
        if paths
    ]
    if seen.endings:
        counts = [
            f"{count:,} {printable(ending) or 'without an ending'}"
            for ending, count in seen.endings.most_common()
        ]
        left_out = counted(
            seen.endings.total(),
            "file does not end like an image and is left out",
            "files do not end like images and are left out",
        )
        told.append(
            f"{split}/: {left_out}: {_listed(counts, 10)}; images end in {', '.join(IMAGE_ENDINGS)}"
        )
    return told


def _listed(what: list[str], most: int = _NAMED) -> str:
    return ", ".join(map(printable, what[:most])) + ", ..." * (len(what) > most)


def _entries(folder: str, seen: Seen) -> list[os.DirEntry]:
    """List a folder, so that whoever changes it afterwards changes its times as well."""
    try:
        seen.folders[folder] = folder_times(folder)
        if time.time_ns() - max(seen.folders[folder]) < _TICK:
            time.sleep(_TICK / 1e9)  # or a change in the same step of the clock would not show
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError as error:
        raise _unreadable(folder, error) from None


def _unreadable(folder: str, error: OSError) -> DataError:
    reason = f"cannot be read ({error.strerror}); check its rights"
    return machine_error(error) or DataError(f"{printable(folder)}: {reason}")


def _kind(entry: os.DirEntry) -> Literal["folder", "image", "other"]:
    try:
        if entry.is_dir():
            return "folder"
    except OSError as error:
        if told := machine_error(error):
            raise told from None
        if error.errno == errno.ELOOP and not _looks_like_an_image(entry):
            return "folder"  # a link to itself, which _is_followed leaves out
    return "image" if _looks_like_an_image(entry) else "other"


def _looks_like_an_image(entry: os.DirEntry) -> bool:
    return entry.name.lower().endswith(IMAGE_ENDINGS)


def _is_followed(entry: os.DirEntry, above: frozenset[Identity], seen: Seen) -> bool:
    if entry.name.startswith("."):  # .ipynb_checkpoints holds copies of images
        seen.hidden.append(entry.path)
        return False
    try:
        looped = _identity(entry.path) in above
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise _unreadable(entry.path, error) from None
        looped = True
    if looped:
        seen.loops.append(entry.path)
    return not looped


def _identity(folder: str) -> Identity:
    facts = os.stat(folder)
    return facts.st_dev, facts.st_ino


def _ancestors(folder: str) -> frozenset[Identity]:
    """Return the folder and all that hold it, by its path as given and by where links lead."""
    path = Path(folder).absolute()
    try:
        return frozenset(
            _identity(str(above))
            for each in {path, path.resolve()}
            for above in (each, *each.parents)
        )
    except OSError as error:
        raise _unreadable(folder, error) from None
