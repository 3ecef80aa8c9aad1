"""The two schemes that extrapolate the input: reflection and replication padding (Section 1)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch._C import _are_functorch_transforms_active
from torch.nn.grad import conv2d_input

from .eager import Convolution, Gradients
from .errors import PaddingError
from .layer import PaddedConv2d, padding_sides
from .ratio import Pair

Sides = tuple[int, int, int, int]  # left, right, top, bottom, as F.pad takes them

# Bytes of an input. Below, halving its gradient saves little and costs 3 % of a ResNet-50's step.
_LARGE = 2**25

# What F.pad calls, without the microseconds that it adds to every layer.
_PAD = {"reflect": torch._C._nn.reflection_pad2d, "replicate": torch._C._nn.replication_pad2d}


class _Settings(NamedTuple):
    mode: str
    sides: Sides
    stride: Pair
    dilation: Pair
    groups: int


class _ExtendingConv2d(PaddedConv2d):
    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of the extended `input`, (N, C, H, W) or (C, H, W)."""
        sides = padding_sides(self)
        self._check(input, sides)
        settings = _Settings(self.mode, sides, self.stride, self.dilation, self.groups)
        if input.numel() == 0:  # the padding operations take no empty batch
            convolution = _formula
        elif torch.is_grad_enabled() or _are_functorch_transforms_active():
            convolution = _CONVOLUTION
        else:  # without gradients the fast way serves everybody else
            convolution = _padded_first
        return convolution(input, self.weight, self.bias, settings)

    def _check(self, input: Tensor, sides: Sides) -> None:
        """Raise PaddingError where the input cannot be extended so far."""


class ReflectConv2d(_ExtendingConv2d):
    """nn.Conv2d that mirrors the input at its border, the border pixel itself not repeated.

    Raises:
        PaddingError: the feature map is not larger than the padding, so there is nothing to mirror.
    """

    mode = "reflect"

    def _check(self, input: Tensor, sides: Sides) -> None:
        left, right, top, bottom = sides
        height, width = input.shape[-2:]
        if max(left, right) >= width or max(top, bottom) >= height:
            raise PaddingError(
                f"reflect padding by {max(top, bottom)} x {max(left, right)} needs a feature map "
                f"larger than that, got {height} x {width} in {self}",
                self,
            )


class ReplicateConv2d(_ExtendingConv2d):
    """nn.Conv2d that repeats the border pixels of the input outwards."""

    mode = "replicate"


def _formula(input: Tensor, weight: Tensor, bias: Tensor | None, settings: _Settings) -> Tensor:
    """Return the convolution in operations whose every derivative is deterministic on a GPU too.

    F.pad's is not: its backward pass adds up in whatever order the threads arrive.
    """
    mode, (left, right, top, bottom) = settings[:2]
    padded = _extend(_extend(input, -2, top, bottom, mode), -1, left, right, mode)
    return _convolve(padded, weight, bias, settings)


def _extend(input: Tensor, dim: int, before: int, after: int, mode: str) -> Tensor:
    size = input.shape[dim]
    if mode == "reflect":
        first = input.narrow(dim, 1, before).flip(dim)
        last = input.narrow(dim, size - 1 - after, after).flip(dim)
    else:
        first = torch.cat([input.narrow(dim, 0, 1)] * before, dim) if before else None
        last = torch.cat([input.narrow(dim, size - 1, 1)] * after, dim) if after else None
    parts = (first if before else None, input, last if after else None)
    return torch.cat([part for part in parts if part is not None], dim)


def _padded_first(
    input: Tensor, weight: Tensor, bias: Tensor | None, settings: _Settings
) -> Tensor:
    return _convolve(_pad(input, settings.sides, settings.mode), weight, bias, settings)


def _convolve(padded: Tensor, weight: Tensor, bias: Tensor | None, settings: _Settings) -> Tensor:
    return F.conv2d(padded, weight, bias, settings.stride, 0, settings.dilation, settings.groups)


def _pad(input: Tensor, sides: Sides, mode: str) -> Tensor:
    if not input.is_contiguous() and input.is_contiguous(memory_format=torch.channels_last):
        # As a volume (height, width, channels): on a GPU the 2-D operation would undo the layout.
        return F.pad(input.permute(0, 2, 3, 1), (0, 0, *sides), mode=mode).permute(0, 3, 1, 2)
    return _PAD[mode](input, sides)


def _fold(gradient: Tensor, sides: Sides, mode: str) -> Tensor:
    """Return the gradient of _pad's input, a view of that of its output, which is used up."""
    left, right, top, bottom = sides
    for dim, before, after in ((2, top, bottom), (3, left, right)):
        size = gradient.shape[dim] - before - after
        first, last = gradient.narrow(dim, 0, before), gradient.narrow(dim, before + size, after)
        gradient = gradient.narrow(dim, before, size)
        if mode == "reflect":
            gradient.narrow(dim, 1, before).add_(first.flip(dim) if before > 1 else first)
            gradient.narrow(dim, size - 1 - after, after).add_(
                last.flip(dim) if after > 1 else last
            )
        else:
            gradient.narrow(dim, 0, 1).add_(first.sum(dim, keepdim=True))
            gradient.narrow(dim, size - 1, 1).add_(last.sum(dim, keepdim=True))
    return gradient


def _gradients(
    gradient: Tensor,
    needed: tuple[bool, ...],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    settings: _Settings,
) -> Gradients:
    mode, sides, stride, dilation, groups = settings
    at_once = needed[0] and input.nbytes < _LARGE
    # Padded again: the input is kept by others as well, a padded copy would be one more.
    of_padded, of_weight, of_bias = torch.ops.aten.convolution_backward(
        *(gradient, _pad(input, sides, mode), weight),
        *(None if bias is None else bias.shape, stride, (0, 0), dilation),
        *(False, (0, 0), groups, (at_once, *needed[1:])),
    )
    of_input = None
    if at_once:  # dense: what comes next is slower on a view
        of_input = _fold(of_padded, sides, mode).clone()
    elif needed[0]:
        of_input = _in_halves(gradient, input, weight, settings)
    return of_input, of_weight, of_bias


def _in_halves(gradient: Tensor, input: Tensor, weight: Tensor, settings: _Settings) -> Tensor:
    """Return the gradient of `input` without the memory of a whole padded one beside it."""
    mode, sides, stride, dilation, groups = settings
    left, right, top, bottom = sides
    channels, height, width = input.shape[1:]
    padded = (channels, top + height + bottom, left + width + right)
    result = torch.empty_like(input)
    for part, half in zip(gradient.chunk(2), result.chunk(2), strict=True):
        size = (len(part), *padded)
        of_padded = conv2d_input(size, weight, part, stride, 0, dilation, groups)
        half.copy_(_fold(of_padded, sides, mode))
        del of_padded  # before the next is made
    return result


_CONVOLUTION = Convolution(_formula, _padded_first, _gradients)
