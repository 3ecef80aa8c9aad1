"""A data set as WebDataset shards: ROOT/train-000000.tar, ..., ROOT/val-000000.tar, ...

Of an image <key> a tar holds the file as it was, its class as <key>.cls, and <key>.json: its path
in the image folder, its class, height and width. <key> is the image's place in the split.
shards.json (data/manifest.py) says what the tars hold together.
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

from configs.same_data import same_data
from data.store.dataset import SPLITS, DataError
from data.store.fingerprint import Columns, fingerprint
from data.store.machine import machine_error
from data.store.manifest import Manifest, manifest_file, read_manifest, tar_digest
from data.store.paths import open_regular

_THREADS = 8
_MOST = 2**31 - 1  # pixels a side

Arrays = dict[str, np.ndarray]


def found_in(root: Path) -> bool:
    """Tell whether a folder holds shards, or some of their files."""
    return manifest_file(root).exists() or any(_tars(root, split) for split in SPLITS)


def _tars(root: Path, split: str) -> list[Path]:
    return sorted(root.glob(f"{split}-*.tar"))


def is_current(root: Path, arrays: Arrays) -> bool:
    """Tell whether neither shard nor manifest has changed since `scan` returned `arrays`.

    Raises:
        DataError: shards, or their manifest, are missing.
    """
    return "state" in arrays and str(arrays["state"]) == _state(root)


def _state(root: Path) -> str:
    manifest = read_manifest(root)
    digest = hashlib.sha256(manifest_file(root).read_bytes())
    for split in SPLITS:
        tars, expected = _tars(root, split), manifest.count(split)
        if not tars:
            raise DataError(f"{root}: holds no {split}-*.tar; write all shards by data.shard")
        if len(tars) != expected:
            raise DataError(
                f"{root}: holds {len(tars)} of {expected} {split} shards; copy the rest, or run "
                f"the same data.shard again"
            )
        for tar, name in zip(tars, manifest.tars(split), strict=True):
            if tar.name != name:
                raise DataError(f"{tar}: is none of the shards that shards.json lists; remove it")
            facts = tar.stat()
            # The last time is one that a copy or a renamed file cannot bring along.
            times = f"{facts.st_mtime_ns} {facts.st_ctime_ns}"
            digest.update(f"{name} {facts.st_size} {times}\n".encode())
    return digest.hexdigest()


def scan(root: Path) -> Arrays:
    """Return what the index holds of a folder of shards.

    `classes`, `state` (for is_current), and, named by split: paths, labels, sizes, lengths, tars,
    and places in them.

    Raises:
        DataError: a tar is damaged, is another than the manifest says, or was not written by
            data.shard; or the machine has reached a limit.
    """
    state, manifest = _state(root), read_manifest(root)
    arrays = {
        "classes": np.array([os.fsencode(name) for name in manifest.classes]),
        "state": np.array(state),
    }
    columns: list[Columns] = []
    for split in SPLITS:
        found, places = _scan_split(root, split, manifest)
        kinds = ("paths", "labels", "sizes", "lengths")
        arrays |= {f"{split}_{kind}": array for kind, array in zip(kinds, found, strict=True)}
        arrays[f"{split}_tars"] = np.array(list(manifest.tars(split)))
        arrays[f"{split}_places"] = places
        columns.append(found)
    known = fingerprint(manifest.classes, columns)
    if not same_data(known, manifest.fingerprint):
        names = [name for split in SPLITS for name in manifest.tars(split)]
        raise DataError(
            f"{manifest_file(root)}: says fingerprint {manifest.fingerprint}, but the tars, "
            f"{names[0]} to {names[-1]}, make {known}; copy shards.json and all tars from one "
            f"place, or delete them and write them again by data.shard"
        )
    return arrays


def _scan_split(root: Path, split: str, manifest: Manifest) -> tuple[Columns, np.ndarray]:
    def scan_tar(name: str, samples: range) -> tuple[Columns, list[int]]:
        columns, offsets = _read(root / name, samples, len(manifest.classes))
        if manifest.digests and tar_digest(columns) != manifest.digests[name]:
            raise _foreign(root / name)
        return columns, offsets

    tars = manifest.tars(split)
    with ThreadPoolExecutor(_THREADS) as pool:
        found = pool.map(scan_tar, tars.keys(), tars.values())
        read = list(tqdm(found, f"indexing {split}", len(tars), unit="tar", disable=None))
    columns = tuple(np.concatenate(c) for c in zip(*(each for each, _ in read), strict=True))
    places = [(tar, offset) for tar, (_, offsets) in enumerate(read) for offset in offsets]
    return columns, np.array(places, dtype=np.int64)


def _foreign(tar: Path) -> DataError:
    return DataError(
        f"{tar}: is not the shard that shards.json lists by this name, but one of other images; "
        f"copy it from where the shards were written, or delete it and run the same data.shard "
        f"again"
    )


def _read(tar: Path, samples: range, classes: int) -> tuple[Columns, list[int]]:
    """Return the columns of a tar's images in order, and where each begins."""
    try:
        with open_regular(str(tar)) as file, tarfile.open(fileobj=file, mode="r:") as opened:
            rows = _rows(opened, classes)
    except (OSError, MemoryError) as error:
        raise machine_error(error) or _damaged(tar, error) from None
    # tarfile, too, stumbles over damaged headers in many ways.
    except Exception as error:
        raise _damaged(tar, error) from None
    if not rows:
        raise DataError(f"{tar}: was not written by `python -m data.shard`; write it by that")
    if len(rows) != len(samples):  # tarfile takes a damaged header for the end
        raise DataError(
            f"{tar}: is damaged, {len(rows)} of {len(samples)} images can be found; delete it and "
            f"run the same data.shard again"
        )
    keys, paths, labels, sizes, offsets, lengths = zip(*rows, strict=True)
    if list(keys) != [f"{sample:08}" for sample in samples]:
        raise _foreign(tar)
    numbers = np.array(labels), np.array(sizes, dtype=np.int32), np.array(lengths)
    return (np.array(paths), *numbers), list(offsets)


def _damaged(tar: Path, error: Exception) -> DataError:
    return DataError(f"{tar}: cannot be read ({error}); write it again by data.shard")


def _rows(tar: tarfile.TarFile, classes: int) -> list[tuple]:
    """Return key, path, label, size, offset and length of every image; none of another's tar."""
    rows, image = [], None
    for member in tar:
        key, _, kind = member.name.rpartition(".")
        if kind == "json":
            facts = json.loads(tar.extractfile(member).read())
            if (
                image is None
                or image.name.rpartition(".")[0] != key
                or not _is_ours(facts, classes)
            ):
                return []
            path, size = os.fsencode(facts["path"]), (facts["height"], facts["width"])
            rows.append((key, path, facts["label"], size, image.offset_data, image.size))
            image = None
        elif kind != "cls":
            image = member
    return rows


def _is_ours(facts: Any, classes: int) -> bool:
    return (
        isinstance(facts, dict)
        and facts.keys() >= {"path", "label", "height", "width"}
        and isinstance(facts["path"], str)
        and all(type(facts[name]) is int for name in ("label", "height", "width"))
        and 0 <= facts["label"] < classes
        and 0 < facts["height"] <= _MOST
        and 0 < facts["width"] <= _MOST
    )
