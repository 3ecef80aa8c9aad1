"""WideResNet-38 with pre-activation: the classifier and the dilated trunk (Section 4.2, [29])."""

from typing import Literal

import torch
from torch import Tensor, nn

Dilation = Literal["full", "contract"]

# Of mod2 ... mod7: channels after each convolution of a block, the first block's stride (mod2 and
# mod3 have a pool before them instead), dropout.
_STAGES: tuple[tuple[tuple[int, ...], int, float], ...] = (
    ((128, 128), 1, 0.0),
    ((256, 256), 1, 0.0),
    ((512, 512), 2, 0.0),
    ((512, 1024), 2, 0.0),
    ((512, 1024, 2048), 2, 0.3),
    ((1024, 2048, 4096), 1, 0.5),
)
_STEM = 64
_POOLED = 2  # stages with a pool before them
# blocks of mod2 ... mod7, and what divides all channels
_WRN38 = ((3, 3, 6, 3, 1, 1), 1)
_WRN16_TINY = ((1, 1, 1, 1, 1, 1), 8)


class PreactivationBlock(nn.Module):
    """Two 3x3 convolutions, or 1x1, 3x3, 1x1; BN-ReLU stands before each of them.

    The first one carries the stride. Where stride or channels change, the shortcut is a 1x1
    convolution of the activated input, else the input as it came.

    Args:
        inputs: channels of the input.
        widths: channels after each convolution, two or three.
        stride: of the first convolution and of the shortcut.
        dilations: of the first convolution and of the others; no matter to a 1x1.
        dropout: chance of a channel to be dropped before the last convolution, in training.
    """

    def __init__(
        self,
        inputs: int,
        widths: tuple[int, ...],
        stride: int = 1,
        dilations: tuple[int, int] = (1, 1),
        dropout: float = 0.0,
    ):
        super().__init__()
        kernels = (3, 3) if len(widths) == 2 else (1, 3, 1)
        self.bn = nn.BatchNorm2d(inputs)
        self.relu = nn.ReLU(inplace=True)
        layers: list[nn.Module] = [_conv(inputs, widths[0], kernels[0], stride, dilations[0])]
        for i in range(1, len(widths)):
            layers += [nn.BatchNorm2d(widths[i - 1]), nn.ReLU(inplace=True)]
            layers.append(_conv(widths[i - 1], widths[i], kernels[i], 1, dilations[1]))
        if dropout:
            layers.insert(-1, nn.Dropout2d(dropout))
        self.convs = nn.Sequential(*layers)
        changes = stride != 1 or inputs != widths[-1]
        self.shortcut = _conv(inputs, widths[-1], 1, stride) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, widths[-1], h, w) for (n, inputs, height, width), both divided by stride."""
        activated = self.relu(self.bn(x))
        shortcut = x if self.shortcut is None else self.shortcut(activated)
        return shortcut + self.convs(activated)


class WideResNetTrunk(nn.Module):
    """mod1 ... mod7; no BN follows the last addition.

    Args:
        blocks: of mod2 ... mod7.
        divisor: of all channels.
        output_stride: 32 as a classifier; 8 for segmentation: the strides of mod5 and mod6 become
            dilations of 2 and 4.
        first_block_dilation: of the 3x3 whose stride became a dilation, the first of mod5: 'full',
            2 as the others'; 'contract', 1. With the latter, every fourth position under zero
            padding is what the classifier computes.
    """

    classifier = ("bn", "fc")  # what a classification network has beside its trunk

    def __init__(
        self,
        blocks: tuple[int, ...],
        divisor: int = 1,
        output_stride: Literal[8, 32] = 32,
        first_block_dilation: Dilation = "full",
    ):
        super().__init__()
        inputs = _STEM // divisor
        self.mod1 = _conv(3, inputs, 3)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        reached, dilation = 2**_POOLED, 1
        for i, (widths, stride, dropout) in enumerate(_STAGES):
            widths = tuple(width // divisor for width in widths)
            before = dilation
            if reached * stride > output_stride:
                stride, dilation = 1, dilation * stride
            reached *= stride
            first = before if first_block_dilation == "contract" else dilation
            stage = nn.Sequential()
            for block in range(blocks[i]):
                own, dilations = (stride, (first, dilation)) if not block else (1, (dilation,) * 2)
                stage.append(PreactivationBlock(inputs, widths, own, dilations, dropout))
                inputs = widths[-1]
            self.add_module(f"mod{i + 2}", stage)
        self.channels = (_STAGES[0][0][-1] // divisor, inputs)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return mod2's output, stride 2, and mod7's, at the output stride, for (n, 3, h, w)."""
        skip = self.mod2(self.pool(self.mod1(image)))
        x = self.mod3(self.pool(skip))
        return skip, self.mod7(self.mod6(self.mod5(self.mod4(x))))


class WideResNet(WideResNetTrunk):
    """The trunk at stride 32 as an ImageNet classifier: BN-ReLU, mean, linear."""

    def __init__(self, blocks: tuple[int, ...], divisor: int, num_classes: int):
        super().__init__(blocks, divisor)
        self.bn = nn.BatchNorm2d(self.channels[1])
        self.fc = nn.Linear(self.channels[1], num_classes)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits (n, num_classes) for images (n, 3, height, width)."""
        _, x = super().forward(image)
        return self.fc(torch.relu(self.bn(x)).mean((2, 3)))


def wrn38(num_classes: int = 1000) -> WideResNet:
    """Return the classifier with torch's initial weights, zero-padded: 109,167,912 parameters."""
    return WideResNet(*_WRN38, num_classes)


def wrn16_tiny(num_classes: int = 1000) -> WideResNet:
    """Return the same for CPUs: a block a stage, an eighth of the channels."""
    return WideResNet(*_WRN16_TINY, num_classes)


def wrn38_trunk(first_block_dilation: Dilation = "full") -> WideResNetTrunk:
    """Return wrn38's trunk at stride 8; its keys are the classifier's."""
    return WideResNetTrunk(*_WRN38, 8, first_block_dilation)


def wrn16_tiny_trunk(first_block_dilation: Dilation = "full") -> WideResNetTrunk:
    """Return wrn16_tiny's trunk at stride 8; its keys are the classifier's."""
    return WideResNetTrunk(*_WRN16_TINY, 8, first_block_dilation)


def _conv(inputs: int, outputs: int, kernel: int, stride: int = 1, dilation: int = 1) -> nn.Conv2d:
    """Return a convolution of kernel 1 or 3 that keeps the map's size, but for the stride."""
    if kernel == 1:
        return nn.Conv2d(inputs, outputs, 1, stride, bias=False)
    return nn.Conv2d(inputs, outputs, 3, stride, padding=dilation, dilation=dilation, bias=False)
