"""Evaluate trained runs, each under several paddings."""

import sys
import tempfile
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from configs.classification_keys import Data
from configs.schema import Config
from data.build import Loaders, build_loaders
from foundation.files import atomic_writer, write_json, writing
from models import ImageSizeError, build_model, check_image_size
from padding import convert_padding
from records.run_dir import RunDir
from tasks import classification
from training import checkpoint, consensus, distributed
from training.distributed import Process, SharedError, agree, gather_on_first, on_first
from training.epoch import evaluate
from training.precision import is_channels_last, prepare, set_arithmetic


@dataclass(frozen=True)
class Job:
    """What is to be evaluated of one run.

    Attributes:
        run: the run.
        config: its configuration, with what was overridden.
        which: 'best', 'last' or the path of a checkpoint.
        paddings: to evaluate it under.
    """

    run: RunDir
    config: Config
    which: str
    paddings: tuple[str, ...]


def evaluate_runs(
    folders: list[str], which: str, paddings: list[str], overrides: list[str]
) -> None:
    """Evaluate runs in this process, one of those that torchrun started, or alone.

    Args:
        folders: run directories.
        which: 'best', 'last' or the path of a checkpoint.
        paddings: schemes; none: each run's own, zero and partial.
        overrides: `key.sub=value`, of the runs' configurations.
    """
    with distributed.command() as process:
        facts = {"RUN_DIR": folders, "--padding": tuple(paddings), "--checkpoint": which}
        consensus.require_same(process, facts | consensus.code())
        jobs, failures = [], []
        for folder in folders:  # what can be known is known before hours of work
            job, reasons = _plan(RunDir(Path(folder)), which, paddings, overrides, process)
            jobs += [job] if job else []
            failures += reasons
        if process.is_first and jobs:
            for failure in failures:
                print(f"will be left out: {failure}", file=sys.stderr, flush=True)
        for job in jobs:
            failures += _evaluate(job, process)
        if failures:
            heading = [f"{len(failures)} evaluations failed:"] if len(failures) > 1 else []
            raise SharedError("\n  ".join(heading + failures))


def _evaluate(job: Job, process: Process) -> list[str]:
    """Evaluate one run under each of its paddings and write eval/; return what failed and why.

    All processes call this together, and all get the same answer.
    """
    run, config = job.run, job.config
    channels_last = is_channels_last(config.train.channels_last, process.device)
    task = classification
    try:
        loaders = agree(
            lambda: _loaders(config.data, config.model.num_classes, process, channels_last)
        )
        loader, fingerprint = loaders.val, loaders.fingerprint
        file = _checkpoint_file(run, job.which)
        seen = {"the data set's fingerprint": fingerprint}
        seen[str(file)] = agree(lambda: checkpoint.digest(file))
        consensus.require_same(process, seen)
        set_arithmetic(config.train.precision, config.train.deterministic)
        model = build_model(config.model.arch, config.model.padding, config.model.num_classes)
        epochs, step = agree(lambda: _load(model, file))
    except SharedError as error:
        return [_failure(run, error)]
    prepare(model.to(process.device), channels_last, "off")
    failures = []
    for padding in job.paddings:
        facts = {"padding": padding, "checkpoint": job.which, "epoch": epochs - 1}
        facts |= {"step": step} if step else {}
        facts |= {"precision": config.train.precision, "data_fingerprint": fingerprint}
        try:
            result = evaluate(
                convert_padding(model, padding),
                loader,
                task,
                config.train.precision,
                loader.images,
            )
            numbers = task.numbers(result.counts)
            kept = filter(None, gather_on_first(process, result.kept))
            parts = list(kept)
            on_first(process, lambda: _write(run, facts, numbers, parts, loaders.classes))  # noqa: B023
        except SharedError as error:
            failures.append(_failure(run, error, padding))
            continue
        if process.is_first:
            place = f"epoch {epochs + 1}, step {step}" if step else f"epoch {epochs}"
            print(
                f"{run.path}: trained with {config.model.padding}, evaluated with {padding} "
                f"({job.which}, {place}): {task.told(numbers)}",
                flush=True,
            )
    return failures


def _plan(
    run: RunDir, which: str, paddings: list[str], overrides: list[str], process: Process
) -> tuple[Job | None, list[str]]:
    """Return what can be evaluated of a run, and what cannot and why."""
    try:
        config = agree(lambda: run.config(overrides))
        consensus.require_same(process, consensus.settings(config))
        agree(lambda: checkpoint.require(_checkpoint_file(run, which)))
        on_first(process, lambda: _check_place(run))
    except SharedError as error:
        return None, [_failure(run, error)]
    possible, failures = [], []
    for padding in paddings or dict.fromkeys([config.model.padding, "zero", "partial"]):
        try:
            _check_padding(config.model.arch, padding, config.data.image_size)
            possible.append(padding)
        except ImageSizeError as error:
            failures.append(_failure(run, error, padding))
    return (Job(run, config, which, tuple(possible)) if possible else None), failures


def _check_place(run: RunDir) -> None:
    """Raise a RunError where results could not be written."""
    place = run.evaluations if run.evaluations.exists() else run.path
    with writing(place), tempfile.TemporaryFile(dir=place) as file:
        file.write(bytes(1 << 16))
        file.flush()


@cache  # the runs of a sweep share their networks
def _check_padding(arch: str, padding: str, image_size: int) -> None:
    check_image_size(arch, padding, image_size)


@lru_cache(maxsize=1)  # runs of one sweep share their data: keep its index and worker processes
def _loaders(data: Data, num_classes: int, process: Process, channels_last: bool) -> Loaders:
    place = (process.rank, process.world)
    return build_loaders(data, num_classes, 0, place, process.device, channels_last)


def _checkpoint_file(run: RunDir, which: str) -> Path:
    names = {"best": checkpoint.BEST, "last": checkpoint.LAST}
    return run.checkpoints / names[which] if which in names else Path(which)


def _load(model: nn.Module, file: Path) -> tuple[int, int]:
    """Load a checkpoint's weights; return its finished epochs, and steps of the next one."""
    saved = checkpoint.load(file)
    checkpoint.load_weights(model, saved)
    return saved["epochs_done"], saved.get("step", 0)


def _failure(run: RunDir, error: Exception, padding: str = "") -> str:
    text = str(error)
    if not padding and text.startswith(str(run.path)):
        return text
    return f"{run.path}{padding and f', {padding}'}: {text}"


def _write(
    run: RunDir,
    facts: dict[str, Any],
    numbers: dict[str, float | int],
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]],
    classes: tuple[str, ...],
) -> None:
    index, label, prediction = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(index)
    assert (index[order] == np.arange(len(index))).all(), "an image was evaluated twice"
    file_name = facts["padding"]
    with run.lock_evaluations():
        with atomic_writer(run.evaluations / f"{file_name}.npz") as file:
            arrays = {"index": index[order], "label": label[order], "prediction": prediction[order]}
            np.savez_compressed(file, **arrays, classes=np.array(classes, dtype=str))
        write_json(run.evaluations / f"{file_name}.json", facts | numbers)
