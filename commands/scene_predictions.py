"""Predicted label images of an evaluation: hidden until all are there, then in their place."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

from torch import Tensor

from data.interface import FILLER_INDEX, Batch, Loader
from data.store.predicted import write_prediction
from foundation.files import is_locked, lock, writing
from records.run_dir import RunDir
from tasks import modes
from training.distributed import Process, on_first

_LOCK = ".lock"  # in a hidden folder, held by the command that fills it


@contextmanager
def new_folder(run: RunDir, name: str, process: Process) -> Iterator[Path]:
    """Give out a folder that all processes of this command share, and no other command has.

    Unless it is put in place (`keep`) it is gone after the block, however that ends. What killed
    commands left is removed.

    Args:
        run: the run.
        name: of the evaluation.
        process: all call this together.

    Raises:
        SharedError: it cannot be made.
    """
    held: list[IO[str]] = []  # by the first process
    folder = on_first(process, lambda: _make(run, name, held))
    try:
        yield folder
    finally:
        if process.is_first:
            shutil.rmtree(folder, ignore_errors=True)
            held[0].close()


def save(folder: Path, loader: Loader, mode: str, predicted: Tensor, batch: Batch) -> None:
    """Write the (n, H, W) classes that a mode gave the images of a batch."""
    for place, classes in zip(batch.index.tolist(), predicted.cpu().numpy(), strict=True):
        if place != FILLER_INDEX:
            file = folder / _folder_name(mode) / f"{loader.name(place)}.png"
            write_prediction(file, classes)


def keep(folder: Path, name: str) -> None:
    """Put a folder in the place of those before; the run's evaluations are locked meanwhile.

    Raises:
        FileError: it cannot be put there.
    """
    final = folder.with_name(name)
    with writing(final):
        (folder / _LOCK).unlink()
        shutil.rmtree(final, ignore_errors=True)
        folder.rename(final)


def _make(run: RunDir, name: str, held: list[IO[str]]) -> Path:
    place = run.evaluations / "predictions"
    folder = place / f".{name}.{uuid4().hex[:8]}"
    with run.lock_evaluations(), writing(place):  # between mkdir and lock it looks abandoned
        for left in place.glob(".*"):
            if left.is_dir() and is_locked(left / _LOCK) is False:
                shutil.rmtree(left, ignore_errors=True)
        folder.mkdir(parents=True)
        held.append(lock(folder / _LOCK))
        for mode in modes.MODES:
            (folder / _folder_name(mode)).mkdir()
    return folder


def _folder_name(mode: str) -> str:
    return mode.replace(" ", "_").replace("/", "_")
