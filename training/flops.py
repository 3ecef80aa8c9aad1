"""Floating-point operations of a training step, counted.

A multiply-add is two operations. Convolutions and matrix products count, and nothing else: not
batch norm, activations, pooling, biases, padding, the loss or the optimizer. Taps that meet the
padding count as all others do. So every padding scheme has the same count, and a scheme that takes
longer reaches less of the peak.
"""

import copy
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Flops:
    """Floating-point operations for one image.

    Attributes:
        forward: of the forward pass.
        backward: of the backward pass: twice the forward one, without the gradient of the images.
    """

    forward: int
    backward: int

    @property
    def step(self) -> int:
        """Return those of a training step; times images/s they are FLOP/s."""
        return self.forward + self.backward


def count_flops(model: nn.Module, shape: tuple[int, int, int]) -> Flops:
    """Count one image's operations in a training step of `model`, without computing anything.

    The count is made on a copy without data (device 'meta'), which leaves the model, the device's
    memory and the random numbers alone. Networks that torch.compile has compiled count as they were
    written.

    Args:
        model: the network itself, not its DDP wrapper; returns one tensor.
        shape: of an image: channels, height, width.

    Raises:
        RuntimeError: images of this shape do not go through the network.
    """
    twin = _without_data(model).train()
    for module in twin.modules():
        if isinstance(module, _BatchNorm):  # is not counted; SyncBN would ask the other processes
            module.eval()
    image = torch.empty(1, *shape, device="meta")
    mapping = {torch.ops.aten.convolution_backward: _convolution_backward}
    with torch.enable_grad(), FlopCounterMode(display=False, custom_mapping=mapping) as counter:
        outputs = twin(image)
        forward = counter.get_total_flops()
        outputs.sum().backward()
    return Flops(forward, counter.get_total_flops() - forward)


def _without_data(model: nn.Module) -> nn.Module:
    """Return a copy on the device 'meta'; no tensor of `model` is copied on the way."""
    known: dict[int, Any] = {}
    for buffer in model.buffers():
        known[id(buffer)] = torch.empty_like(buffer, device="meta")
    for parameter in model.parameters():
        empty = torch.empty_like(parameter, device="meta")
        known[id(parameter)] = nn.Parameter(empty, parameter.requires_grad)
    return copy.deepcopy(model, known)


def _convolution_backward(
    of_output: torch.Size, input: torch.Size, weight: torch.Size, *settings: Any, **_: Any
) -> int:
    """Return the operations of a convolution's gradients: each takes as many as its forward pass.

    torch's own formula (2.11, 2.15) gives the weights' gradient `groups` times as many.

    Args:
        of_output, input, weight: shapes.
        settings: bias, stride, padding, dilation, transposed, output_padding, groups, output_mask.
    """
    transposed, (of_input, of_weight, _of_bias) = settings[4], settings[7]
    windows = prod((input if transposed else of_output)[2:])
    return 2 * input[0] * windows * prod(weight) * (of_input + of_weight)
