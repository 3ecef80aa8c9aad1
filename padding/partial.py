"""Partial convolution based padding as a drop-in for nn.Conv2d (Section 3)."""

from typing import Any, NamedTuple, overload

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from .fast.border import (
    add_bias,
    may_hold_bias,
    scale_border_,
    scale_gradient_,
    small_map,
    without_blind,
)
from .fast.dispatch import PaddedConvolution, as_autocast_casts, is_plain_call
from .fast.geometry import Geometry
from .layer import PaddedConv2d, as_pair
from .masks.convolution import masked_conv2d
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
            return masked_conv2d(self, super().forward, input, mask)
        return self._conv_forward(input, self.weight, self.bias)

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        return partial_conv2d(
            input, weight, bias, self.stride, self.padding, self.dilation, self.groups
        )


class _Settings(NamedTuple):
    stride: Pair
    padding: str | Pair
    dilation: Pair
    groups: int

    def geometry(self, input: Tensor, weight: Tensor) -> Geometry:
        return (input.shape[2:], weight.shape[2:], self.stride, self.padding, self.dilation)


@torch.fx.wrap
def partial_conv2d(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Pair = 1,
    padding: str | int | Pair = 0,
    dilation: int | Pair = 1,
    groups: int = 1,
) -> Tensor:
    """Return (W * x) r + b (Eq. 4), and 0 where a window sees no input (Eq. 1, "otherwise").

    Args:
        input: (N, C, H, W) or (C, H, W).
        weight: (C_out, C / groups, kernel height, kernel width).
        bias: (C_out,) or None.
        stride, padding, dilation, groups: as torch.nn.functional.conv2d's.
    """
    if input.dim() == 3:
        return partial_conv2d(input[None], weight, bias, stride, padding, dilation, groups)[0]
    padding = padding if isinstance(padding, str) else as_pair(padding)
    settings = _Settings(as_pair(stride), padding, as_pair(dilation), groups)
    if not is_plain_call(input, weight):
        return _formula(input, weight, bias, settings)
    if isinstance(padding, str):
        before, after = padding_on_each_side(padding, weight.shape[-2:], settings.dilation)
        if before != after:
            return _formula(input, weight, bias, settings)
        settings = settings._replace(padding=before)
    tensors = as_autocast_casts(input, weight, bias)
    if torch.is_grad_enabled():
        return _PartialConvolution.apply(*tensors, settings)
    return _scaled(*tensors, settings)


def _formula(input: Tensor, weight: Tensor, bias: Tensor | None, settings: _Settings) -> Tensor:
    output = F.conv2d(input, weight, None, *settings)
    rows, columns = padding_ratio(
        *settings.geometry(input, weight),
        dtype=torch.promote_types(output.dtype, torch.float32),
        device=output.device,
    )
    ratio = rows[:, None] * columns
    output = output * ratio.to(output.dtype)
    if bias is None:
        return output
    return torch.where(ratio > 0, output + bias.to(output.dtype)[:, None, None], 0)


def _scaled(input: Tensor, weight: Tensor, bias: Tensor | None, settings: _Settings) -> Tensor:
    """Return the formula's numbers by scaling the border alone, in place."""
    geometry = settings.geometry(input, weight)
    if bias is not None and (ratio := small_map(input, geometry)) is not None:
        # With zeros: where vmap is over the bias alone, what it is added to must be mapped as well.
        output = F.conv2d(input, weight, torch.zeros_like(bias), *settings)
        return without_blind(output.mul_(ratio).add_(bias[:, None, None]), geometry)
    fused = bias if bias is not None and may_hold_bias(input, geometry) else None
    output = F.conv2d(input, weight, fused, *settings)
    # Selective checkpointing keeps what operations return, here the convolution's own output. No
    # public function tells; the tests of checkpointing fail without this one (torch 2.11, 2.15).
    if is_in_torch_dispatch_mode():
        output = output.clone()
    scale_border_(output, geometry, fused)
    return output if bias is fused else add_bias(output, bias, geometry)


class _PartialConvolution(PaddedConvolution):
    forward = staticmethod(_scaled)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Return the gradients of input, weight and bias."""
        input, weight, bias = ctx.saved_tensors
        settings, needed = ctx.settings, ctx.needs_input_grad
        geometry = settings.geometry(input, weight)
        scaled = gradient.clone()  # others may hold it: a residual sum hands it out twice
        by_convolution = needed[2] and may_hold_bias(input, geometry)
        if by_convolution:
            lost = scale_gradient_(scaled, geometry)
        else:
            scale_border_(scaled, geometry)
        of_input, of_weight, of_bias = torch.ops.aten.convolution_backward(
            scaled,
            input,
            weight,
            bias_sizes=None if bias is None else bias.shape,
            stride=settings.stride,
            padding=settings.padding,
            dilation=settings.dilation,
            transposed=False,
            output_padding=(0, 0),
            groups=settings.groups,
            output_mask=(*needed[:2], by_convolution),
        )
        if by_convolution:
            of_bias = of_bias + lost
        elif needed[2]:
            of_bias = without_blind(gradient, geometry).sum((0, 2, 3))
        return of_input, of_weight, of_bias, None

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor:
        """Return the output's tangent."""
        return _PartialConvolution.tangent(ctx, *tangents[:3])
