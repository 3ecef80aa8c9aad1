"""What a data set holds: one scan of an image folder or of shards, remembered in a cache file.

python -m data.index ROOT
"""

import argparse
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from data.store import folders, tars
from data.store.cache import Arrays, cached
from data.store.dataset import SPLITS, DataError
from data.store.excluded import read_excluded
from data.store.fingerprint import fingerprint
from data.store.headers import read_headers
from data.store.machine import machine_error
from data.store.paths import printable
from data.store.split import Split
from foundation.errors import run_command
from foundation.homes import expanded
from foundation.words import counted


@dataclass(frozen=True)
class Index:
    """A data set: its classes in order, its two splits, and what is wrong with which image.

    Attributes:
        classes: names, in the order of the labels.
        splits: by their names.
        bad: for each split the reason, by place, why an image cannot be used.
        notes: what was left out of the data set, a line each.
    """

    classes: tuple[str, ...]
    splits: dict[str, Split]
    bad: dict[str, dict[int, str]]
    notes: tuple[str, ...] = ()

    @property
    def train(self) -> Split:
        """The training images."""
        return self.splits["train"]

    @property
    def val(self) -> Split:
        """The validation images."""
        return self.splits["val"]

    @property
    def fingerprint(self) -> str:
        """Tells data sets apart (data/fingerprint.py)."""
        return fingerprint(self.classes, (split.columns for split in self.splits.values()))


def load_index(root: str | Path, exclude: str | Path | None = None) -> Index:
    """Return the index of the images that are to be used.

    Args:
        root: as read_index.
        exclude: file that lists images to leave out, as `python -m data.check` writes it.

    Raises:
        DataError: as read_index; or an image that is not excluded cannot be used.
    """
    index = read_index(root)
    if exclude is not None:
        index = _without(index, read_excluded(exclude))
    bad = [
        f"{printable(split.name(sample))} ({reason})"
        for name, split in index.splits.items()
        for sample, reason in index.bad[name].items()
    ]
    if bad:
        listed = ", ".join(bad[:3]) + (", ..." if len(bad) > 3 else "")
        told = ("file is no readable image", "files are no readable images")
        raise DataError(
            f"{counted(len(bad), *told)}: {listed}; replace or delete them, or train "
            f"with the list of them that `python -m data.check {root}` writes (data.exclude)"
        )
    return index


def read_index(root: str | Path, again: bool = False, aloud: bool = False) -> Index:
    """Return the index of all images, from its cache where the data has not changed since.

    Processes that ask at the same time wait for the one that scans, which also says what it leaves
    out.

    Args:
        root: image folder with train/<class>/ and val/<class>/, or folder of shards.
        again: scan in any case.
        aloud: say what is left out also where the cache knows it.

    Raises:
        DataError: `root` is neither, a class is empty, the classes of the splits differ, or the
            machine has reached a limit.
    """
    root = expanded(root)
    if not os.path.isdir(root):  # False, too, where a parent cannot be read
        raise DataError(f"{root}: there is no such folder; set data.root to your image folder")

    def scan() -> Arrays:
        nonlocal aloud
        aloud = True
        return source.scan(root)

    try:
        source = tars if tars.found_in(root) else folders
        arrays = cached(root, lambda known: source.is_current(root, known), scan, again)
    except OSError as error:  # threads and locks take their share of the machine, too
        told = f"{root}: cannot be indexed ({error.strerror or error})"
        raise machine_error(error) or DataError(told) from None
    notes = tuple(arrays["notes"].tolist()) if "notes" in arrays else ()
    for note in notes * aloud:
        print(f"warning: {note}", file=sys.stderr)
    classes = tuple(os.fsdecode(name) for name in arrays["classes"].tolist())
    splits = {name: _split(root, name, arrays) for name in SPLITS}
    bad = {name: _still_bad(splits[name], arrays.get(f"{name}_bad", ())) for name in SPLITS}
    return Index(classes, splits, bad, notes)


def _split(root: Path, name: str, arrays: Arrays) -> Split:
    columns = [arrays[f"{name}_{column}"] for column in ("paths", "labels", "sizes", "lengths")]
    if f"{name}_places" not in arrays:
        return Split(root / name, *columns)
    return Split(root, *columns, arrays[f"{name}_places"], tuple(arrays[f"{name}_tars"].tolist()))


def _still_bad(split: Split, places: np.ndarray) -> dict[int, str]:
    """Look again at the images that could not be used: one that was mended changes no folder."""
    places = [int(place) for place in places]
    if not places:
        return {}
    sizes, lengths, reasons = read_headers([split.file(i) for i in places], "looking again")
    split.sizes[places], split.lengths[places] = sizes, lengths
    return {places[i]: reason for i, reason in reasons.items()}


def _without(index: Index, excluded: dict[str, list[bytes]]) -> Index:
    kept, bad, found = {}, {}, 0
    for name, split in index.splits.items():
        keep = ~np.isin(split.paths, np.array(excluded[name], dtype=bytes))
        found += len(split) - int(keep.sum())
        kept[name] = split.subset(keep)
        new = np.cumsum(keep) - 1
        bad[name] = {int(new[i]): why for i, why in index.bad[name].items() if keep[i]}
    if not found:
        raise DataError("data.exclude: none of its files is in the data set; is it another's list?")
    return Index(index.classes, kept, bad, index.notes)


def main() -> None:
    """Index the data set given on the command line and say what is in it."""
    parser = argparse.ArgumentParser(
        prog="python -m data.index", description="Scan a data set once; later runs reuse it."
    )
    parser.add_argument("root", help="folder that holds train/<class>/ and val/<class>/, or shards")
    parser.add_argument("--again", action="store_true", help="scan even if nothing seems changed")
    arguments = parser.parse_args()
    read_index(arguments.root, arguments.again, aloud=True)
    index = load_index(arguments.root)
    print(
        f"{len(index.classes)} classes, {len(index.train)} training and {len(index.val)} "
        f"validation images, fingerprint {index.fingerprint}"
    )


if __name__ == "__main__":
    run_command(main)
