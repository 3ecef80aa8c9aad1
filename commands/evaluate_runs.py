"""Evaluate trained runs, each under several paddings."""

import sys
import tempfile
from functools import lru_cache, partial
from pathlib import Path

from commands import evaluate_images, evaluate_scenes, parts
from commands.checkpoint_owner import check_owner
from commands.evaluation_job import (
    Job,
    check_comparable,
    checkpoint_file,
    failure,
    load_weights,
    possible,
)
from configs.classification_keys import Data
from configs.segmentation_keys import Scenes
from data.build import Loaders, Validation, build_loaders, build_scene_validation
from foundation.files import writing
from padding import convert_padding
from records.run_dir import RunDir
from training import checkpoint, consensus, distributed
from training.distributed import Process, SharedError, agree, on_first
from training.precision import is_channels_last, prepare, set_arithmetic

# What differs is in functions of one name: check_request, check_padding, evaluate_padding.
_OF_TASK = {"classification": evaluate_images, "segmentation": evaluate_scenes}


def evaluate_runs(
    folders: list[str],
    which: str,
    paddings: list[str],
    overrides: list[str],
    save_predictions: bool = False,
) -> None:
    """Evaluate runs in this process, one of those that torchrun started, or alone.

    Args:
        folders: run directories.
        which: 'best', 'last' or the path of a checkpoint.
        paddings: schemes; none: each run's own, zero and partial.
        overrides: `key.sub=value`, of the runs' configurations.
        save_predictions: whether to write the class of every pixel, too.
    """
    with distributed.command() as process:
        facts = {"RUN_DIR": folders, "--padding": tuple(paddings), "--checkpoint": which}
        facts |= {"--save-predictions": save_predictions}
        consensus.require_same(process, facts | consensus.code())
        jobs, failures = [], []
        for folder in folders:  # what can be known is known before hours of work
            run = RunDir(Path(folder))
            job, reasons = _plan(run, which, paddings, overrides, save_predictions, process)
            jobs += [job] if job else []
            failures += reasons
        if jobs:
            _tell(failures, process)
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
    task = _OF_TASK[config.task]
    channels_last = is_channels_last(config.train.channels_last, process.device)
    failures: list[str] = []
    try:
        classes = config.model.num_classes
        loaders = agree(lambda: _loaders(config.data, classes, process, channels_last))
        file = checkpoint_file(run, job.which)
        seen = {"the data set's fingerprint": loaders.fingerprint}
        seen[str(file)] = agree(lambda: checkpoint.digest(file))
        consensus.require_same(process, seen)
        on_first(process, lambda: check_comparable(run, loaders.fingerprint))
        set_arithmetic(config.train.precision, config.train.deterministic)
        paddings, failures = possible(
            run, job.paddings, lambda padding: task.check_images(config, padding, loaders)
        )
        if not paddings:
            return failures
        _tell(failures, process)
        model = parts.network(config)
        epochs, step = agree(lambda: load_weights(model, file))
    except SharedError as error:
        return [*failures, failure(run, error)]
    prepare(model.to(process.device), channels_last, "off")
    for padding in paddings:
        facts = {"padding": padding, "checkpoint": job.which, "epoch": epochs - 1}
        facts |= {"step": step} if step else {}
        facts |= {"precision": config.train.precision, "data_fingerprint": loaders.fingerprint}
        try:
            convert_padding(model, padding)
            told = task.evaluate_padding(model, loaders, job, facts, process)
        except SharedError as error:
            failures.append(failure(run, error, padding))
            continue
        if process.is_first:
            place = f"epoch {epochs + 1}, step {step}" if step else f"epoch {epochs}"
            print(
                f"{run.path}: trained with {config.model.padding}, evaluated with {padding} "
                f"({job.which}, {place}): {told}",
                flush=True,
            )
    return failures


def _plan(
    run: RunDir,
    which: str,
    paddings: list[str],
    overrides: list[str],
    save_predictions: bool,
    process: Process,
) -> tuple[Job | None, list[str]]:
    """Return what can be evaluated of a run, and what cannot and why."""
    try:
        config = agree(lambda: run.config(overrides))
        consensus.require_same(process, consensus.settings(config))
        task = _OF_TASK[config.task]
        agree(lambda: task.check_request(save_predictions))
        file = checkpoint_file(run, which)
        agree(lambda: checkpoint.require(file))
        agree(lambda: check_owner(file, config))
        on_first(process, lambda: _check_place(run))
    except SharedError as error:
        return None, [failure(run, error)]
    asked = paddings or dict.fromkeys([config.model.padding, "zero", "partial"])
    able, failures = possible(run, asked, partial(task.check_padding, config))
    job = Job(run, config, which, able, save_predictions)
    return (job if able else None), failures


def _tell(failures: list[str], process: Process) -> None:
    """Say before the work what it will leave out."""
    if process.is_first:
        for text in failures:
            print(f"will be left out: {text}", file=sys.stderr, flush=True)


def _check_place(run: RunDir) -> None:
    """Raise a RunError where results could not be written."""
    place = run.evaluations if run.evaluations.exists() else run.path
    with writing(place), tempfile.TemporaryFile(dir=place) as file:
        file.write(bytes(1 << 16))
        file.flush()


@lru_cache(maxsize=1)  # runs of one sweep share their data: keep its index and worker processes
def _loaders(
    data: Data | Scenes, num_classes: int, process: Process, channels_last: bool
) -> Loaders | Validation:
    place = (process.rank, process.world)
    if isinstance(data, Scenes):
        return build_scene_validation(data, place, process.device, channels_last)
    return build_loaders(data, num_classes, 0, place, process.device, channels_last)
