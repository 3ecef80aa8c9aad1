"""Checkpoints: written whole or not at all, read only when every byte is right."""

import pickle
import zipfile
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


def load(path: Path) -> dict[str, Any]:
    """Return a checkpoint's content on the CPU.

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
    if not isinstance(content, dict) or not {"model", "epochs_done"} <= content.keys():
        raise RunError(f"{path}: not a checkpoint of this project; {remedy}")
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

    last.pt comes last: until it is there, the epoch counts as never run.
    """
    epoch = state["epochs_done"] - 1
    weights = {"model": state["model"], "epochs_done": state["epochs_done"]}
    save(folder / epoch_name(epoch), weights)
    if is_best:
        save(folder / BEST, weights)
    save(folder / LAST, state)
    (folder / epoch_name(epoch - KEEP_EPOCHS)).unlink(missing_ok=True)


def epoch_name(epoch: int) -> str:
    """Return the file name of an epoch's weights."""
    return f"epoch_{epoch:03}.pt"
