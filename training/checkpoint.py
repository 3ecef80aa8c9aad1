"""Checkpoints: written whole or not at all, read only when every byte is right."""

import pickle
import shutil
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from records.run_dir import RunError, atomic_writer

LAST = "last.pt"
BEST = "best.pt"
KEEP_EPOCHS = 5  # weights of the last epochs, those that last5_avg averages over


def save(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` by `content`, atomically."""
    with atomic_writer(path) as file:
        torch.save(content, file)


def load(path: Path, keys: Iterable[str] = ("model", "epochs_done")) -> dict[str, Any]:
    """Return a checkpoint's content on the CPU; it must hold `keys`.

    Raises:
        RunError: the file is missing, cut short, altered, or no checkpoint of this project.
    """
    if not path.is_file():
        raise RunError(f"{path}: there is no such checkpoint")
    remedy = "restore a copy, or delete the run directory to start over"
    try:
        with zipfile.ZipFile(path) as archive:  # torch.load does not compare the checksums
            damaged = archive.testzip()
        if damaged is None:
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, pickle.UnpicklingError) as error:
        reason = str(error).partition("\n")[0]
        raise RunError(f"{path}: half a checkpoint or none ({reason}); {remedy}") from None
    if damaged is not None:
        raise RunError(f"{path}: damaged (checksum of {damaged}); {remedy}")
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise RunError(f"{path}: not the checkpoint needed, it has no {missing[0]}; {remedy}")
    return content


def load_weights(model: nn.Module, saved: dict[str, Any]) -> None:
    """Load a checkpoint's weights into `model`.

    Raises:
        RunError: they are of another network.
    """
    try:
        model.load_state_dict(saved["model"])
    except RuntimeError as error:
        reason = str(error).splitlines()[1:2] or [str(error)]
        raise RunError(
            f"the checkpoint is of another network than config.yaml says ({reason[0].strip()})"
        ) from None


def save_epoch(folder: Path, state: dict[str, Any], is_best: bool) -> None:
    """Save everything as last.pt and the weights for evaluation, after an epoch.

    Until last.pt is there the epoch counts as never run, so best.pt, which it may not touch, waits.
    """
    epoch = state["epochs_done"] - 1
    save(folder / epoch_name(epoch), {key: state[key] for key in ("model", "epochs_done")})
    save(folder / LAST, state)
    if is_best:
        keep_best(folder, epoch)
    (folder / epoch_name(epoch - KEEP_EPOCHS)).unlink(missing_ok=True)


def keep_best(folder: Path, epoch: int) -> None:
    """Make best.pt the weights of `epoch`; an epoch no longer kept is best.pt already."""
    weights = folder / epoch_name(epoch)
    if weights.exists():
        with atomic_writer(folder / BEST) as best, open(weights, "rb") as file:
            shutil.copyfileobj(file, best)


def epoch_name(epoch: int) -> str:
    """Return the file name of an epoch's weights."""
    return f"epoch_{epoch:03}.pt"
