"""The networks of both tasks, built zero-padded and converted to a padding scheme."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torchvision import models

from models.deeplab import (
    deeplabv3plus_resnet50,
    deeplabv3plus_wrn16_tiny,
    deeplabv3plus_wrn38,
)
from models.wide_resnet import wrn38
from padding import PaddingError, convert_padding

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "vgg16_bn": models.vgg16_bn,
    "vgg19_bn": models.vgg19_bn,
    "resnet18": models.resnet18,
    "resnet50": models.resnet50,
    "resnet101": models.resnet101,
    "resnet152": models.resnet152,
    "wrn38": wrn38,
}
SCENE_ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "deeplabv3plus_resnet50": deeplabv3plus_resnet50,
    "deeplabv3plus_wrn38": deeplabv3plus_wrn38,
    "deeplabv3plus_wrn16_tiny": deeplabv3plus_wrn16_tiny,
}


def build_model(arch: str, padding: str, num_classes: int) -> nn.Module:
    """Return the network with fresh weights from torch's global generator (Section 4.1).

    The zero-padded torchvision model is built and initialized first and then converted: one seed
    gives the same weights under every scheme. Keys are torchvision's; under zero padding so are the
    outputs, bit for bit.

    Args:
        arch: one of ARCHITECTURES.
        padding: 'zero', 'partial', 'reflect' or 'replicate'.
        num_classes: outputs of the last layer.

    Raises:
        ValueError: an unknown architecture or scheme.
    """
    if arch not in ARCHITECTURES:
        raise ValueError(f"unknown architecture {arch!r}; choose from {', '.join(ARCHITECTURES)}")
    return convert_padding(ARCHITECTURES[arch](num_classes=num_classes), padding)


def build_scene_model(
    arch: str,
    padding: str,
    num_classes: int,
    rates: tuple[int, ...],
    first_block_dilation: str,
    image_pool: bool,
) -> nn.Module:
    """Return the segmentation network with fresh weights, as build_model (Section 4.2).

    Args:
        arch: one of SCENE_ARCHITECTURES.
        padding: 'zero', 'partial', 'reflect' or 'replicate'.
        num_classes: channels of the logits.
        rates: dilations of the ASPP, in pixels of the feature map.
        first_block_dilation: 'full' or 'contract' (models/deeplab.py).
        image_pool: whether the ASPP has a branch of the image's mean.

    Raises:
        ValueError: an unknown architecture, dilation or scheme.
    """
    if arch not in SCENE_ARCHITECTURES:
        known = ", ".join(SCENE_ARCHITECTURES)
        raise ValueError(f"unknown architecture {arch!r}; choose from {known}")
    build = SCENE_ARCHITECTURES[arch]
    return convert_padding(build(num_classes, rates, first_block_dilation, image_pool), padding)


class ImageSizeError(ValueError):
    """The network cannot take images of this size."""


def check_image_size(arch: str, padding: str, image_size: int) -> None:
    """Trace the shapes of a square image through the network, without computing anything.

    Raises:
        ImageSizeError: a feature map is too small, for reflection or at all.
    """
    build, size = partial(build_model, arch, padding, num_classes=1), (image_size, image_size)
    _trace(build, size, f"{arch} with {image_size}-px images", "data.image_size")


def check_scene_size(build: Callable[[], nn.Module], size: tuple[int, int], key: str) -> None:
    """Trace the shapes of an image through a segmentation network, without computing anything.

    Args:
        build: makes the network.
        size: height and width in pixels.
        key: the setting that they come from.

    Raises:
        ImageSizeError: a feature map is too small, for reflection or at all.
    """
    _trace(build, size, f"{key}: {size[0]} x {size[1]} px", key)


def _trace(build: Callable[[], nn.Module], size: tuple[int, int], told: str, key: str) -> None:
    with torch.device("meta"):
        model = build().eval()
        image = torch.empty(1, 3, *size)
    try:
        with torch.no_grad():
            model(image)
    except PaddingError as error:
        name = {module: name for name, module in model.named_modules()}[error.module]
        raise ImageSizeError(
            f"{told}: layer {name}: {error}; use larger images ({key}) or another "
            f"padding (model.padding; of an evaluation --padding)"
        ) from None
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ImageSizeError(f"{told}: {reason}; use larger images ({key})") from None
