"""Cityscapes' images with their label files: which there are, and their content."""

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from data.store.dataset import DataError
from data.store.decoding import why
from data.store.fingerprint import Columns
from data.store.labels import TO_TRAIN_IDS, why_no_label_ids
from data.store.machine import machine_error
from data.store.paths import open_regular, printable

Kind = Literal["fine", "coarse"]
IMAGE_ENDING = "_leftImg8bit.png"
LABEL_ENDING = {"fine": "_gtFine_labelIds.png", "coarse": "_gtCoarse_labelIds.png"}


@dataclass(frozen=True)
class Pairs:
    """Images and the label file of each.

    Attributes:
        root: the data set's folder.
        images, labels: (n) paths below it.
        lengths: (n, 2) int64 bytes of the image's and of the label's file.
        changed: (n, 4) int64 ns: when the image's file was changed, as told and as nobody can
            fake it, and when the label's was.
        sizes: (n, 2) int32 height and width in pixels; zeros before the survey, which checks that
            image and label have the same (data/store/survey.py).
    """

    root: Path
    images: tuple[str, ...]
    labels: tuple[str, ...]
    lengths: np.ndarray
    changed: np.ndarray
    sizes: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def __add__(self, other: "Pairs") -> "Pairs":
        arrays = (
            np.concatenate([getattr(self, name), getattr(other, name)])
            for name in ("lengths", "changed", "sizes")
        )
        return Pairs(self.root, self.images + other.images, self.labels + other.labels, *arrays)

    def subset(self, keep: np.ndarray) -> "Pairs":
        """Return the pairs where the (n,) bool `keep` is true."""
        images, labels = (
            tuple(file for file, kept in zip(files, keep, strict=True) if kept)
            for files in (self.images, self.labels)
        )
        arrays = (array[keep] for array in (self.lengths, self.changed, self.sizes))
        return Pairs(self.root, images, labels, *arrays)

    @property
    def cities(self) -> tuple[str, ...]:
        """The city of each image."""
        return tuple(file.split("/")[-2] for file in self.images)

    @property
    def columns(self) -> Columns:
        """What the fingerprint covers."""
        images, labels = ([*map(os.fsencode, files)] for files in (self.images, self.labels))
        return np.array(images, "S"), np.array(labels, "S"), self.sizes, self.lengths

    @property
    def state(self) -> np.ndarray:
        """A digest, (32,) uint8, that changes with any file's name, length or time."""
        names = "\n".join((*self.images, *self.labels))
        digest = hashlib.sha256(names.encode(errors="surrogateescape"))
        digest.update(self.lengths.tobytes() + self.changed.tobytes())
        return np.frombuffer(digest.digest(), np.uint8)

    def name(self, sample: int) -> str:
        """Return an image's name: <city>_<sequence>_<frame>."""
        return os.path.basename(self.images[sample]).removesuffix(IMAGE_ENDING)

    def image_file(self, sample: int) -> Path:
        """Return the path of the image."""
        return self.root / self.images[sample]

    def label_file(self, sample: int) -> Path:
        """Return the path of its label ids."""
        return self.root / self.labels[sample]

    def read_image(self, sample: int) -> Image.Image:
        """Return the image, RGB.

        Raises:
            DataError: it cannot be read, is blank, or has another size than when it was surveyed.
        """
        image = open_image(self.image_file(sample))
        self._check_size(self.image_file(sample), image.size, sample)
        return image

    def read_labels(self, sample: int) -> np.ndarray:
        """Return the train ids, (H, W) uint8, IGNORED where a pixel has none.

        Raises:
            DataError: the file cannot be read, holds no label ids, or has another size than when
                it was surveyed.
        """
        labels = open_labels(self.label_file(sample))
        self._check_size(self.label_file(sample), labels.shape[::-1], sample)
        return labels

    def _check_size(self, file: Path, size: tuple[int, int], sample: int) -> None:
        height, width = self.sizes[sample].tolist()
        if size != (width, height):
            raise DataError(
                f"{printable(str(file))}: is {size[0]} x {size[1]} px, was {width} x {height} when "
                f"it was surveyed; start again when nobody changes the data"
            )


def open_image(file: Path) -> Image.Image:
    """Return an image file's content, RGB.

    Raises:
        DataError: it cannot be read, or is blank.
    """
    image = _decoded(file).convert("RGB")
    if image.getcolors(1):  # stops at the second colour
        raise _complaint(file, "is blank, a single colour; get it again, or move it away")
    return image


def open_labels(file: Path) -> np.ndarray:
    """Return the train ids of a file of label ids, (H, W) uint8.

    Raises:
        DataError: it cannot be read, or holds something else.
    """
    image = _decoded(file)
    if reason := why_no_label_ids(image):
        raise _complaint(file, reason)
    return np.array(image.point(TO_TRAIN_IDS.tolist()))


def image_size(file: Path) -> tuple[int, int]:
    """Return width and height of an image file, from its header alone.

    Raises:
        DataError: it cannot be read.
    """
    try:
        with open_regular(str(file)) as opened, Image.open(opened) as header:
            return header.size
    except Exception as error:
        raise _unreadable(file, error) from None


def _decoded(file: Path) -> Image.Image:
    try:
        with open_regular(str(file)) as opened:
            content = opened.read()
        with Image.open(io.BytesIO(content)) as image:
            image.load()
            return image
    except Exception as error:
        raise _unreadable(file, error) from None


def _unreadable(file: Path, error: Exception) -> DataError:
    """Say it of any error: PIL's readers of damaged files raise whatever they stumble over."""
    if isinstance(error, (OSError, MemoryError)) and (told := machine_error(error)):
        return told
    if isinstance(error, OSError) and error.strerror:
        return _complaint(file, f"cannot be read ({error.strerror}); get it again")
    return _complaint(file, f"cannot be decoded ({why(error)}); get it again")


def _complaint(file: Path, reason: str) -> DataError:
    return DataError(f"{printable(str(file))}: {reason}")
