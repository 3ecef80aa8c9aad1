"""Checkpoints: written whole or not at all, read only when every byte is right."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foundation.files import atomic_writer
from records.run_dir import RunError
from training.seal import seal, verify
from training.state import TrainState

LAST = "last.pt"
BEST = "best.pt"
_REMEDY = "restore a copy, or delete the run directory to start over"
KEEP_EPOCHS = 5  # weights of the last epochs, those that last5_avg averages over


def save(path: Path, content: dict[str, Any]) -> None:
    """Replace `path` by `content`, atomically.

    Raises:
        RunError: it cannot be written; the file is as it was.
    """
    with atomic_writer(path) as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # torch's archive, broken off by a full disk, raises an error of its own.
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
        seal(file)


def require(path: Path) -> None:
    """Raise a RunError where there is no checkpoint."""
    if not path.is_file():
        raise RunError(f"{path}: there is no such checkpoint")


def digest(path: Path) -> str:
    """Return the SHA-256 of a checkpoint, after comparing it with the file's own.

    Raises:
        RunError: the file is missing, cut short or altered.
    """
    require(path)
    try:
        return verify(path)
    except Exception as error:  # zipfile raises whatever damaged bytes lead it to
        raise RunError(f"{path}: half a checkpoint or none ({error}); {_REMEDY}") from None


def load(path: Path, keys: Iterable[str] = ("model", "epochs_done")) -> dict[str, Any]:
    """Return a checkpoint's content on the CPU; it must hold `keys`.

    Raises:
        RunError: the file is missing, cut short, altered, or no checkpoint of this project.
    """
    digest(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is no checkpoint of ours can lead torch anywhere
        reason = str(error).partition("\n")[0]
        raise RunError(f"{path}: half a checkpoint or none ({reason}); {_REMEDY}") from None
    missing = [key for key in keys if not isinstance(content, dict) or key not in content]
    if missing:
        raise RunError(f"{path}: not the checkpoint needed, it has no {missing[0]}; {_REMEDY}")
    return content


def load_weights(model: nn.Module, saved: dict[str, Any]) -> None:
    """Load a checkpoint's weights into `model`.

    Raises:
        RunError: they are of another network.
    """
    try:
        model.load_state_dict(saved["model"])
    except RuntimeError as error:
        raise RunError(
            f"the checkpoint is of another network than config.yaml says ({_reason(error)})"
        ) from None


def restore(path: Path, state: TrainState) -> None:
    """Continue `state` from last.pt.

    Raises:
        RunError: it is damaged, or of another network.
    """
    saved = load(path, ("model", "optimizer", "scaler", "epochs_done"))
    try:
        state.load_state_dict(saved)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise RunError(f"{path}: not of this run ({_reason(error)}); {_REMEDY}") from None


def _reason(error: Exception) -> str:
    """Return the first thing that torch lists, or the error's own text."""
    return (str(error).splitlines()[1:2] or [str(error)])[0].strip()


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
