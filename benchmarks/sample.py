"""Any folder or tar of images as a data set for the loaders' benchmarks."""

import argparse
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from configs.load import load
from data.build import Loaders, build_loaders
from data.index import read_index
from data.store.dataset import SPLITS
from foundation.errors import UserError

_CONFIG = Path(__file__).parents[1] / "configs" / "resnet50.yaml"


def parser(description: str) -> argparse.ArgumentParser:
    """Return the options that the loaders' benchmarks share."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    options.add_argument("images", type=Path, help="data set, or a folder or tar of JPEGs")
    options.add_argument("--workers", type=int, default=os.cpu_count(), help="threads, processes")
    options.add_argument("--batch", type=int, default=64, help="images")
    return options


def loaders(root: Path, backend: str, arguments: argparse.Namespace) -> Loaders:
    """Return the loaders of a run of the paper's recipe on one process."""
    overrides = {
        "root": root,
        "backend": backend,
        "global_batch_size": arguments.batch,
        "workers": arguments.workers,
    }
    data = load(_CONFIG, [f"data.{key}={value}" for key, value in overrides.items()]).data
    classes = len(read_index(root).classes)
    return build_loaders(data, classes, 0, (0, 1), torch.device("cpu"), channels_last=False)


@contextmanager
def data_set(images: Path, repeat: int = 1, at_least: int = 0) -> Iterator[Path]:
    """Give a folder with train/ and val/; loose images become one class that is in both.

    Args:
        images: data set, or folder or tar of images.
        repeat: how often each loose image is there.
        at_least: so many images are there in all, if need be by more repetition.

    Raises:
        UserError: there are no images.
    """
    if all((images / split).is_dir() for split in SPLITS):
        yield images
        return
    with TemporaryDirectory() as folder:
        loose = images
        if images.is_file():
            loose = Path(folder) / "loose"
            with tarfile.open(images) as tar:
                tar.extractall(loose, filter="data")
        files = [f for f in loose.rglob("*") if f.suffix.lower() in (".jpg", ".jpeg", ".png")]
        if not files:
            raise UserError(f"{images}: holds no JPEG or PNG images")
        repeat = max(repeat, -(-at_least // len(files)))
        for split in SPLITS:
            (Path(folder) / split / "all").mkdir(parents=True)
            for number, file in enumerate(sorted(files) * repeat):
                link = Path(folder) / split / "all" / f"{number:06}{file.suffix}"
                link.symlink_to(file.resolve())
        yield Path(folder)
