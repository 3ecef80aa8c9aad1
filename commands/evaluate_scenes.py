"""The evaluation of a segmentation run: whole images, tiles, parts of them (Tables 5 to 7)."""

from collections.abc import Callable, Iterable
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from commands import parts, scene_predictions
from commands.evaluation_job import Job
from commands.scene_numbers import scene_numbers, told
from configs.segmentation_keys import SceneModel, SegmentationConfig
from data.build import Validation
from data.interface import FILLER_INDEX, Batch, Loader
from foundation.errors import UserError
from foundation.files import write_json
from models import build_scene_model, check_scene_size
from padding import PaddingError
from records.run_dir import RunDir, evaluation_name
from tasks import modes
from training.distributed import Process, SharedError, agree, gather, on_first, sum_over_processes
from training.precision import autocast

Keep = Callable[[str, Tensor, Batch], None]  # mode, (n, H, W) classes, what they were seen in


def check_request(save_predictions: bool) -> None:
    """Raise a UserError where more is asked for than this task has: it has all."""


def check_padding(config: SegmentationConfig, padding: str) -> None:
    """Raise an ImageSizeError where the network cannot take the tiles under a padding."""
    _check_tile(config.model, padding, config.eval.tile)


def check_images(config: SegmentationConfig, padding: str, loaders: Validation) -> None:
    """Raise a UserError where the network cannot take an image whole under a padding."""
    parts.check_whole_images(config, loaders.val.smallest, padding)


@cache  # the runs of a sweep share their networks
def _check_tile(model: SceneModel, padding: str, tile: int) -> None:
    choices = (model.aspp_rates, model.first_block_dilation, model.image_pool)
    build = partial(build_scene_model, model.arch, padding, model.num_classes, *choices)
    check_scene_size(build, (tile, tile), "eval.tile")


def evaluate_padding(
    model: nn.Module, loaders: Validation, job: Job, facts: dict[str, Any], process: Process
) -> str:
    """Evaluate a model in all modes, write eval/<name>.json and return what is said of it.

    Args:
        model: the network under a padding.
        loaders: of this process.
        job: what it is of; with its save_predictions, PNGs are written as well.
        facts: what the JSON says first, `padding` with it.
        process: all call this together.

    Raises:
        SharedError: an image cannot be read, a file not be written, or nothing is labelled.
    """
    if not job.save_predictions:
        return _evaluate(model, loaders.val, job, facts, process)
    name = evaluation_name(facts["padding"], job.config.eval.flip)
    with scene_predictions.new_folder(job.run, name, process) as folder:
        return _evaluate(model, loaders.val, job, facts, process, folder)


def _evaluate(
    model: nn.Module,
    loader: Loader,
    job: Job,
    facts: dict[str, Any],
    process: Process,
    folder: Path | None = None,
) -> str:
    config = job.config
    keep = partial(scene_predictions.save, folder, loader) if folder else None

    def seen(images: Tensor) -> Tensor:
        with autocast(config.train.precision, images.device):
            return model(images)

    model.eval()
    counts, index = agree(
        lambda: own_part(seen, loader, process.device, config.eval.tile, config.eval.flip, keep)
    )
    places = sorted(chain.from_iterable(gather(index)))
    assert places == list(range(loader.images)), "an image was evaluated twice, or not at all"
    numbers = scene_numbers(modes.matrices(sum_over_processes(counts).cpu()))
    if numbers["modes"]["regular"]["miou"] is None:
        raise SharedError(
            f"{config.data.root}: no pixel of the {loader.images} validation images of "
            f"data.split={config.data.split} is labelled; give it labelled images (data.root)"
        )
    content = facts | {"split": config.data.split, "tile": config.eval.tile}
    content |= {"flip": config.eval.flip, "count": loader.images} | numbers
    on_first(process, lambda: _write(job.run, content, folder))
    return told(numbers)


@torch.no_grad()
def own_part(
    network: modes.Network,
    batches: Loader | Iterable[Batch],
    device: torch.device,
    tile: int,
    flip: bool,
    keep: Keep | None = None,
) -> tuple[Tensor, list[int]]:
    """Evaluate this process's images in all modes; nothing waits for a GPU before the end.

    Args:
        network: gives the logits of images or tiles.
        batches: of this process.
        device: that they are on.
        tile: side of the tiles, px.
        flip: whether the logits of mirrored images are averaged in.
        keep: is given every prediction; then each image is waited for.

    Returns:
        The counts of tasks.modes, and the images' places in the split.

    Raises:
        UserError: an image cannot be read, or is too small for the network.
    """
    counts, columns = modes.no_counts(device), []
    for batch in batches:
        try:
            for mode, predicted in modes.predictions(network, batch.images, tile, flip):
                modes.count(counts, mode, predicted, batch.labels, tile)
                if keep:
                    keep(mode, predicted, batch)
        except PaddingError as error:
            height, width = batch.images.shape[-2:]
            raise UserError(f"an image of {height} x {width} px is too small: {error}") from None
        columns.append(batch.index)
    index = torch.cat(columns).tolist() if columns else []
    return counts, [place for place in index if place != FILLER_INDEX]


def _write(run: RunDir, content: dict[str, Any], predictions: Path | None) -> None:
    name = evaluation_name(content["padding"], content["flip"])
    with run.lock_evaluations():
        if predictions:
            scene_predictions.keep(predictions, name)
        write_json(run.evaluations / f"{name}.json", content)
