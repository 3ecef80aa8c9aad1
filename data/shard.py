"""Write a data set as WebDataset shards, for file systems on which opening many files is slow.

python -m data.shard ROOT OUT
"""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from tqdm import tqdm
from webdataset import TarWriter

from configs.errors import run_command
from data.index import Index, load_index
from data.interface import SPLITS, DataError
from data.shards import MANIFEST
from data.split import Split

_THREADS = 8


def write_shards(index: Index, out: Path, images_per_shard: int) -> None:
    """Write the shards of both splits and their index; finished ones are kept.

    Raises:
        DataError: `out` holds something else.
    """
    counts = {s: -(-len(getattr(index, s)) // images_per_shard) for s in SPLITS}
    facts = {"fingerprint": index.fingerprint, "images_per_shard": images_per_shard}
    _claim(out, facts | {"tars": counts})
    jobs = [
        (getattr(index, split), range(start, min(start + images_per_shard, images)), tar)
        for split in SPLITS
        for images in [len(getattr(index, split))]
        for number, start in enumerate(range(0, images, images_per_shard))
        if not (tar := out / f"{split}-{number:06}.tar").exists()
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        written = as_completed([pool.submit(_write, *job) for job in jobs])
        try:
            for job in tqdm(written, "writing", len(jobs), unit="tar", disable=None):
                job.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    fingerprint = load_index(out).fingerprint
    assert fingerprint == index.fingerprint, f"{out} reads back as {fingerprint}"


def _claim(out: Path, manifest: dict[str, Any]) -> None:
    file = out / MANIFEST
    if file.is_file() and json.loads(file.read_text()) == manifest:
        return
    if out.exists() and any(out.iterdir()):
        raise DataError(f"{out}: holds something else; choose another folder, or delete it")
    out.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(manifest))


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
