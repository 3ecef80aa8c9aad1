"""CIFAR-10's official archive as an image folder, OUT/train/<class>/ and OUT/val/<class>/.

python -m data.cifar10 cifar-10-python.tar.gz data/cifar10
"""

import argparse
import io
import pickle
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from tqdm import tqdm

from data.store.dataset import DataError
from data.store.paths import is_folder_name, printable
from foundation.errors import run_command
from foundation.files import is_free, replacing, writing
from foundation.homes import expanded

# What the archive's members are called, of each split.
BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "val": ("test_batch",)}
_SHAPE = (3, 32, 32)  # channels first, rows of 3,072 bytes


def write_cifar10(source: Path, out: Path, per_class: int | None = None) -> str:
    """Write the archive's images as PNG files and say how many there are.

    A file is named by its place among its class's images, in the archive's order.

    Args:
        source: cifar-10-python.tar.gz.
        out: folder to create.
        per_class: training images of each class, the first ones; None: all. The test images, which
            are the validation split, are always all written.

    Raises:
        DataError: `source` is not that archive, or `out` exists and is no empty folder.
    """
    if not is_free(out):
        raise DataError(f"{out}: exists; choose another folder, or remove it first")
    members = _members(source)
    classes = _classes(source, members)
    with writing(out), replacing(out) as temporary:
        counts = {
            split: _write_split(temporary / split, classes, _images(source, members, names), limit)
            for split, names, limit in (
                ("train", BATCHES["train"], per_class),
                ("val", BATCHES["val"], None),
            )
        }
    listed = " and ".join(f"{count:,} in {split}/" for split, count in counts.items())
    return f"{out}: {listed}, {len(classes)} classes"


def _members(source: Path) -> dict[str, bytes]:
    """Return the archive's files by their names without folders."""
    wanted = {"batches.meta", *BATCHES["train"], *BATCHES["val"]}
    try:
        with tarfile.open(source) as tar:
            files = {Path(member.name).name: member for member in tar if member.isfile()}
            found = {name: tar.extractfile(files[name]).read() for name in wanted & files.keys()}
    except (OSError, tarfile.TarError, EOFError) as error:
        raise DataError(f"{source}: cannot be read ({error}); is the download whole?") from None
    if missing := sorted(wanted - found.keys()):
        raise DataError(f"{source}: holds no {missing[0]}; give cifar-10-python.tar.gz")
    return found


class _PlainUnpickler(pickle.Unpickler):
    """Reads what the archive holds, dicts of lists, bytes and arrays, and runs nothing else."""

    _ALLOWED = frozenset(
        (module, name)
        for module in ("numpy.core.multiarray", "numpy._core.multiarray", "numpy", "_codecs")
        for name in ("_reconstruct", "ndarray", "dtype", "encode")
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it would run {module}.{name}")
        return super().find_class(module, name)


def _read(source: Path, members: dict[str, bytes], name: str, *keys: str) -> list[Any]:
    """Return what a member holds under these keys."""
    try:
        content = _PlainUnpickler(io.BytesIO(members[name]), encoding="latin1").load()
        return [content[key] for key in keys]
    except Exception as error:  # a pickle that is none fails in many ways
        raise DataError(f"{source}: {name} is not CIFAR-10's ({error})") from None


def _classes(source: Path, members: dict[str, bytes]) -> list[str]:
    [classes] = _read(source, members, "batches.meta", "label_names")
    if wrong := [name for name in classes if not is_folder_name(name)]:
        raise DataError(f"{source}: {printable(wrong[0])} names no class")
    return classes


def _images(
    source: Path, members: dict[str, bytes], names: tuple[str, ...]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield label and pixels, (32, 32, 3) uint8, in the archive's order."""
    for name in names:
        labels, rows = _read(source, members, name, "labels", "data")
        if rows.dtype != np.uint8 or rows.shape != (len(labels), np.prod(_SHAPE)):
            raise DataError(f"{source}: {name} holds no images of 32 x 32 px")
        yield from zip(labels, rows.reshape(-1, *_SHAPE).transpose(0, 2, 3, 1), strict=True)


def _write_split(
    folder: Path, classes: list[str], images: Iterator[tuple[int, np.ndarray]], limit: int | None
) -> int:
    counts: Counter[int] = Counter()
    for name in classes:
        (folder / name).mkdir(parents=True)
    for label, pixels in tqdm(images, f"{folder.name}/", unit="img", disable=None):
        if limit is None or counts[label] < limit:
            Image.fromarray(pixels).save(folder / classes[label] / f"{counts[label]:04}.png")
            counts[label] += 1
    return counts.total()


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError("give a positive number")
    return count


def main() -> None:
    """Write the folder that the command line names."""
    parser = argparse.ArgumentParser(
        prog="python -m data.cifar10",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The archive is at https://www.cs.toronto.edu/~kriz/cifar.html (163 MiB).",
    )
    parser.add_argument("source", type=expanded, help="cifar-10-python.tar.gz, as downloaded")
    parser.add_argument("out", type=expanded, help="folder to create, with train/ and val/ inside")
    parser.add_argument(
        "--per-class", type=_count, help="training images of each class, the first ones (all)"
    )
    arguments = parser.parse_args()
    print(write_cifar10(arguments.source, arguments.out, arguments.per_class))


if __name__ == "__main__":
    run_command(main)
