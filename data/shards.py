"""A data set as WebDataset shards: ROOT/train-000000.tar, ..., ROOT/val-000000.tar, ...

Of an image <key> a tar holds the file as it was, its class as <key>.cls, and <key>.json: its path
in the image folder, its class, height and width.
"""

import hashlib
import json
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from data.interface import SPLITS, DataError

MANIFEST = "shards.json"  # of which data set the shards are, and how many
_THREADS = 8


def tars(root: Path, split: str) -> list[Path]:
    """Return the shards of a split in order."""
    return sorted(root.glob(f"{split}-*.tar"))


def state(root: Path) -> str:
    """Return a digest that changes when a shard does.

    Raises:
        DataError: a split has no shards.
    """
    digest = hashlib.sha256()
    for split in SPLITS:
        if not tars(root, split):
            raise DataError(f"{root}: holds no {split}-*.tar; write all shards by data.shard")
        expected = _expected(root).get(split, len(tars(root, split)))
        if len(tars(root, split)) != expected:
            raise DataError(
                f"{root}: holds {len(tars(root, split))} of {expected} {split} shards; copy the "
                f"rest, or run the same data.shard again"
            )
        for tar in tars(root, split):
            facts = tar.stat()
            digest.update(f"{tar.name} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _expected(root: Path) -> dict[str, int]:
    """Return how many shards data.shard set out to write for each split."""
    file = root / MANIFEST
    return json.loads(file.read_text())["tars"] if file.is_file() else {}


def scan(root: Path) -> dict[str, np.ndarray]:
    """Return the classes and, named by split, paths, labels, sizes, tars and places in them.

    Raises:
        DataError: a tar is damaged or was not written by data.shard.
    """
    arrays: dict[str, np.ndarray] = {}
    classes: dict[bytes, int] = {}
    for split in SPLITS:
        files = tars(root, split)
        with ThreadPoolExecutor(_THREADS) as pool:
            bar = tqdm(
                pool.map(_read, files), f"indexing {split}", len(files), unit="tar", disable=None
            )
            rows = [(tar, *row) for tar, found in enumerate(bar) for row in found]
        paths = [os.fsencode(facts["path"]) for *_, facts in rows]
        labels = [facts["label"] for *_, facts in rows]
        classes |= {path.split(b"/")[0]: label for path, label in zip(paths, labels, strict=True)}
        arrays |= {
            f"{split}_paths": np.array(paths),
            f"{split}_labels": np.array(labels, dtype=np.int64),
            f"{split}_sizes": np.array(
                [(facts["height"], facts["width"]) for *_, facts in rows], dtype=np.int32
            ),
            f"{split}_tars": np.array([file.name for file in files]),
            f"{split}_places": np.array([place for *place, _ in rows], dtype=np.int64),
        }
    return arrays | {"classes": np.array(sorted(classes, key=classes.__getitem__))}


def _read(tar: Path) -> list[tuple[int, int, dict[str, Any]]]:
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
    return rows
