"""What a run is made of, by its task: the network, the file it starts from, and the loaders."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import nn

from commands.checkpoint_owner import recorded_by
from configs.schema import Config
from data.build import Loaders, build_loaders, build_scene_loaders
from foundation.errors import UserError
from models import (
    ImageSizeError,
    build_model,
    build_scene_model,
    check_image_size,
    check_scene_size,
    load_backbone,
    load_weights,
)
from training.accumulation import bn_images

_STRIDE = 8  # of the segmentation networks' last map


def network(config: Config) -> nn.Module:
    """Return the run's network with fresh weights from torch's global generator."""
    model = config.model
    if config.task == "classification":
        return build_model(model.arch, model.padding, model.num_classes)
    choices = (model.aspp_rates, model.first_block_dilation, model.image_pool)
    return build_scene_model(model.arch, model.padding, model.num_classes, *choices)


def weights_file(config: Config) -> str | None:
    """Return the file that the run's weights come from; None: from the seed alone."""
    is_scene = config.task == "segmentation"
    return config.model.backbone_weights if is_scene else config.model.weights


def check_weights_file(config: Config) -> None:
    """Refuse a trunk from a run of this project that was not trained zero-padded.

    Both arms of Section 4.2 start from zero-padded ImageNet weights; only the rest differs.

    Raises:
        UserError: it is one.
    """
    file = weights_file(config)
    if config.task != "segmentation" or file is None:
        return
    # Another's file has keys and shapes alone to be looked at, whatever lies around it.
    padding = recorded_by(file).get("model.padding", "zero")
    if padding != "zero":
        raise UserError(
            f"{file}: of a run with {padding} padding; set model.backbone_weights to a run with "
            f"zero padding, so that all paddings start alike (Section 4.2)"
        )


def weights_key(config: Config) -> str:
    """Return the setting that names this file."""
    return f"model.{'backbone_weights' if config.task == 'segmentation' else 'weights'}"


def loading(model: nn.Module, config: Config) -> Callable[[Any], dict[str, Any]]:
    """Return what loads a file's content into the network, and returns facts about it."""
    return partial(load_backbone if config.task == "segmentation" else load_weights, model)


def loaders(
    config: Config, place: tuple[int, int], device: torch.device, channels_last: bool
) -> Loaders:
    """Return the run's data for one process; arguments are build_loaders'."""
    to = (place, device, channels_last)
    if config.task == "classification":
        return build_loaders(config.data, config.model.num_classes, config.seed, *to)
    return build_scene_loaders(config.data, config.seed, *to)


def check(config: Config, world: int) -> None:
    """Find what the network cannot train on, before anything is computed.

    Raises:
        UserError: an image is too small for the network or its padding; or its BN would average
            over a single number.
    """
    model = config.model
    try:
        if config.task == "classification":
            check_image_size(model.arch, model.padding, config.data.image_size)
            return
        side, tile = config.data.crop_size, config.eval.tile
        check_scene_size(partial(network, config), (side, side), "data.crop_size")
        check_scene_size(partial(network, config), (tile, tile), "eval.tile")
    except ImageSizeError as error:
        raise UserError(str(error)) from None
    lone = model.image_pool or config.data.crop_size <= _STRIDE  # a layer has one number an image
    if lone and bn_images(config, world) < 2:
        what = "the image pool (model.image_pool)" if model.image_pool else "the last map"
        raise UserError(
            f"data.global_batch_size {config.data.global_batch_size} over {world} processes leaves "
            f"BN one image, and {what} one number of it; give it two images or more"
            f"{', or set train.sync_bn=true' if world > 1 else ''}"
        )


def check_whole_images(
    config: Config, smallest: Mapping[str, tuple[int, int]], padding: str = ""
) -> None:
    """Find what the network cannot evaluate.

    Args:
        config: of the run.
        smallest: height and width, by name, of the lowest and the narrowest of the validation
            images, which it is to see whole (data/backends/scenes_loader.py).
        padding: that it is evaluated under; '': the run's own.

    Raises:
        UserError: one is too small for the padding.
    """
    model = config.model.model_copy(update={"padding": padding or config.model.padding})
    build = partial(network, config.model_copy(update={"model": model}))
    for name, size in smallest.items():
        try:
            check_scene_size(build, size, "data.root")
        except ImageSizeError as error:
            raise UserError(f"validation image {name} of {error}") from None
