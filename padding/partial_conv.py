"""Partial convolution based padding as a drop-in for nn.Conv2d (Section 3)."""

from typing import Any, overload

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor

from .border import Geometry, bias_gradient, scale_border_, scaled_border
from .eager import apply, differentiable_gradients, needs_gradient, runs_eagerly
from .layer import PaddedConv2d
from .masked import masked_conv2d
from .ratio import Pair, padding_on_each_side, padding_ratio


class PartialConv2d(PaddedConv2d):
    """nn.Conv2d whose padding counts as missing data (Eq. 4): y = (W * x) r + b.

    r, the kernel's area over the number of its taps inside the input (Eq. 5), depends on sizes
    alone. The bias is added after the scaling. Takes nn.Conv2d's arguments, has its state_dict keys
    and no state of its own, so weights move freely between the two.

    With a mask, the layer is the partial convolution of Eqs. 1 to 3: holes in the input count as
    missing data too.

    Shape:
        input (N, C, H, W) or (C, H, W); output as nn.Conv2d's.
        mask (N or 1, 1 or C, H, W), without N for unbatched input; the updated mask likewise, with
        the output's channels for C.

    Raises:
        PaddingError: an impossible padding; a mask of the wrong shape, dtype or device.
    """

    mode = "zeros"

    @overload
    def forward(self, input: Tensor) -> Tensor: ...
    @overload
    def forward(self, input: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]: ...
    def forward(self, input: Tensor, mask: Tensor | None = None) -> Tensor | tuple[Tensor, Tensor]:
        """Return the re-weighted convolution of `input`; with a mask, also the updated mask.

        Args:
            input: the features.
            mask: what of them is valid: bool, or floating point with 1 (valid) and 0 (hole).
        """
        if mask is not None:
            return masked_conv2d(self, self._convolve, input, mask)
        return self._convolve(input)

    def _convolve(self, input: Tensor) -> Tensor:
        return partial_conv2d(
            input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups
        )


@torch.fx.wrap
def partial_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: str | Pair,
    dilation: Pair,
    groups: int,
) -> Tensor:
    """Return (W * x) r + b (Eq. 4), and 0 where a window sees no input (Eq. 1, "otherwise").

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C_out, C / groups, kernel height, kernel width).
        bias: (C_out,) or None.
        stride, padding, dilation, groups: as torch.nn.functional.conv2d's, as pairs.
    """
    if input.dim() == 3:
        batch = partial_conv2d(input[None], weight, bias, stride, padding, dilation, groups)
        return batch[0]
    inputs = (input, weight, bias)
    if isinstance(padding, str):
        before, after = padding_on_each_side(padding, weight.shape[-2:], dilation)
        padding = before if before == after else padding
    arguments = (stride, padding, dilation, groups)
    if isinstance(padding, str) or not runs_eagerly(input, weight):
        return _formula(*inputs, *arguments)
    if needs_gradient(*inputs):
        return apply(_PartialConv, inputs, arguments)
    return _in_place(*inputs, *arguments)


def _formula(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: str | Pair,
    dilation: Pair,
    groups: int,
) -> Tensor:
    output = F.conv2d(input, weight, None, stride, padding, dilation, groups)
    rows, columns = padding_ratio(
        *(input.shape[-2:], weight.shape[-2:], stride, padding, dilation),
        dtype=torch.promote_types(output.dtype, torch.float32),
        device=output.device,
    )
    ratio = rows[:, None] * columns
    output = output * ratio.to(output.dtype)
    if bias is None:
        return output
    return output + bias.to(output.dtype)[:, None, None] * (ratio > 0)


def _in_place(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Pair,
    padding: Pair,
    dilation: Pair,
    groups: int,
) -> Tensor:
    output = F.conv2d(input, weight, bias, stride, padding, dilation, groups)
    scale_border_(output, Geometry.of(input, weight, stride, padding, dilation), bias)
    return output


class _PartialConv(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any
    ) -> Tensor:
        ctx.save_for_backward(input, weight, bias)
        ctx.arguments = arguments
        return _in_place(input, weight, bias, *arguments)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        input, weight, bias = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.arguments
        needed = tuple(ctx.needs_input_grad[:3])
        nothing = (None,) * len(ctx.arguments)
        if torch.is_grad_enabled():  # create_graph=True
            inputs = (input, weight, bias)
            found = differentiable_gradients(_formula, inputs, ctx.arguments, needed, gradient)
            return *found, *nothing
        geometry = Geometry.of(input, weight, stride, padding, dilation)
        with scaled_border(gradient, geometry) as scaled:
            of_input, of_weight, _ = torch.ops.aten.convolution_backward(
                *(scaled, input, weight, None, stride, padding, dilation),
                *(False, (0, 0), groups, (*needed[:2], False)),
            )
        of_bias = bias_gradient(gradient, geometry) if needed[2] else None
        return of_input, of_weight, of_bias, *nothing
