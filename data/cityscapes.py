"""Check Cityscapes once, every file, and find the centroids that its training needs.

python -m data.cityscapes ROOT [--split cv2] [--no-coarse]
"""

import argparse
import os
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from configs.yaml_source import read
from data.plan.scenes import class_share
from data.store.cities import OFFICIAL, SPLITS
from data.store.dataset import DataError
from data.store.labels import NAMES
from data.store.listing import BLANK, list_pairs
from data.store.pairs import IMAGE_ENDING, Kind, Pairs, open_image
from data.store.scene_index import SceneIndex, load_scene_index
from data.store.survey import labels_of_size
from foundation.errors import run_command
from foundation.homes import expanded
from foundation.pool import ended_early

_RECIPE = read(Path(__file__).resolve().parent.parent / "configs" / "cityscapes.yaml")
_TILE = _RECIPE["data.uniform_tile"].value  # px
_COARSE_CLASSES = _RECIPE["data.coarse_classes"].value  # whose coarse centroids count
_SIZE = (2048, 1024)  # px, width and height of every official image
_COARSE = ("leftImg8bit/train_extra", "gtCoarse/train_extra")
_BLANK_FILE = f"{_COARSE[0]}/{BLANK.partition('_')[0]}/{BLANK}{IMAGE_ENDING}"


def check(root: Path, kind: Kind, workers: int) -> tuple[list[str], int]:
    """Print what a part of the data set holds; return what is wrong with it, and its least side.

    Args:
        root: the data set's folder.
        kind: fine or coarse.
        workers: threads.

    Raises:
        DataError: a folder is missing, or the machine has reached a limit.
    """
    pairs, wrong = list_pairs(root, kind)
    sizes, unusable = _read_all(pairs, kind, workers)
    counts = Counter(file.rpartition("/")[0] for file in pairs.images)
    official = sizes.most_common(1)[:1] and sizes.most_common(1)[0][0] == _SIZE
    for folder, count in sorted(counts.items()):
        _, part, city = folder.split("/")
        expected = OFFICIAL.get(part, {}).get(city, count) if official else count
        differs = f" ({expected} in the official data set)" * (count != expected)
        print(f"{folder}: {count} images with labels{differs}")
        if differs:
            wrong.append(f"{folder}: has {count} images with labels, the official one {expected}")
    told = ", ".join(f"{width} x {height} px: {n}" for (width, height), n in sizes.most_common())
    print(f"{kind}: {len(pairs)} images with labels ({told})")
    return wrong + unusable, min((min(size) for size in sizes), default=0)


def _read_all(pairs: Pairs, kind: Kind, workers: int) -> tuple[Counter, list[str]]:
    def read(sample: int) -> tuple[tuple[int, int] | None, list[str]]:
        image, wrong = pairs.image_file(sample), []
        size = None
        try:
            size = open_image(image).size
        except DataError as error:
            wrong.append(str(error))
        try:
            labels_of_size(image, pairs.label_file(sample))
        except DataError as error:
            wrong += [str(error)] * (size is not None or str(image) not in str(error))
        return size, wrong

    with ended_early(ThreadPoolExecutor(workers)) as pool:
        jobs = [pool.submit(read, sample) for sample in range(len(pairs))]
        bar = tqdm(jobs, f"checking the {kind} part", unit="img", disable=None)
        found = [job.result() for job in bar]
    sizes = Counter(size for size, _ in found if size is not None)
    return sizes, [line for _, wrong in found for line in wrong]


def _describe(index: SceneIndex, tile: int) -> None:
    coarse = len(index.train) - index.fine
    count = class_share(index.fine, 0.5, len(NAMES))
    print(
        f"{index.split}: {index.fine} training images (and {coarse} coarse ones), {len(index.val)} "
        f"for validation ({', '.join(sorted(set(index.val.cities)))})"
    )
    print(
        f"an epoch with data.uniform_share=0.5: {count} crops around centroids of each class "
        f"in tiles of {tile} px, {index.fine - count * len(NAMES)} of whole images"
    )
    for name, rows in zip(NAMES, index.centroids, strict=True):
        fine = int(np.count_nonzero(rows[:, 0] < index.fine))
        print(f"  {name}: {fine} centroids in fine labels, {len(rows) - fine} in coarse ones")


def main() -> None:
    """Check the data set given on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m data.cityscapes",
        description="Read every image and label file of Cityscapes, count them, name what is "
        "wrong, and remember the classes' centroids for the training. Exits with 2 if anything is "
        "wrong.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument(
        "root", type=expanded, help="folder with leftImg8bit/, gtFine/ and, if used, gtCoarse/"
    )
    parser.add_argument("--split", choices=SPLITS, default="cv0", help="the split to describe")
    parser.add_argument(
        "--tile",
        type=int,
        default=argparse.SUPPRESS,
        help=f"px, data.uniform_tile: tiles that centroids are of (default: {_TILE}, or the side "
        f"of the largest square in all images)",
    )
    parser.add_argument(
        "--no-coarse",
        action="store_true",
        help="leave the coarse part out, for training with data.coarse_classes=[]",
    )
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="threads")
    arguments = parser.parse_args()
    root = arguments.root
    if getattr(arguments, "tile", 1) < 1:
        parser.error("--tile must be 1 or more")
    workers = max(1, arguments.workers)
    wrong, side = check(root, "fine", workers)
    coarse = not arguments.no_coarse and any((root / part).exists() for part in _COARSE)
    if coarse:
        wrong += check(root, "coarse", workers)[0]
        if (root / _BLANK_FILE).exists():
            print(f"{_BLANK_FILE}: one black frame, as is known; left out")
    for line in wrong:
        print(line)
    if wrong:
        raise DataError(f"{root}: {len(wrong)} things are wrong, each named above; mend them")
    tile = getattr(arguments, "tile", min(_TILE, side))
    index = load_scene_index(root, arguments.split, tile, _COARSE_CLASSES if coarse else ())
    _describe(index, tile)
    index.check_centroids(tile)
    if not coarse:
        print("without the coarse part: train with data.coarse_classes=[]")
    print(f"{root}: nothing is wrong, fingerprint {index.fingerprint}")


if __name__ == "__main__":
    run_command(main)
