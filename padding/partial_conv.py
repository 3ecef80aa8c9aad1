"""Partial convolution based padding as a drop-in for nn.Conv2d (Section 3)."""

from typing import NamedTuple, overload

import torch
import torch.fx
import torch.nn.functional as F
from torch import Tensor

from .border import bias_gradient, scale_border_, scaled_border
from .eager import Convolution, Gradients
from .geometry import Geometry
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
    if isinstance(padding, str):
        before, after = padding_on_each_side(padding, weight.shape[-2:], dilation)
        if before != after:
            return _formula(input, weight, bias, _Settings(stride, padding, dilation, groups))
        padding = before
    return _CONVOLUTION(input, weight, bias, _Settings(stride, padding, dilation, groups))


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
    return output + bias.to(output.dtype)[:, None, None] * (ratio > 0)


def _in_place(input: Tensor, weight: Tensor, bias: Tensor | None, settings: _Settings) -> Tensor:
    output = F.conv2d(input, weight, bias, *settings)
    scale_border_(output, settings.geometry(input, weight), bias)
    return output


def _gradients(
    gradient: Tensor,
    needed: tuple[bool, ...],
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    settings: _Settings,
) -> Gradients:
    geometry = settings.geometry(input, weight)
    with scaled_border(gradient, geometry, (input, weight)) as scaled:
        of_input, of_weight, _ = torch.ops.aten.convolution_backward(
            *(scaled, input, weight, None, *settings[:3]),
            *(False, (0, 0), settings.groups, (*needed[:2], False)),
        )
    return of_input, of_weight, bias_gradient(gradient, geometry) if needed[2] else None


_CONVOLUTION = Convolution(_formula, _in_place, _gradients)
