"""Checkpoints: written whole or not at all, read only when every byte is right."""

import shutil
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from foundation.files import atomic_writer, duplicate
from records.errors import RunError
from records.summary import LAST_EPOCHS
from training.seal import seal, verify
from training.state import TrainState

LAST = "last.pt"
PREVIOUS = "previous.pt"
BEST = "best.pt"
_REMEDY = "restore a copy, or delete the run directory to start over"
STATE = ("model", "optimizer", "scaler", "epochs_done")  # what training goes on from
WEIGHTS = ("model", "epochs_done")  # what an evaluation needs


def save(path: Path, content: dict[str, Any], before: Callable[[], None] = lambda: None) -> None:
    """Replace `path` by `content`, atomically; `before` is called when only that is left to do.

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
        before()


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


def load(path: Path, keys: Iterable[str] = WEIGHTS) -> dict[str, Any]:
    """Return a checkpoint's content on the CPU; it must hold `keys`.

    Raises:
        RunError: the file is missing, cut short, altered, or no checkpoint of this project.
    """
    digest(path)
    return read(path, keys)


def read(path: Path, keys: Iterable[str]) -> dict[str, Any]:
    """Return what `load` returns, of a file whose digest has been compared."""
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


def has_any(folder: Path) -> bool:
    """Return whether a run has something to go on from, good or damaged."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def newest(folder: Path) -> tuple[str, list[str]]:
    """Return the name of the newest good checkpoint to go on from, and what is wrong with others.

    The name is '' where there has been none yet.

    Raises:
        RunError: there are checkpoints, and none of them is good.
    """
    names = [name for name in (LAST, PREVIOUS) if (folder / name).exists()]
    problems = [] if names[:1] in ([], [LAST]) else [f"{folder / LAST}: is gone"]
    for name in names:
        try:
            digest(folder / name)
            return name, problems
        except RunError as error:
            problems.append(str(error).removesuffix(f"; {_REMEDY}"))
    if names:
        raise RunError(f"{'; '.join(problems)}; {_REMEDY}")
    return "", []


def restore(path: Path, state: TrainState, rank: int, world: int) -> None:
    """Continue `state` from a checkpoint of which `newest` said that it is good.

    Raises:
        RunError: it is of another network.
    """
    saved = read(path, STATE)
    try:
        state.load_state_dict(saved, rank, world)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise RunError(f"{path}: not of this run ({_reason(error)}); {_REMEDY}") from None


def _reason(error: Exception) -> str:
    """Return the first thing that torch lists, or the error's own text."""
    return (str(error).splitlines()[1:2] or [str(error)])[0].strip()


def save_state(folder: Path, content: dict[str, Any]) -> None:
    """Save everything as last.pt; the one before stays as previous.pt."""
    last = folder / LAST

    def keep_previous() -> None:
        if last.exists():
            duplicate(last, folder / PREVIOUS)

    save(last, content, keep_previous)


def save_epoch(folder: Path, content: dict[str, Any], is_best: bool) -> None:
    """Save everything as last.pt and the weights for evaluation, after an epoch.

    Until last.pt is there the epoch counts as never run, so best.pt, which it may not touch, waits.
    """
    epoch = content["epochs_done"] - 1
    save(folder / epoch_name(epoch), {key: content[key] for key in WEIGHTS})
    save_state(folder, content)
    if is_best:
        keep_best(folder, epoch)
    (folder / epoch_name(epoch - LAST_EPOCHS)).unlink(missing_ok=True)


def keep_best(folder: Path, epoch: int) -> None:
    """Make best.pt the weights of `epoch`: a copy, so that no damage is to both.

    Raises:
        RunError: the epoch's weights are damaged or not kept any more.
    """
    digest(folder / epoch_name(epoch))
    with atomic_writer(folder / BEST) as best, open(folder / epoch_name(epoch), "rb") as file:
        shutil.copyfileobj(file, best)


def mend_best(folder: Path, epoch: int) -> str:
    """See to it that best.pt is the weights of `epoch`; return why it cannot be, '' if it is."""
    with suppress(RunError):
        if load(folder / BEST)["epochs_done"] == epoch + 1:
            return ""
    try:
        keep_best(folder, epoch)
    except RunError as error:
        return f"{folder / BEST}: not the best epoch's weights, which are lost ({error})"
    return ""


def tidy(folder: Path, keep: str) -> None:
    """Remove what is of no use to a finished run, previous.pt last: its absence says that all is.

    Args:
        folder: of the checkpoints.
        keep: 'all', or 'best': best.pt and the last epochs' weights, and of last.pt the weights.
    """
    if keep == "best":
        content = load(folder / LAST)
        save(folder / LAST, {key: content[key] for key in WEIGHTS})
    (folder / PREVIOUS).unlink(missing_ok=True)


def epoch_name(epoch: int) -> str:
    """Return the file name of an epoch's weights."""
    return f"epoch_{epoch:03}.pt"
