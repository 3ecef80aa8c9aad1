"""A split of Cityscapes: its images for training and validation, and its classes' centroids."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs.segmentation_keys import Split
from data.store.cities import val_cities
from data.store.dataset import DataError
from data.store.fingerprint import fingerprint
from data.store.labels import IDS, NAMES
from data.store.listing import find_pairs
from data.store.pairs import Pairs
from data.store.survey import Survey, survey
from foundation.homes import expanded

# Classes whose label ids are no train ids: a set without any of them was perhaps written as such.
_BEYOND_TRAIN_IDS = [label for label, number in enumerate(IDS) if number >= len(IDS)]


@dataclass(frozen=True)
class SceneIndex:
    """A split.

    Attributes:
        split: its name.
        train: the finely labelled training images, then, where they are used, the coarse ones.
        fine: how many of them are finely labelled.
        val: the validation images.
        centroids: of each class in the training images, (m, 3) int32: place in `train`, row and
            column; those in coarse images only of the classes chosen for it.
    """

    split: Split
    train: Pairs
    fine: int
    val: Pairs
    centroids: tuple[np.ndarray, ...]

    @property
    def fingerprint(self) -> str:
        """Tells data sets and splits apart (data/store/fingerprint.py); val_fingerprint ends it."""
        whole = fingerprint(NAMES, [self.train.columns, self.val.columns])
        return f"{self.split}-{whole}{self.val_fingerprint.removeprefix('.')}"

    @property
    def val_fingerprint(self) -> str:
        """The fingerprint as far as the validation images tell it (configs/same_data.py)."""
        return f"..{fingerprint(NAMES, [self.val.columns]).replace('.', '-')}"

    def check_centroids(self, tile: int) -> None:
        """Refuse to leave a class out of the class-uniform part of an epoch.

        Raises:
            DataError: a class has no centroid.
        """
        missing = [
            f"{name} (train id {label})"
            for label, name in enumerate(NAMES)
            if not len(self.centroids[label])
        ]
        if missing:
            raise DataError(
                f"{self.train.root}: no tile of {tile} x {tile} px of {self.split}'s training "
                f"labels holds the class {', '.join(missing)}; lower data.uniform_tile, or set "
                f"data.uniform_share=0"
            )


def load_scene_index(
    root: str | Path, split: Split, tile: int, coarse_classes: tuple[int, ...] = ()
) -> SceneIndex:
    """Return a split; the first time, all label files are read (`python -m data.cityscapes`).

    Args:
        root: folder with leftImg8bit/, gtFine/ and, for `coarse_classes`, gtCoarse/.
        split: by city (val_cities).
        tile: px, side of the tiles whose centroids count.
        coarse_classes: train ids whose centroids are taken from the coarse part, too.

    Raises:
        DataError: a folder, city or partner is missing, or a label file is unusable; no pixel of
            the validation images has a label.
    """
    root = expanded(root)
    if not root.is_dir():
        raise DataError(f"{root}: there is no such folder; set data.root to Cityscapes' folder")
    fine = survey(find_pairs(root, "fine"), "fine", tile)
    is_val = np.isin(fine.pairs.cities, val_cities(split))
    train, val = fine.pairs.subset(~is_val), fine.pairs.subset(is_val)
    if not fine.pixels[is_val].any():
        raise DataError(
            f"{root}: no pixel of the {len(val)} validation images of {split} has a label (all are "
            f"ignored); get gtFine again"
        )
    if not fine.pixels[:, _BEYOND_TRAIN_IDS].any():
        raise DataError(
            f"{root}/gtFine: no file holds a label id above {len(IDS) - 1}, as if all held train "
            f"ids; take the files that end in _labelIds.png from Cityscapes' gtFine"
        )
    rows = fine.centroids[~is_val[fine.centroids[:, 1]]]
    places = np.cumsum(~is_val) - 1
    rows = np.hstack([rows[:, :1], places[rows[:, 1:2]], rows[:, 2:]])
    images = len(train)
    if coarse_classes:
        coarse = survey(find_pairs(root, "coarse"), "coarse", tile)
        rows = np.concatenate([rows, _shifted(coarse, coarse_classes, images)])
        train = train + coarse.pairs
    rows = rows.astype(np.int32)
    centroids = tuple(rows[rows[:, 0] == label, 1:] for label in range(len(NAMES)))
    return SceneIndex(split, train, images, val, centroids)


def _shifted(coarse: Survey, classes: tuple[int, ...], by: int) -> np.ndarray:
    rows = coarse.centroids[np.isin(coarse.centroids[:, 0], classes)]
    return rows + np.array([0, by, 0, 0])
