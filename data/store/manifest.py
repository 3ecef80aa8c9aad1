"""shards.json: what the tars of a folder of shards hold together, and each by itself."""

import hashlib
import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from data.store.dataset import SPLITS, DataError
from data.store.fingerprint import Columns
from data.store.machine import machine_error
from foundation.files import write_atomically

_FINGERPRINT = re.compile(r"[0-9a-f]{16}(\.[0-9a-f]{16})?")
_DIGEST = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Manifest:
    """What data.shard set out to write.

    Attributes:
        fingerprint: of the data set.
        classes: in the order of the labels.
        images: in each split.
        images_per_shard: in every tar but a split's last.
        digests: of each tar's contents, by the tar's name; None where an older version, which
            wrote none, has written it.
    """

    fingerprint: str
    classes: list[str]
    images: dict[str, int]
    images_per_shard: int
    digests: dict[str, str] | None = None

    def count(self, split: str) -> int:
        """Return the number of a split's tars."""
        return -(-self.images[split] // self.images_per_shard)

    def tars(self, split: str) -> dict[str, range]:
        """Return the images of each tar of a split, by the tar's name."""
        images, step = self.images[split], self.images_per_shard
        return {
            f"{split}-{number:06}.tar": range(start, min(start + step, images))
            for number, start in enumerate(range(0, images, step))
        }

    def write(self, root: Path) -> None:
        """Write it into the folder of the shards, as a whole."""
        write_atomically(manifest_file(root), json.dumps(asdict(self)).encode())


def tar_digest(columns: Columns) -> str:
    """Return the digest of paths, labels, sizes and lengths of the images of a tar."""
    paths, *numbers = columns
    digest = hashlib.sha256(b"\0".join(paths.tolist()))
    for array in numbers:
        digest.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return digest.hexdigest()[:32]


def manifest_file(root: Path) -> Path:
    """Return the manifest's place in a folder of shards."""
    return root / "shards.json"


def read_manifest(root: Path) -> Manifest:
    """Return the manifest of a folder of shards.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        read = json.loads(manifest_file(root).read_text(encoding="utf-8"))
        manifest = Manifest(**read)
        _check(manifest)
        return manifest
    except (OSError, ValueError, TypeError, RecursionError) as error:
        told = DataError(
            f"{manifest_file(root)}: cannot be read ({error}); copy it from where the shards were "
            f"written, or write them again by data.shard"
        )
        raise (isinstance(error, OSError) and machine_error(error)) or told from None


def _check(manifest: Manifest) -> None:
    """Refuse with a ValueError what data.shard would not write."""
    fingerprint, classes = manifest.fingerprint, manifest.classes
    _demand(
        isinstance(fingerprint, str) and _FINGERPRINT.fullmatch(fingerprint),
        "its fingerprint is none",
    )
    _demand(
        isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes),
        "its classes are no list of names",
    )
    for name in classes:
        os.fsencode(name)  # UnicodeEncodeError is a ValueError
    _demand(len(set(classes)) == len(classes), "a class is listed twice")
    _demand(
        isinstance(manifest.images, dict)
        and manifest.images.keys() == set(SPLITS)
        and all(map(_is_count, manifest.images.values())),
        "images should count those of train and of val, one or more each",
    )
    _demand(_is_count(manifest.images_per_shard), "images_per_shard should be 1 or more")
    digests = manifest.digests
    if digests is not None:
        _demand(
            isinstance(digests, dict)
            and len(digests) == sum(map(manifest.count, SPLITS))
            and all(name in digests for split in SPLITS for name in manifest.tars(split))
            and all(isinstance(d, str) and _DIGEST.fullmatch(d) for d in digests.values()),
            "its digests are not those of its tars",
        )


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**40  # True is an int, too


def _demand(true: Any, otherwise: str) -> None:
    if not true:
        raise ValueError(otherwise)
