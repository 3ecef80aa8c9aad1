"""Images a second that reach the training, beside other ways to load them.

python -m benchmarks.loader IMAGES
"""

import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random
from statistics import median

from nvidia.dali import fn, types
from nvidia.dali.pipeline import Pipeline
from torchvision.datasets import ImageFolder
from tqdm import tqdm

from benchmarks import sample
from benchmarks.loops import image_folder
from data.interface import MEAN, STD
from foundation.errors import run_command
from results.render import Table, render
from training.provenance import machine

_REPEAT = 4  # an epoch that takes its time, as ImageNet's does
_FOLDER = "torchvision's ImageFolder + DataLoader"
_BARE = "bare DALI pipeline"
_DECODE = "bare DALI pipeline, decoding alone"


def main() -> None:
    """Run the command line."""
    options = sample.parser(__doc__.split("\n")[0])
    options.add_argument("--rounds", type=int, default=7, help="each way once a round")
    arguments = options.parse_args()
    with sample.data_set(arguments.images, repeat=_REPEAT) as root:
        size = arguments.batch, arguments.workers
        loaders = {
            "backend dali": sample.loaders(root, "dali", arguments).train,
            "backend torchvision": sample.loaders(root, "torchvision", arguments).train,
            _FOLDER: image_folder(root, *size),
            _BARE: _Bare(root, *size, decode_only=False),
            _DECODE: _Bare(root, *size, decode_only=True),
        }
        speeds = _measure(loaders, len(ImageFolder(root / "train")), max(1, arguments.rounds))
    print(render(_table(speeds, arguments.workers, arguments.rounds), "markdown"))


def _measure(loaders: dict[str, Iterable], images: int, rounds: int) -> dict[str, list[float]]:
    """Return images a second of every loader in every round, in random order within a round."""
    speeds: dict[str, list[float]] = {name: [] for name in loaders}
    order = Random(0)
    for round_ in tqdm(range(-1, rounds), "rounds", disable=None):
        for name in order.sample(list(loaders), len(loaders)):
            start = time.perf_counter()
            for _ in loaders[name]:
                pass
            if round_ >= 0:  # the first warms caches, workers and pipelines
                speeds[name].append(images / (time.perf_counter() - start))
    return speeds


class _Bare:
    """DALI's own reader, random crop, resize, flip and normalization, about an epoch at a time."""

    def __init__(self, root: Path, batch: int, threads: int, decode_only: bool):
        self._pipeline = Pipeline(batch, threads, None, prefetch_queue_depth=2)
        with self._pipeline:
            encoded, labels = fn.readers.file(
                file_root=str(root / "train"), random_shuffle=True, name="reader"
            )
            images = fn.decoders.image_random_crop(
                encoded,
                output_type=types.RGB,
                random_area=(0.08, 1.0),
                random_aspect_ratio=(3 / 4, 4 / 3),
                num_attempts=10,
                adjust_orientation=False,
            )
            if not decode_only:
                images = fn.resize(images, size=(224, 224), antialias=True)
                images = fn.crop_mirror_normalize(
                    images,
                    mirror=fn.random.coin_flip(),
                    mean=[255 * value for value in MEAN],
                    std=[255 * value for value in STD],
                )
            self._pipeline.set_outputs(images, labels)
        self._pipeline.build()
        self._steps = -(-self._pipeline.reader_meta("reader")["epoch_size"] // batch)

    def __iter__(self) -> Iterator[tuple]:
        for _ in range(self._steps):
            yield self._pipeline.run()


def _table(speeds: dict[str, list[float]], workers: int, rounds: int) -> Table:
    cores = min(workers, os.cpu_count()) or 1

    def ratio(name: str, other: str) -> str:
        return f"{median(a / b for a, b in zip(speeds[name], speeds[other], strict=True)):.2f}"

    rows = tuple(
        (
            name,
            f"{median(each):.0f}",
            f"{median(each) / cores:.0f}",
            ratio(name, _FOLDER),
            ratio(name, _BARE),
        )
        for name, each in speeds.items()
    )
    facts = machine(cuda=False)
    share = median(b / d for b, d in zip(speeds["backend dali"], speeds[_DECODE], strict=True))
    return Table(
        name="loader",
        title="Training images a second, 224 x 224 px, normalized, on the CPU",
        names=1,
        columns=("", "images/s", "per core", "to ImageFolder", "to bare DALI"),
        rows=rows,
        notes=(
            f"{100 * share:.0f}% of backend dali's time is JPEG decoding",
            f"{cores} cores; {facts['devices']}; {rounds} interleaved rounds, medians of the "
            f"rounds' ratios",
        ),
    )


if __name__ == "__main__":
    run_command(main)
