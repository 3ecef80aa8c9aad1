"""torchvision's networks, converted to a padding scheme."""

from collections.abc import Callable

import torch
from torch import nn
from torchvision import models

from padding import PaddingError, convert_padding

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "vgg16_bn": models.vgg16_bn,
    "vgg19_bn": models.vgg19_bn,
    "resnet18": models.resnet18,
    "resnet50": models.resnet50,
    "resnet101": models.resnet101,
    "resnet152": models.resnet152,
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
    model = ARCHITECTURES[arch](weights=None, num_classes=num_classes)
    return convert_padding(model, padding)


class ImageSizeError(ValueError):
    """The network cannot take images of this size."""


def check_image_size(arch: str, padding: str, image_size: int) -> None:
    """Trace the shapes of a square image through the network, without computing anything.

    Raises:
        ImageSizeError: a feature map is too small, for reflection or at all.
    """
    with torch.device("meta"):
        model = build_model(arch, padding, num_classes=1).eval()
        image = torch.empty(1, 3, image_size, image_size)
    try:
        with torch.no_grad():
            model(image)
    except PaddingError as error:
        name = {module: name for name, module in model.named_modules()}[error.module]
        raise ImageSizeError(
            f"{arch} with {image_size}-px images: layer {name}: {error}; "
            f"use larger images (data.image_size) or another model.padding"
        ) from None
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise ImageSizeError(
            f"{arch} with {image_size}-px images: {reason}; use larger images (data.image_size)"
        ) from None
