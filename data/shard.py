"""Write a data set as WebDataset shards, for file systems on which opening many files is slow.

python -m data.shard ROOT OUT
"""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm
from webdataset import TarWriter

from configs.errors import run_command
from data.index import Index, load_index
from data.interface import DataError
from data.pool import ended_early
from data.shards import Manifest, found_in, read_manifest
from data.split import Split

_THREADS = 8


def write_shards(index: Index, out: Path, images_per_shard: int) -> None:
    """Write the shards of both splits and their index; finished ones are kept.

    Raises:
        DataError: `out` holds something else.
    """
    images = {name: len(split) for name, split in index.splits.items()}
    manifest = Manifest(index.fingerprint, list(index.classes), images, images_per_shard)
    _claim(out, manifest)
    jobs = [
        (split, samples, tar)
        for name, split in index.splits.items()
        for number, samples in enumerate(manifest.shards(name))
        if not (tar := out / f"{name}-{number:06}.tar").exists()
    ]
    with ended_early(ThreadPoolExecutor(_THREADS)) as pool:
        written = as_completed([pool.submit(_write, *job) for job in jobs])
        for job in tqdm(written, "writing", len(jobs), unit="tar", disable=None):
            job.result()
    if load_index(out).fingerprint != index.fingerprint:
        raise DataError(f"{out}: reads back as another data set; delete it and write it again")


def _claim(out: Path, manifest: Manifest) -> None:
    if not out.exists() or not any(out.iterdir()):
        out.mkdir(parents=True, exist_ok=True)
        manifest.write(out)
    elif not found_in(out) or read_manifest(out) != manifest:
        raise DataError(f"{out}: holds something else; choose another folder, or delete it")


def _write(split: Split, samples: range, tar: Path) -> None:
    temporary = tar.with_name(f".{tar.name}.{os.getpid()}")
    try:
        with TarWriter(str(temporary), encoder=False, mtime=0) as writer:
            for sample in samples:
                path = os.fsdecode(bytes(split.paths[sample]))
                label, (height, width) = int(split.labels[sample]), split.sizes[sample].tolist()
                facts = {"path": path, "label": label, "height": height, "width": width}
                writer.write(
                    {
                        "__key__": f"{sample:08}",
                        path.rpartition(".")[2].lower(): split.read(sample),
                        "cls": str(label).encode(),
                        "json": json.dumps(facts).encode(),
                    }
                )
        os.replace(temporary, tar)
    finally:
        temporary.unlink(missing_ok=True)


def main() -> None:
    """Write the shards of the data set given on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m data.shard",
        description="Write an image folder as WebDataset shards; data.root may point at either. "
        "Stopped, the same command goes on.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("root", help="image folder with train/<class>/ and val/<class>/")
    parser.add_argument("out", type=Path, help="folder of the shards")
    parser.add_argument("--exclude", help="list of images to leave out, as data.check writes it")
    parser.add_argument("--images-per-shard", type=int, default=8192, help="about 0.9 GB")
    arguments = parser.parse_args()
    if arguments.images_per_shard < 1:
        parser.error("--images-per-shard must be 1 or more")
    index = load_index(arguments.root, arguments.exclude)
    write_shards(index, arguments.out, arguments.images_per_shard)
    images = f"{len(index.train):,} training and {len(index.val):,} validation images"
    print(f"{arguments.out}: {images}, fingerprint {index.fingerprint}")


if __name__ == "__main__":
    run_command(main)
