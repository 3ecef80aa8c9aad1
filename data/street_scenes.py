"""A stand-in for Cityscapes without a download: painted street scenes in its folders.

python -m data.street_scenes OUT [--train N] [--val N] [--seed S]

The objects are scikit-learn's handwritten digits, each standing for one of ten classes.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from data.digits import VAL_EVERY, handwritten_digits
from data.paint import coarse, paint_scene
from data.store.cities import OFFICIAL
from data.store.dataset import DataError
from foundation.errors import run_command
from foundation.files import is_free, replacing, writing
from foundation.homes import expanded

# Cityscapes' cities: all of its fine part, three of its coarse one.
CITIES = {
    **{split: tuple(cities) for split, cities in OFFICIAL.items()},
    "train_extra": ("augsburg", "dortmund", "freiburg"),
}
FINE_PER_COARSE = 10


def write_scenes(out: Path, train: int = 1008, val: int = 102, seed: int = 0) -> str:
    """Write painted scenes as OUT/leftImg8bit/, OUT/gtFine/ and OUT/gtCoarse/; say what is there.

    A scene is a function of the seed, its split and its place in it: 64 x 128 px, whatever the
    number of scenes. For ten fine training scenes there is one with coarse labels in train_extra.
    A folder that holds these scenes already is left as it is.

    Args:
        out: folder to create.
        train: scenes for training, one a city (18) or more.
        val: scenes for validation, one a city (3) or more.
        seed: 0 or more.

    Raises:
        DataError: OUT exists and is something else, a number is too small, or scikit-learn is not
            installed.
    """
    for name, count, least in (("--train", train, 18), ("--val", val, 3), ("--seed", seed, 0)):
        if count < least:
            raise DataError(f"{name} {count}: give {least} or more")
    digits = handwritten_digits()
    counts = {"train": train, "val": val, "train_extra": max(3, train // FINE_PER_COARSE)}
    told = (
        f"{out}: painted scenes, not Cityscapes: {train:,} for training, {val:,} for validation, "
        f"{counts['train_extra']:,} with coarse labels"
    )
    if not is_free(out):
        if not _holds(out, counts, seed, digits):
            raise DataError(
                f"{out}: exists and holds something else, or other scenes; choose another folder, "
                f"or remove it first"
            )
        return f"{told}; already there"

    with writing(out), replacing(out) as temporary:
        for split, count in counts.items():
            for place, files in enumerate(_files(split, count)):
                pixels = _scene(split, place, seed, digits)
                for file, array in zip(files, pixels, strict=True):
                    path = temporary / file
                    path.parent.mkdir(parents=True, exist_ok=True)
                    Image.fromarray(array).save(path)
    return f"{told}; written"


def _files(split: str, count: int) -> Iterator[tuple[str, str]]:
    """Yield the image and the label file of each scene, below OUT; the cities take turns."""
    kind = "gtCoarse" if split == "train_extra" else "gtFine"
    cities = CITIES[split]
    for place in range(count):
        city = cities[place % len(cities)]
        stem = f"{split}/{city}/{city}_000000_{place // len(cities):06}"
        yield f"leftImg8bit/{stem}_leftImg8bit.png", f"{kind}/{stem}_{kind}_labelIds.png"


def _scene(
    split: str, place: int, seed: int, digits: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the image and the label ids of one scene."""
    rng = np.random.default_rng((seed, list(CITIES).index(split), place))
    image, ids = paint_scene(rng, *digits_of(split, *digits))
    return image, coarse(ids) if split == "train_extra" else ids


def digits_of(split: str, images: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the digits that a split is painted with; validation shares none with the others."""
    chosen = (np.arange(len(images)) % VAL_EVERY == 0) == (split == "val")
    return images[chosen], classes[chosen]


def _holds(
    out: Path, counts: dict[str, int], seed: int, digits: tuple[np.ndarray, np.ndarray]
) -> bool:
    """Tell whether a folder has just the files wanted, and each split's first scene is as now."""
    found = {path.relative_to(out).as_posix() for path in out.rglob("*.png")}
    pairs = (pair for split, count in counts.items() for pair in _files(split, count))
    if found != {name for pair in pairs for name in pair}:
        return False
    for split in counts:
        scene = zip(next(_files(split, 1)), _scene(split, 0, seed, digits), strict=True)
        for file, pixels in scene:
            try:
                with Image.open(out / file) as there:
                    if not np.array_equal(there, pixels):
                        return False
            except (OSError, SyntaxError, ValueError):  # what Pillow says of a broken file
                return False
    return True


def main() -> None:
    """Write the scenes to the folder given on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m data.street_scenes",
        description="Write painted street scenes in Cityscapes' folders: a stand-in.",
    )
    parser.add_argument(
        "out", type=expanded, help="folder to create, with leftImg8bit/ and gtFine/"
    )
    parser.add_argument("--train", type=int, default=1008, help="training scenes (1008)")
    parser.add_argument("--val", type=int, default=102, help="validation scenes (102)")
    parser.add_argument("--seed", type=int, default=0, help="another one, other scenes (0)")
    arguments = parser.parse_args()
    print(write_scenes(arguments.out, arguments.train, arguments.val, arguments.seed))


if __name__ == "__main__":
    run_command(main)
