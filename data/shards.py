"""A data set as WebDataset shards: ROOT/train-000000.tar, ..., ROOT/val-000000.tar, ...

Of an image <key> a tar holds the file as it was, its class as <key>.cls, and <key>.json: its path
in the image folder, its class, height and width. shards.json says what the tars hold together.
"""

import hashlib
import json
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.interface import SPLITS, DataError

_THREADS = 8


@dataclass(frozen=True)
class Manifest:
    """What data.shard set out to write.

    Attributes:
        fingerprint: of the data set.
        classes: in the order of the labels.
        images: in each split.
        images_per_shard: in every tar but a split's last.
    """

    fingerprint: str
    classes: list[str]
    images: dict[str, int]
    images_per_shard: int

    def shards(self, split: str) -> list[range]:
        """Return the images of each tar of a split."""
        images, step = self.images[split], self.images_per_shard
        return [range(start, min(start + step, images)) for start in range(0, images, step)]

    def write(self, root: Path) -> None:
        """Write it into the folder of the shards, as a whole."""
        temporary = root / f".shards.json.{os.getpid()}"
        temporary.write_text(json.dumps(asdict(self)))
        os.replace(temporary, _manifest_file(root))


def read_manifest(root: Path) -> Manifest:
    """Return the manifest of a folder of shards.

    Raises:
        DataError: it is missing or damaged.
    """
    try:
        return Manifest(**json.loads(_manifest_file(root).read_text()))
    except (OSError, ValueError, TypeError) as error:
        raise DataError(
            f"{_manifest_file(root)}: cannot be read ({error}); copy it from where the shards were "
            f"written, or write them again by data.shard"
        ) from None


def found_in(root: Path) -> bool:
    """Tell whether a folder holds shards, or some of their files."""
    return _manifest_file(root).exists() or any(_tars(root, split) for split in SPLITS)


def _manifest_file(root: Path) -> Path:
    return root / "shards.json"


def _tars(root: Path, split: str) -> list[Path]:
    return sorted(root.glob(f"{split}-*.tar"))


def state(root: Path) -> str:
    """Return a digest that changes when a shard does.

    Raises:
        DataError: shards, or their manifest, are missing.
    """
    manifest = read_manifest(root)
    digest = hashlib.sha256(manifest.fingerprint.encode())
    for split in SPLITS:
        tars, expected = _tars(root, split), len(manifest.shards(split))
        if not tars:
            raise DataError(f"{root}: holds no {split}-*.tar; write all shards by data.shard")
        if len(tars) != expected:
            raise DataError(
                f"{root}: holds {len(tars)} of {expected} {split} shards; copy the rest, or run "
                f"the same data.shard again"
            )
        for tar in tars:
            facts = tar.stat()
            digest.update(f"{tar.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def scan(root: Path) -> dict[str, np.ndarray]:
    """Return the classes and, named by split, paths, labels, sizes, tars and places in them.

    Raises:
        DataError: a tar is damaged or was not written by data.shard.
    """
    manifest = read_manifest(root)
    arrays = {"classes": np.array([os.fsencode(name) for name in manifest.classes])}
    for split in SPLITS:
        files = _tars(root, split)
        with ThreadPoolExecutor(_THREADS) as pool:
            found = pool.map(_read, files, map(len, manifest.shards(split)))
            bar = tqdm(found, f"indexing {split}", len(files), unit="tar", disable=None)
            rows = [(tar, *row) for tar, found in enumerate(bar) for row in found]
        arrays |= {
            f"{split}_paths": np.array([os.fsencode(facts["path"]) for *_, facts in rows]),
            f"{split}_labels": np.array([facts["label"] for *_, facts in rows], dtype=np.int64),
            f"{split}_sizes": np.array(
                [(facts["height"], facts["width"]) for *_, facts in rows], dtype=np.int32
            ),
            f"{split}_tars": np.array([file.name for file in files]),
            f"{split}_places": np.array([place for *place, _ in rows], dtype=np.int64),
        }
    return arrays


def _read(tar: Path, images: int) -> list[tuple[int, int, dict[str, Any]]]:
    """Return offset, length and facts of every image of a tar, in order."""
    rows, place = [], None
    try:
        with tarfile.open(tar, "r:") as opened:
            for member in opened:
                if member.name.endswith(".json"):
                    facts = json.loads(opened.extractfile(member).read())
                    rows.append((*place, facts))
                elif not member.name.endswith(".cls"):
                    place = (member.offset_data, member.size)
            facts = [facts.keys() for *_, facts in rows]
    except (OSError, tarfile.TarError, ValueError, TypeError) as error:
        raise DataError(f"{tar}: cannot be read ({error}); write it again by data.shard") from None
    if not rows or any(not names >= {"path", "label", "height", "width"} for names in facts):
        raise DataError(f"{tar}: was not written by `python -m data.shard`; write it by that")
    if len(rows) != images:  # tarfile takes a damaged header for the end
        raise DataError(
            f"{tar}: is damaged, {len(rows)} of {images} images can be found; delete it and run "
            f"the same data.shard again"
        )
    return rows
