"""The evaluation of an image classification run: accuracies, and every image's prediction."""

from functools import cache
from typing import Any

import numpy as np
from torch import nn

from commands.evaluation_job import Job
from configs.classification_keys import ClassificationConfig
from data.build import Loaders
from foundation.errors import UserError
from foundation.files import atomic_writer, write_json
from models import check_image_size
from records.run_dir import RunDir
from tasks import classification
from training.distributed import Process, gather_on_first, on_first
from training.epoch import evaluate


def check_request(save_predictions: bool) -> None:
    """Raise a UserError where more is asked for than this task has."""
    if save_predictions:
        raise UserError(
            "--save-predictions is for segmentation; a classification's predictions are in "
            "eval/<padding>.npz without it"
        )


def check_padding(config: ClassificationConfig, padding: str) -> None:
    """Raise an ImageSizeError where the network cannot take the images under a padding."""
    _check_size(config.model.arch, padding, config.data.image_size)


def check_images(config: ClassificationConfig, padding: str, loaders: Loaders) -> None:
    """Raise a UserError where the network cannot take the images: all are cropped to one size."""


@cache  # the runs of a sweep share their networks
def _check_size(arch: str, padding: str, image_size: int) -> None:
    check_image_size(arch, padding, image_size)


def evaluate_padding(
    model: nn.Module, loaders: Loaders, job: Job, facts: dict[str, Any], process: Process
) -> str:
    """Evaluate a model, write eval/<padding>.json and .npz and return what is said of it.

    Args:
        model: the network under a padding.
        loaders: of this process.
        job: what it is of.
        facts: what the JSON says first; `padding` is the file's name.
        process: all call this together.

    Raises:
        SharedError: an image cannot be read, or a file not be written.
    """
    loader = loaders.val
    result = evaluate(model, loader, classification, job.config.train.precision, loader.images)
    numbers = classification.numbers(result.counts)
    # A process may have had no image.
    parts = gather_on_first(process, (result.index, result.label, result.prediction))
    on_first(process, lambda: _write(job.run, facts | numbers, parts, loaders.classes))
    return classification.told(numbers)


def _write(
    run: RunDir,
    content: dict[str, Any],
    parts: list[tuple[np.ndarray, ...]],
    classes: tuple[str, ...],
) -> None:
    index, label, prediction = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(index)
    assert (index[order] == np.arange(len(index))).all(), "an image was evaluated twice"
    file_name = content["padding"]
    with run.lock_evaluations():
        with atomic_writer(run.evaluations / f"{file_name}.npz") as file:
            arrays = {"index": index[order], "label": label[order], "prediction": prediction[order]}
            np.savez_compressed(file, **arrays, classes=np.array(classes, dtype=str))
        write_json(run.evaluations / f"{file_name}.json", content)
