"""Processes that work on one run must agree on what it is, whichever machine they run on."""

import hashlib
import socket
from pathlib import Path
from typing import Any

import torch

from configs.load import flat
from configs.schema import Config
from training.distributed import Process, SharedError, gather
from training.provenance import machine

# Each node may have its own: what follows from them is in the data set's fingerprint.
NODE_KEYS = frozenset({"data.root", "data.exclude", "data.workers"})

_PROGRAM = ("commands", "configs", "data", "foundation", "models", "padding", "records", "tasks")
_PROGRAM += ("training",)
_REMEDY = "start every process with the same command, code and data"


def require_same(process: Process, facts: dict[str, Any], remedy: str = _REMEDY) -> None:
    """Compare what the processes hold for true; called by all of them.

    Raises:
        SharedError: on all of them, with every key that differs, where and how.
    """
    everyone = gather((socket.gethostname(), facts))
    first_host, first = everyone[0]
    differing: dict[str, str] = {}
    for rank, (host, theirs) in enumerate(everyone):
        for key in first | theirs:
            one, other = first.get(key), theirs.get(key)
            if one != other and key not in differing:
                places = f"on rank 0 ({first_host})", f"on rank {rank} ({host})"
                differing[key] = f"{key} is {one} {places[0]}, {other} {places[1]}"
    if differing:
        raise SharedError(f"the processes disagree: {'; '.join(differing.values())}; {remedy}")


def settings(config: Config) -> dict[str, Any]:
    """Return what the configuration says for all nodes alike."""
    return {key: value for key, value in flat(config).items() if key not in NODE_KEYS}


def code() -> dict[str, Any]:
    """Return which program this process runs, and on which versions of what moves its numbers."""
    here = machine(torch.cuda.is_available())
    versions = {name: text for name, text in here["versions"].items() if name != "python"}
    return {"git commit": here["git_commit"], "source files": _sources()} | versions


def _sources() -> str:
    """Return a digest of the program's files, which a commit with changes on top does not name."""
    root = Path(__file__).resolve().parent.parent
    files = [root / "train.py", root / "evaluate.py"]
    for folder in _PROGRAM:
        files += sorted((root / folder).rglob("*.py"))
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(root)}\n".encode() + file.read_bytes())
    return digest.hexdigest()[:16]
