"""Time and memory that a process spends on loading the cached index of 1.28 million images.

python -m benchmarks.index
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from data.index import load_index
from data.store.cache import cached
from data.store.dataset import CLASSES, IMAGENET
from data.store.walk import folder_times
from foundation.errors import run_command


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--load", type=Path, help=argparse.SUPPRESS)  # in a process of its own
    root = parser.parse_args().load
    if root:
        _load(root)
        return
    with TemporaryDirectory() as temporary:
        root = Path(temporary)
        for split in IMAGENET:
            for label in range(CLASSES):
                (root / split / f"n{label:08}").mkdir(parents=True)
        cached(root, lambda _: False, lambda: _synthetic(root))
        for _ in range(3):
            subprocess.run([sys.executable, "-m", "benchmarks.index", "--load", root], check=True)


def _synthetic(root: Path) -> dict[str, np.ndarray]:
    """Return an index of ImageNet's size, as folder.scan would."""
    folders = [*IMAGENET, *(f"{split}/n{i:08}" for split in IMAGENET for i in range(CLASSES))]
    names = np.array([f"n{label:08}".encode() for label in range(CLASSES)])
    arrays = {
        "classes": names,
        "notes": np.zeros(0, dtype=str),
        "folders": np.array([folder.encode() for folder in folders]),
        "folder_times": np.array([folder_times(str(root / folder)) for folder in folders]),
    }
    for split, images in IMAGENET.items():
        labels = np.arange(images) * CLASSES // images
        files = (b"%s/%s_%05d.JPEG" % (names[c], names[c], i) for i, c in enumerate(labels))
        arrays |= {
            f"{split}_paths": np.array(list(files)),
            f"{split}_labels": labels,
            f"{split}_sizes": np.full((images, 2), (375, 500), dtype=np.int32),
            f"{split}_lengths": np.full(images, 110_000),
            f"{split}_bad": np.zeros(0, dtype=np.int64),
        }
    return arrays


def _load(root: Path) -> None:
    before = _mebibytes()
    start = time.perf_counter()
    index = load_index(root)
    fingerprint = index.fingerprint
    seconds = time.perf_counter() - start
    print(
        f"{len(index.train):,} + {len(index.val):,} images: {seconds:.2f} s with its fingerprint "
        f"({fingerprint}), {_mebibytes() - before:.0f} MiB more in the process"
    )


def _mebibytes() -> float:
    """Return the memory that this process holds now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    run_command(main)
