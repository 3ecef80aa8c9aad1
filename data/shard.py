"""Write a data set as WebDataset shards, for file systems on which opening many files is slow.

python -m data.shard ROOT OUT
"""

import argparse
import json
import os
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path

from tqdm import tqdm
from webdataset import TarWriter

from configs.same_data import same_data
from data.index import Index, load_index, read_index
from data.store.dataset import DataError
from data.store.machine import machine_error
from data.store.manifest import Manifest, read_manifest, tar_digest
from data.store.split import Split
from data.store.tars import found_in
from foundation.errors import run_command
from foundation.files import is_free, replacing, writing
from foundation.homes import expanded
from foundation.pool import ended_early

_THREADS = 8


def write_shards(index: Index, out: Path, images_per_shard: int) -> None:
    """Write the shards of both splits and their index; finished ones are kept.

    Raises:
        DataError: `out` holds something else.
    """
    manifest = _manifest(index, images_per_shard)
    try:
        _claim(out, manifest)
        jobs = [
            (split, samples, out / tar)
            for name, split in index.splits.items()
            for tar, samples in manifest.tars(name).items()
            if not (out / tar).exists()
        ]
        with ended_early(ThreadPoolExecutor(_THREADS)) as pool:
            written = as_completed([pool.submit(_write, *job) for job in jobs])
            for job in tqdm(written, "writing", len(jobs), unit="tar", disable=None):
                job.result()
    except OSError as error:
        told = f"{out}: cannot be written ({error.strerror}); mend that, and run the same again"
        raise machine_error(error) or DataError(told) from None
    load_index(out)  # compares the tars with the manifest


def _manifest(index: Index, images_per_shard: int) -> Manifest:
    images = {name: len(split) for name, split in index.splits.items()}
    manifest = Manifest(index.fingerprint, list(index.classes), images, images_per_shard)
    digests = {
        tar: tar_digest(tuple(c[samples.start : samples.stop] for c in split.columns))
        for name, split in index.splits.items()
        for tar, samples in manifest.tars(name).items()
    }
    return replace(manifest, digests=digests)


def _claim(out: Path, manifest: Manifest) -> None:
    if is_free(out):
        out.mkdir(parents=True, exist_ok=True)
        manifest.write(out)
        return
    if out.is_dir() and found_in(out):
        known = read_manifest(out)
        if known == manifest:
            return
        # An older version's: the same, but for what it did not write.
        same = same_data(known.fingerprint, manifest.fingerprint)
        if same and known == replace(manifest, fingerprint=known.fingerprint, digests=None):
            manifest.write(out)
            return
    raise DataError(f"{out}: holds something else; choose another folder, or delete it")


def _write(split: Split, samples: range, tar: Path) -> None:
    with (
        writing(tar),
        replacing(tar) as temporary,
        TarWriter(str(temporary), encoder=False, mtime=0) as writer,
    ):
        for sample in samples:
            path, content = os.fsdecode(bytes(split.paths[sample])), split.read(sample)
            label, (height, width) = int(split.labels[sample]), split.sizes[sample].tolist()
            split.check_unchanged(sample, (height, width), len(content))
            facts = {"path": path, "label": label, "height": height, "width": width}
            writer.write(
                {
                    "__key__": f"{sample:08}",
                    path.rpartition(".")[2].lower(): content,
                    "cls": str(label).encode(),
                    "json": json.dumps(facts).encode(),
                }
            )


def main() -> None:
    """Write the shards of the data set given on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m data.shard",
        description="Write an image folder as WebDataset shards; data.root may point at either. "
        "Stopped, the same command goes on.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("root", help="image folder with train/<class>/ and val/<class>/")
    parser.add_argument("out", type=expanded, help="folder of the shards")
    parser.add_argument("--exclude", help="list of images to leave out, as data.check writes it")
    parser.add_argument("--images-per-shard", type=int, default=8192, help="about 0.9 GB")
    arguments = parser.parse_args()
    if arguments.images_per_shard < 1:
        parser.error("--images-per-shard must be 1 or more")
    read_index(arguments.root, aloud=True)
    index = load_index(arguments.root, arguments.exclude)
    write_shards(index, arguments.out, arguments.images_per_shard)
    images = f"{len(index.train):,} training and {len(index.val):,} validation images"
    print(f"{arguments.out}: {images}, fingerprint {index.fingerprint}")


if __name__ == "__main__":
    run_command(main)
