"""The two schemes that extrapolate the input: reflection and replication padding (Section 1)."""

from typing import Any, NamedTuple

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor

from .errors import PaddingError
from .fast.dispatch import PaddedConvolution, as_autocast_casts, is_plain_call
from .layer import PaddedConv2d, as_pair, described, padding_sides
from .ratio import Pair

Sides = tuple[int, int, int, int]  # left, right, top, bottom, as F.pad takes them


class _ExtendingConv2d(PaddedConv2d):
    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of the extended `input`, (N, C, H, W) or (C, H, W)."""
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        sides = padding_sides(self)
        if not (isinstance(input, torch.fx.Proxy) or torch.jit.is_tracing()):
            self._check(input, sides)
        return extending_conv2d(
            input, weight, bias, self.mode, sides, self.stride, self.dilation, self.groups
        )

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
                f"larger than that, got {height} x {width} in {described(self)}",
                self,
            )


class ReplicateConv2d(_ExtendingConv2d):
    """nn.Conv2d that repeats the border pixels of the input outwards."""

    mode = "replicate"


EXTRAPOLATING = (ReflectConv2d, ReplicateConv2d)


class _Settings(NamedTuple):
    mode: str
    sides: Sides
    stride: Pair
    dilation: Pair
    groups: int


@torch.fx.wrap
def extending_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    mode: str,
    sides: Sides,
    stride: int | Pair = 1,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Return the convolution of the input extended by reflection or replication.

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C_out, C / groups, kernel height, kernel width).
        bias: (C_out,) or None.
        mode: 'reflect' or 'replicate'.
        sides: columns and rows added left, right, top and bottom.
        stride, dilation, groups: as torch.nn.functional.conv2d's.
    """
    if input.dim() == 3:
        batch = input[None]
        return extending_conv2d(batch, weight, bias, mode, sides, stride, dilation, groups)[0]
    settings = _Settings(mode, sides, as_pair(stride), as_pair(dilation), groups)
    if not is_plain_call(input, weight) or input.numel() == 0:  # F.pad takes no empty batch
        return _convolve(_pad_by_slices(input, sides, mode), weight, bias, settings)
    tensors = as_autocast_casts(input, weight, bias)
    if torch.is_grad_enabled():
        return _ExtendingConvolution.apply(*tensors, settings)
    return _extended(*tensors, settings)


def _extended(input: Tensor, weight: Tensor, bias: Tensor | None, settings: _Settings) -> Tensor:
    return _convolve(_pad(input, settings.sides, settings.mode), weight, bias, settings)


def _convolve(padded: Tensor, weight: Tensor, bias: Tensor | None, settings: _Settings) -> Tensor:
    return F.conv2d(padded, weight, bias, settings.stride, 0, settings.dilation, settings.groups)


def _pad(input: Tensor, sides: Sides, mode: str) -> Tensor:
    if input.stride(1) == 1 and not input.is_contiguous():
        # As a volume (height, width, channels): on a GPU the 2-D operation would undo the layout.
        return F.pad(input.permute(0, 2, 3, 1), (0, 0, *sides), mode=mode).permute(0, 3, 1, 2)
    return F.pad(input, sides, mode=mode)


def _pad_by_slices(input: Tensor, sides: Sides, mode: str) -> Tensor:
    """Return the padded input by operations whose every derivative is deterministic on a GPU too.

    F.pad's is not: its backward pass adds up in whatever order the threads arrive.
    """
    left, right, top, bottom = sides
    for dim, before, after in ((-2, top, bottom), (-1, left, right)):
        size = input.shape[dim]
        if mode == "reflect":
            first = input.narrow(dim, 1, before).flip(dim)
            last = input.narrow(dim, size - 1 - after, after).flip(dim)
        else:
            first = torch.cat([input.narrow(dim, 0, 1)] * before, dim) if before else None
            last = torch.cat([input.narrow(dim, size - 1, 1)] * after, dim) if after else None
        parts = (first if before else None, input, last if after else None)
        input = torch.cat([part for part in parts if part is not None], dim)
    return input


def _fold(gradient: Tensor, sides: Sides, mode: str) -> Tensor:
    """Return the gradient of the padding's input, a view of that of its output: it is used up."""
    left, right, top, bottom = sides
    for dim, before, after in ((-2, top, bottom), (-1, left, right)):
        size = gradient.shape[dim] - before - after
        first, last = gradient.narrow(dim, 0, before), gradient.narrow(dim, before + size, after)
        gradient = gradient.narrow(dim, before, size)
        if mode == "reflect":
            gradient.narrow(dim, 1, before).add_(first.flip(dim))
            gradient.narrow(dim, size - 1 - after, after).add_(last.flip(dim))
        else:
            gradient.narrow(dim, 0, 1).add_(first.sum(dim, keepdim=True))
            gradient.narrow(dim, size - 1, 1).add_(last.sum(dim, keepdim=True))
    return gradient


class _ExtendingConvolution(PaddedConvolution):
    """Pads again in the backward pass: a padded copy of every input would be kept otherwise."""

    forward = staticmethod(_extended)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of input, weight and bias."""
        input, weight, bias = ctx.saved_tensors
        mode, sides, stride, dilation, groups = ctx.settings
        # With create_graph=True the padding itself has a derivative here.
        padded = (_pad_by_slices if torch.is_grad_enabled() else _pad)(input, sides, mode)
        of_padded, of_weight, of_bias = torch.ops.aten.convolution_backward(
            gradient,
            padded,
            weight,
            bias_sizes=None if bias is None else bias.shape,
            stride=stride,
            padding=(0, 0),
            dilation=dilation,
            transposed=False,
            output_padding=(0, 0),
            groups=groups,
            output_mask=ctx.needs_input_grad[:3],
        )
        of_input = None
        if ctx.needs_input_grad[0]:  # dense: what comes next is slower on a view
            of_input = _fold(of_padded, sides, mode).clone()
        return of_input, of_weight, of_bias, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        """Return the output's tangent."""
        return _ExtendingConvolution.tangent(ctx, *tangents[:3])
