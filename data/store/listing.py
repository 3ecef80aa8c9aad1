"""Finding Cityscapes' images and label files in the official folders."""

import errno
import os
from multiprocessing.pool import ThreadPool
from pathlib import Path

import numpy as np

from data.store.cities import wrong_cities
from data.store.dataset import DataError
from data.store.machine import machine_error
from data.store.pairs import IMAGE_ENDING, LABEL_ENDING, Kind, Pairs
from data.store.paths import printable

BLANK = "troisdorf_000000_000073"  # of train_extra: one black frame
_PARTS = {"fine": ("train", "val"), "coarse": ("train_extra",)}
_LABELS = {"fine": "gtFine", "coarse": "gtCoarse"}
_ARCHIVES = {
    "fine": "data.root must hold leftImg8bit/ and gtFine/, unpack leftImg8bit_trainvaltest.zip and "
    "gtFine_trainvaltest.zip there",
    "coarse": "unpack leftImg8bit_trainextra.zip and gtCoarse.zip there, or do without: train with "
    "data.coarse_classes=[], check with --no-coarse",
}
_THREADS = 16  # listing waits for the disk

Facts = tuple[int, int, int]  # length in bytes; ns of the last change, as told and in truth
Files = dict[str, Facts]  # by the name without its ending


def find_pairs(root: Path, kind: Kind) -> Pairs:
    """Return the images of a part of the data set with their label files, sorted by city and name.

    Args:
        root: the data set's folder.
        kind: fine, leftImg8bit/{train,val} with gtFine, all 21 cities; or coarse,
            leftImg8bit/train_extra with gtCoarse, without its black frame.

    Raises:
        DataError: a folder, a city or a partner is missing.
    """
    pairs, wrong = list_pairs(root, kind)
    if wrong:
        more = f" (and {len(wrong) - 1} more: python -m data.cityscapes {root})"
        raise DataError(f"{root}/{wrong[0]}" + more * (len(wrong) > 1))
    return pairs


def list_pairs(root: Path, kind: Kind) -> tuple[Pairs, list[str]]:
    """Return the complete pairs as find_pairs does, and a line on whatever is wrong.

    Raises:
        DataError: a folder is missing, or the machine has reached a limit.
    """
    found: list[tuple[str, str, Facts, Facts]] = []
    wrong: list[str] = []
    for part in _PARTS[kind]:
        folders = [f"leftImg8bit/{part}", f"{_LABELS[kind]}/{part}"]
        endings = IMAGE_ENDING, LABEL_ENDING[kind]
        images, labels = (
            _cities(root, folder, ending, _ARCHIVES[kind])
            for folder, ending in zip(folders, endings, strict=True)
        )
        if kind == "fine":
            wrong += wrong_cities(part, {city for city, files in images.items() if files})
        for city in sorted(images.keys() | labels.keys()):
            places = [f"{folder}/{city}" for folder in folders]
            more, lacking = _matched(places, endings, images.get(city, {}), labels.get(city, {}))
            found += more
            wrong += lacking
    if kind == "coarse" and not found and not wrong:
        wrong.append(f"leftImg8bit/{part}: holds no images; {_ARCHIVES[kind]}")
    images, labels, *facts = zip(*found, strict=True) if found else ((), (), (), ())
    numbers = np.array(facts, dtype=np.int64).reshape(2, len(found), 3)
    changed = np.concatenate([numbers[0, :, 1:], numbers[1, :, 1:]], axis=1)
    sizes = np.zeros((len(found), 2), np.int32)
    lengths = np.ascontiguousarray(numbers[:, :, 0].T)
    return Pairs(root, tuple(images), tuple(labels), lengths, changed, sizes), wrong


def _matched(
    folders: list[str], endings: tuple[str, str], images: Files, labels: Files
) -> tuple[list[tuple[str, str, Facts, Facts]], list[str]]:
    if images and not labels:  # one line, not one an image
        return [], [f"{printable(folders[1])}: missing or empty, the labels of {folders[0]}"]
    if labels and not images:
        return [], [f"{printable(folders[0])}: missing or empty, the images of {folders[1]}"]
    found, lacking = [], []
    for name in sorted((images.keys() | labels.keys()) - {BLANK}):
        files = [f"{folder}/{name}{end}" for folder, end in zip(folders, endings, strict=True)]
        if name not in labels:
            lacking.append(f"{printable(files[1])}: missing, the labels of {printable(files[0])}")
        elif name not in images:
            lacking.append(f"{printable(files[0])}: missing, the image of {printable(files[1])}")
        else:
            found.append((*files, images[name], labels[name]))
    return found, lacking


def _cities(root: Path, folder: str, ending: str, remedy: str) -> dict[str, Files]:
    """Return for each city in a folder the files that end like this."""
    place = os.path.join(root, folder)
    if not os.path.isdir(place):
        raise DataError(f"{place}: missing; {remedy}")
    try:
        with os.scandir(place) as entries:
            cities = [entry.name for entry in entries if entry.is_dir() and entry.name[0] != "."]
        with ThreadPool(_THREADS) as pool:
            files = pool.starmap(_files, [(os.path.join(place, city), ending) for city in cities])
    except OSError as error:
        told = f"{printable(error.filename or place)}: {_reason(error)}"
        raise machine_error(error) or DataError(told) from None
    return dict(zip(cities, files, strict=True))


def _reason(error: OSError) -> str:
    if error.errno == errno.ENOENT:
        return "a link to what is not there, or just gone; get it again"
    if error.errno == errno.ELOOP:
        return "a link that leads in a circle; get it again"
    return f"cannot be read ({error.strerror}); check its rights"


def _files(folder: str, ending: str) -> Files:
    files = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(ending) and entry.name[0] != ".":
                facts = entry.stat()
                numbers = facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns
                files[entry.name.removesuffix(ending)] = numbers
    return files
