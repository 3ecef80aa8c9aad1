"""The file that a run starts from (`model.weights`): read whole, or refused in one line."""

import hashlib
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from foundation.errors import UserError
from training import consensus
from training.distributed import Process, agree
from training.seal import verify

_ARCHIVE = b"PK\3\4"  # how files of torch.save begin, since torch 1.6


def load(
    name: str,
    load_content: Callable[[Any], dict[str, Any]],
    process: Process,
    key: str = "model.weights",
) -> dict[str, Any]:
    """Load a file of weights, the same on every process; called by all of them.

    Args:
        name: of the file; `~` is this user's home.
        load_content: loads what torch.load returns into the network and returns facts about it.
        process: this one.
        key: the setting that names the file.

    Returns:
        Those facts, with the `file` and its `sha256`.

    Raises:
        SharedError: the file cannot be used, or is not the same everywhere.
    """
    path = Path(os.path.expanduser(name))  # Path's own raises where a home is unknown
    content, digest = agree(lambda: _read(path, key))
    remedy = f"every node needs the same file ({key})"
    consensus.require_same(process, {str(path): f"sha256 {digest[:16]}"}, remedy)

    def fill() -> dict[str, Any]:
        try:
            return load_content(content)
        except ValueError as error:
            raise UserError(
                f"{path}: not weights of this network: {error}; set model.arch to the network that "
                f"they are of, or {key} to another file"
            ) from None

    return {"file": str(path.resolve()), "sha256": digest, **agree(fill)}


def told(weights: dict[str, Any] | None) -> str:
    """Return the line that says what a run started from; '' where it was no file."""
    if not weights:
        return ""
    replaced = weights.get("replaced")
    replaced = f"; last layer replaced, {replaced}" if replaced else ""
    return f"weights from {weights['file']} (sha256 {weights['sha256'][:8]}...{replaced})\n"


def _read(path: Path, key: str) -> tuple[Any, str]:
    """Return what a file of torch.save holds, on the CPU, and what sha256sum says of the file.

    A run's checkpoint is held against its seal, another archive against its checksums. Files as
    torch before 1.6 wrote them, torchvision's older ones, have neither: only cuts are noticed.

    Raises:
        UserError: there is no such file, it cannot be read, is not what was written, or holds
            objects that only code of its own can build.
    """
    remedy = (
        f"set {key} to a state_dict that torch.save wrote, such as torchvision's, or to a run's "
        f"best.pt"
    )
    try:
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "there is no such file"
            raise UserError(f"{path}: {what}; {remedy}")
        with open(path, "rb") as file:
            if file.read(len(_ARCHIVE)) == _ARCHIVE:
                verify(path)
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True), digest
    except UserError:
        raise
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror or error}); {remedy}") from None
    except Exception as error:  # what is no file of weights can lead torch anywhere
        raise UserError(f"{path}: {_reason(error)}; {remedy}") from None


def _reason(error: Exception) -> str:
    """Say why a file cannot be loaded; torch's own words recommend to run its code."""
    text = str(error)
    if foreign := re.search(r"Unsupported global: GLOBAL (\S+)", text):
        return f"holds {foreign[1]}, and not tensors and plain values alone"
    if isinstance(error, pickle.UnpicklingError):
        text = ""
    first_line = f"{type(error).__name__}: {text}".splitlines()[0].rstrip(": ")
    return f"half a file of weights or none ({first_line})"
