"""What the label files of a data set hold, looked at once: sizes, classes and their centroids."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from data.store.cache import Arrays, cached
from data.store.dataset import DataError
from data.store.labels import IDS
from data.store.machine import machine_error
from data.store.pairs import Kind, Pairs, image_size, open_labels
from data.store.paths import printable
from foundation.pool import ended_early

_THREADS = 16  # at most; Pillow and numpy let go of the interpreter


@dataclass(frozen=True)
class Survey:
    """What is known of the label files.

    Attributes:
        pairs: with their sizes.
        pixels: (n, 19) int64 of each class in each image.
        centroids: (m, 4) int32 class, image, row and column, sorted by class, then image.
    """

    pairs: Pairs
    pixels: np.ndarray
    centroids: np.ndarray


def survey(pairs: Pairs, kind: Kind, tile: int) -> Survey:
    """Return what the label files hold, from its cache where no file has changed since.

    Processes that ask at the same time wait for the one that reads the files.

    Args:
        pairs: all of a kind that the data set has.
        kind: which; it names the cache.
        tile: px, side of the tiles that centroids are of (class_centroids).

    Raises:
        DataError: a file cannot be read, holds no label ids, or has another size than its image;
            or the machine has reached a limit.
    """
    state = pairs.state
    try:
        arrays = cached(
            pairs.root,
            lambda known: np.array_equal(known["state"], state),
            lambda: {"state": state} | _looked_at(pairs, kind, tile),
            name=f".cityscapes_{kind}_{tile}.npz",
        )
    except OSError as error:
        told = f"{pairs.root}: cannot be surveyed ({error.strerror or error})"
        raise machine_error(error) or DataError(told) from None
    pairs = replace(pairs, sizes=arrays["sizes"])
    return Survey(pairs, arrays["pixels"], arrays["centroids"])


def class_centroids(labels: np.ndarray, tile: int) -> np.ndarray:
    """Return the centroid of each class in each tile of an image (class-uniform sampling).

    Args:
        labels: (H, W) uint8 train ids.
        tile: px, side of the square tiles from the top left corner on; whole ones only.

    Returns:
        (m, 3) int32 class, row and column in the image: the rounded-down means of the places of a
        class's pixels in a tile.
    """
    found = []
    height, width = labels.shape
    places = np.arange(tile)
    for top in range(0, height - tile + 1, tile):
        for left in range(0, width - tile + 1, tile):
            part = labels[top : top + tile, left : left + tile]
            for label in _classes_in(part):
                mask = (part == label).view(np.uint8)
                rows, columns = (mask.sum(axis, dtype=np.int32) for axis in (1, 0))
                area = int(rows.sum())
                row, column = int(rows @ places) // area, int(columns @ places) // area
                found.append((label, top + row, left + column))
    return np.array(found, dtype=np.int32).reshape(-1, 3)


def _classes_in(labels: np.ndarray) -> list[int]:
    return np.flatnonzero(_pixels(labels)).tolist()


def _pixels(labels: np.ndarray) -> np.ndarray:
    """Return (19,) pixels of each class."""
    counts = Image.fromarray(np.ascontiguousarray(labels)).histogram()  # thrice bincount's speed
    return np.array(counts[: len(IDS)], dtype=np.int64)


def _looked_at(pairs: Pairs, kind: Kind, tile: int) -> Arrays:
    def look(sample: int) -> tuple[tuple[int, int], np.ndarray, np.ndarray]:
        labels = labels_of_size(pairs.image_file(sample), pairs.label_file(sample))
        centroids = class_centroids(labels, tile)
        places = np.full((len(centroids), 1), sample, np.int32)
        rows = np.hstack([centroids[:, :1], places, centroids[:, 1:]])
        return labels.shape, _pixels(labels), rows

    with ended_early(ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS))) as pool:
        jobs = [pool.submit(look, sample) for sample in range(len(pairs))]
        bar = tqdm(jobs, f"surveying the {kind} labels", unit="img", disable=None)
        found = [job.result() for job in bar]
    sizes, pixels, rows = zip(*found, strict=True) if found else ((), (), ())
    centroids = np.concatenate([np.zeros((0, 4), np.int32), *rows])
    return {
        "sizes": np.array(sizes, np.int32).reshape(-1, 2),
        "pixels": np.array(pixels, np.int64).reshape(-1, len(IDS)),
        "centroids": centroids[np.argsort(centroids[:, 0], kind="stable")],
    }


def labels_of_size(image: Path, label: Path) -> np.ndarray:
    """Return the train ids of a label file, (H, W) uint8, the image's size.

    Raises:
        DataError: one of the files cannot be read, or their sizes differ.
    """
    labels = open_labels(label)
    width, height = image_size(image)
    if labels.shape != (height, width):
        raise DataError(
            f"{printable(str(label))}: is {labels.shape[1]} x {labels.shape[0]} px, its image "
            f"{width} x {height}; get both again from one source"
        )
    return labels
