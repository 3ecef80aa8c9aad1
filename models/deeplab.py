"""DeepLabV3+ at output stride 8 on ResNet-50 or WideResNet-38 (Section 4.2, [4])."""

import copy
from collections.abc import Iterator
from typing import Any, get_args

import torch
import torchvision
from torch import Tensor, nn
from torch.nn import functional as F

from models.weights import load_matching, weights_in
from models.wide_resnet import Dilation, wrn16_tiny_trunk, wrn38_trunk

Rates = tuple[int, ...]


class ResNetTrunk(nn.Module):
    """torchvision's ResNet without its pool and classifier, under the same keys."""

    classifier = ("fc",)  # what a classification network has beside its trunk
    channels = (256, 2048)  # of a ResNet of bottlenecks

    def __init__(self, resnet: torchvision.models.ResNet):
        super().__init__()
        for name, module in resnet.named_children():
            if name not in ("avgpool", *self.classifier):
                self.add_module(name, module)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return layer1's output, stride 4, and layer4's, stride 8, for (n, 3, h, w)."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(image))))
        skip = self.layer1(x)
        return skip, self.layer4(self.layer3(self.layer2(skip)))


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling: the image's mean, a 1x1 and dilated 3x3 side by side.

    Args:
        inputs: channels of the input.
        channels: of each branch.
        rates: dilations, which are the paddings too, of the 3x3.
        image_pool: whether there is a branch of the image's mean.
    """

    def __init__(self, inputs: int, channels: int, rates: Rates, image_pool: bool = True):
        super().__init__()
        self.pool = None
        if image_pool:
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), *_conv_bn_relu(inputs, channels))
        self.convs = nn.ModuleList([nn.Sequential(*_conv_bn_relu(inputs, channels))])
        self.convs.extend(nn.Sequential(*_conv_bn_relu(inputs, channels, rate)) for rate in rates)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, branches * channels, h, w) for (n, inputs, h, w); the mean comes first."""
        branches = [conv(x) for conv in self.convs]
        if self.pool is not None:
            # Bilinear interpolation of one pixel, to the bit, and its gradient is deterministic.
            branches.insert(0, self.pool(x).expand(-1, -1, *x.shape[-2:]))
        return torch.cat(branches, dim=1)


class DeepLabV3Plus(nn.Module):
    """Trunk, ASPP, and a decoder that sees the trunk's early features again.

    Args:
        trunk: returns the early and the last features; `channels` says how many each has.
        num_classes: channels of the logits.
        rates: of the ASPP.
        channels: of each ASPP branch and of the decoder.
        skip_channels: that the early features are reduced to.
        image_pool: whether the ASPP has a branch of the image's mean.

    Raises:
        ValueError: a rate below 1.
    """

    def __init__(
        self,
        trunk: nn.Module,
        num_classes: int,
        rates: Rates,
        channels: int = 256,
        skip_channels: int = 48,
        image_pool: bool = True,
    ):
        super().__init__()
        if any(rate < 1 for rate in rates):
            raise ValueError(f"ASPP rates are dilations, 1 or more; got {tuple(rates)}")
        early, last = trunk.channels
        joined = (len(rates) + 1 + image_pool) * channels
        self.trunk = trunk
        self.aspp = ASPP(last, channels, rates, image_pool)
        # These two without BN and ReLU, unlike torchvision's: as the authors' group has them.
        self.project = nn.Conv2d(joined, channels, 1, bias=False)
        self.skip = nn.Conv2d(early, skip_channels, 1, bias=False)
        self.final = nn.Sequential(
            *_conv_bn_relu(skip_channels + channels, channels, 1),
            *_conv_bn_relu(channels, channels, 1),
            nn.Conv2d(channels, num_classes, 1, bias=False),
        )

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (n, num_classes, height, width) for images (n, 3, height, width)."""
        early, last = self.trunk(image)
        early, last = self.skip(early), self.project(self.aspp(last))
        joined = torch.cat([early, upsample(last, early.shape[-2:])], dim=1)
        return upsample(self.final(joined), image.shape[-2:])


def upsample(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return `x` at `size`: bilinear, corners on corners, in float32 also under autocast."""
    wide = x.to(torch.promote_types(x.dtype, torch.float32))
    return F.interpolate(wide, size=size, mode="bilinear", align_corners=True)


def deeplabv3plus_resnet50(
    num_classes: int = 19,
    rates: Rates = (12, 24, 36),
    first_block_dilation: Dilation = "full",
    image_pool: bool = True,
) -> DeepLabV3Plus:
    """Return the network of RN50 in Table 5, zero-padded: 40,351,040 parameters, skip at stride 4.

    The trunk's initial weights are torchvision's for the same seed; the rest is Kaiming normal.

    Args:
        num_classes: channels of the logits.
        rates: of the ASPP.
        first_block_dilation: of the first 3x3 in layer3 and layer4, whose stride became a dilation:
            'full', 2 and 4 as the others there, as the authors' group has it; 'contract', 1 and 2,
            as torchvision and mmsegmentation have it.
        image_pool: whether the ASPP has a branch of the image's mean.

    Raises:
        ValueError: an unknown choice, or a rate below 1.
    """
    _check(first_block_dilation)
    resnet = torchvision.models.resnet50(
        weights=None, replace_stride_with_dilation=[False, True, True]
    )
    if first_block_dilation == "full":
        for first, second, *_ in (resnet.layer3, resnet.layer4):
            conv = copy.deepcopy(second.conv2)
            conv.weight, first.conv2 = first.conv2.weight, conv
    model = DeepLabV3Plus(ResNetTrunk(resnet), num_classes, rates, image_pool=image_pool)
    for part in (model.aspp, model.project, model.skip, model.final):
        _kaiming_normal(part)
    return model


def deeplabv3plus_wrn38(
    num_classes: int = 19,
    rates: Rates = (12, 24, 36),
    first_block_dilation: Dilation = "full",
    image_pool: bool = True,
) -> DeepLabV3Plus:
    """Return the network of WN38 in Table 5, zero-padded: 137,103,936 parameters, skip at stride 2.

    The last three convolutions start Kaiming normal, all else as torch does it. Arguments and
    errors are deeplabv3plus_resnet50's; the first block in question is mod5's: 2 or 1.
    """
    _check(first_block_dilation)
    trunk = wrn38_trunk(first_block_dilation)
    model = DeepLabV3Plus(trunk, num_classes, rates, image_pool=image_pool)
    _kaiming_normal(model.final)
    return model


def deeplabv3plus_wrn16_tiny(
    num_classes: int = 19,
    rates: Rates = (2, 3, 5),
    first_block_dilation: Dilation = "full",
    image_pool: bool = True,
) -> DeepLabV3Plus:
    """Return deeplabv3plus_wrn38 for CPUs: a block a stage, few channels, 16 padded convolutions.

    The rates fit maps of a few pixels: on a map that is no larger than its dilation a 3x3 has
    nothing but its centre.
    """
    _check(first_block_dilation)
    trunk = wrn16_tiny_trunk(first_block_dilation)
    model = DeepLabV3Plus(trunk, num_classes, rates, 64, 12, image_pool)
    _kaiming_normal(model.final)
    return model


def trunk_state(model: DeepLabV3Plus) -> dict[str, Tensor]:
    """Return the trunk's tensors, not copied, under the keys of a classification network's file."""
    return model.trunk.state_dict()


def load_backbone(model: DeepLabV3Plus, content: Any) -> dict[str, Any]:
    """Load a classification network's weights into the trunk, in place, whatever its padding.

    Args:
        model: the network.
        content: what torch.load made of torchvision's file or of a checkpoint of this project, of
            the classifier that the trunk is of; or a trunk_state.

    Returns:
        `kind`: what it was; `left_out`: the keys of its classifier.

    Raises:
        WeightsError: it holds no weights, or those of another network; names the first key.
    """
    kind, weights = weights_in(content)
    trunk = model.trunk
    left_out = [key for key in weights if key.partition(".")[0] in trunk.classifier]
    weights = {key: value for key, value in weights.items() if key not in left_out}
    load_matching(trunk, weights)
    return {"kind": kind, "left_out": left_out}


def _check(first_block_dilation: str) -> None:
    if first_block_dilation not in (choices := get_args(Dilation)):
        raise ValueError(
            f"unknown first_block_dilation {first_block_dilation!r}; choose from "
            f"{', '.join(choices)}"
        )


def _conv_bn_relu(inputs: int, outputs: int, dilation: int = 0) -> Iterator[nn.Module]:
    """Yield a 3x3 of this dilation, or a 1x1 where it is 0, and what follows it."""
    kernel = 3 if dilation else 1
    yield nn.Conv2d(
        inputs, outputs, kernel, padding=dilation, dilation=max(dilation, 1), bias=False
    )
    yield nn.BatchNorm2d(outputs)
    yield nn.ReLU(inplace=True)


def _kaiming_normal(part: nn.Module) -> None:
    for module in part.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
