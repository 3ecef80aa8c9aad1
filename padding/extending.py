"""The two schemes that extrapolate the input: reflection and replication padding (Section 1)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from .eager import apply, differentiable_gradients, needs_gradient, runs_eagerly
from .errors import PaddingError
from .layer import PaddedConv2d
from .ratio import Pair

Sides = tuple[int, int, int, int]  # left, right, top, bottom, as F.pad takes them


class _ExtendingConv2d(PaddedConv2d):
    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of the extended `input`, (N, C, H, W) or (C, H, W)."""
        tensors = (input, self.weight, self.bias)
        sides = tuple(self._reversed_padding_repeated_twice)
        arguments = (self.mode, sides, self.stride, self.dilation, self.groups)
        if not runs_eagerly(input, self.weight) or 0 in input.shape:
            return _formula(*tensors, *arguments)
        if needs_gradient(*tensors):
            return apply(_ExtendedConv, tensors, arguments)
        return _padded_first(*tensors, *arguments)


class ReflectConv2d(_ExtendingConv2d):
    """nn.Conv2d that mirrors the input at its border, the border pixel itself not repeated.

    Raises:
        PaddingError: the feature map is not larger than the padding, so there is nothing to mirror.
    """

    mode = "reflect"

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of the mirrored `input`, (N, C, H, W) or (C, H, W)."""
        left, right, top, bottom = self._reversed_padding_repeated_twice
        height, width = input.shape[-2:]
        if max(left, right) >= width or max(top, bottom) >= height:
            raise PaddingError(
                f"reflect padding by {max(top, bottom)} x {max(left, right)} needs a feature map "
                f"larger than that, got {height} x {width} in {self}",
                self,
            )
        return super().forward(input)


class ReplicateConv2d(_ExtendingConv2d):
    """nn.Conv2d that repeats the border pixels of the input outwards."""

    mode = "replicate"


def _formula(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mode: str,
    sides: Sides,
    stride: Pair,
    dilation: Pair,
    groups: int,
) -> Tensor:
    """Return the convolution in operations whose every derivative is deterministic on a GPU too.

    F.pad's is not: its backward pass adds up in whatever order the threads arrive.
    """
    left, right, top, bottom = sides
    padded = _extend(_extend(input, -2, top, bottom, mode), -1, left, right, mode)
    return F.conv2d(padded, weight, bias, stride, 0, dilation, groups)


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
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mode: str,
    sides: Sides,
    stride: Pair,
    dilation: Pair,
    groups: int,
) -> Tensor:
    return F.conv2d(_pad(input, sides, mode), weight, bias, stride, 0, dilation, groups)


def _pad(input: Tensor, sides: Sides, mode: str) -> Tensor:
    if input.is_contiguous(memory_format=torch.channels_last) and not input.is_contiguous():
        # As a volume (height, width, channels): on a GPU the 2-D operation would undo the layout.
        return F.pad(input.permute(0, 2, 3, 1), (0, 0, *sides), mode=mode).permute(0, 3, 1, 2)
    return F.pad(input, sides, mode=mode)


def _fold(gradient: Tensor, sides: Sides, mode: str) -> Tensor:
    """Return the gradient of _pad's input as a view of its output's, whose interior collects it."""
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


class _ExtendedConv(torch.autograd.Function):
    """Keeps the input, which others keep as well, and pads it again instead of keeping a copy."""

    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any
    ) -> Tensor:
        ctx.save_for_backward(input, weight, bias)
        ctx.arguments = arguments
        return _padded_first(input, weight, bias, *arguments)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, bias = ctx.saved_tensors
        mode, sides, stride, dilation, groups = ctx.arguments
        needed = tuple(ctx.needs_input_grad[:3])
        nothing = (None,) * len(ctx.arguments)
        if torch.is_grad_enabled():  # create_graph=True
            inputs = (input, weight, bias)
            found = differentiable_gradients(_formula, inputs, ctx.arguments, needed, gradient)
            return *found, *nothing
        of_padded, of_weight, of_bias = torch.ops.aten.convolution_backward(
            *(gradient, _pad(input, sides, mode), weight),
            *(None if bias is None else bias.shape, stride, (0, 0), dilation),
            *(False, (0, 0), groups, needed),
        )
        of_input = _fold(of_padded, sides, mode) if needed[0] else None
        return of_input, of_weight, of_bias, *nothing
