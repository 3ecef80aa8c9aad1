"""Partial convolution over an input with holes (Section 3, Eqs. 1 to 3)."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from ..errors import PaddingError
from ..layer import as_pair, described, padding_sides


def masked_conv2d(
    conv: nn.Conv2d, convolve: Callable[[Tensor], Tensor], input: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor]:
    """Return W(X * M) sum(1)/sum(M) + b where a window holds valid input, else 0, and that mask.

    The padding's share of the ratio is `convolve`'s; what remains is the taps inside the input over
    the valid ones among them. Without holes that is 1, and the result is `convolve(input)` exactly.

    Args:
        conv: the layer, for its bias and geometry.
        convolve: its forward pass with partial convolution based padding, (N, C, H, W) only.
        input: (N, C, H, W) or (C, H, W); values in holes do not matter, not even NaN.
        mask: (N or 1, 1 or C, H, W), or without N; bool, or floating point of 0 and 1.

    Returns:
        The output, and the updated mask (Eq. 3) of the mask's dtype with 1 or C_out channels.
    """
    _check(conv, input, mask)
    if input.dim() == 3:
        output, updated = masked_conv2d(conv, convolve, input[None], mask[None])
        return output[0], updated[0]
    output = convolve(torch.where(mask != 0, input, 0))
    # Half precision cannot count beyond 256 or 2048.
    valid = (mask != 0).to(torch.promote_types(input.dtype, torch.float32))
    if mask.shape[1] > 1:  # a window of one group sees the channels of that group
        valid = valid.unflatten(1, (conv.groups, -1)).sum(2)
    per_tap = input.shape[1] // conv.groups if mask.shape[1] > 1 else 1
    seen, inside = _window_sum(conv, valid), _window_sum(conv, torch.ones_like(valid[:1, :1]))
    rest = torch.where(seen > 0, inside * per_tap / seen, 0)
    if mask.shape[1] > 1:
        each = output.shape[1] // conv.groups
        rest, seen = (t.repeat_interleave(each, dim=1) for t in (rest, seen))
    output = output * rest.to(output.dtype)
    if conv.bias is not None:
        shift = conv.bias[:, None, None] * ((seen > 0).to(rest.dtype) - rest)
        output = output + shift.to(output.dtype)
    return output, (seen > 0).to(mask.dtype)


def _window_sum(conv: nn.Conv2d, counts: Tensor) -> Tensor:
    """Return the sum over every window of the kernel, rows first: whole numbers stay exact."""
    counts = nn.functional.pad(counts, padding_sides(conv))
    steps = conv.kernel_size, as_pair(conv.stride), as_pair(conv.dilation)
    for dim, kernel, stride, dilation in zip((-2, -1), *steps, strict=True):
        windows = counts.unfold(dim, dilation * (kernel - 1) + 1, stride)
        counts = windows[..., ::dilation].sum(-1)
    return counts


def _check(conv: nn.Conv2d, input: Tensor, mask: Tensor) -> None:
    expected = [(size,) for size in input.shape]
    expected[-3] = (1, input.shape[-3])
    if input.dim() == 4:
        expected[0] = (1, input.shape[0])
    if mask.dim() != input.dim() or any(
        size not in allowed for size, allowed in zip(mask.shape, expected, strict=True)
    ):
        listed = ", ".join(" or ".join(map(str, sorted(set(sizes)))) for sizes in expected)
        raise PaddingError(
            f"a mask of shape {tuple(mask.shape)} does not fit an input of shape "
            f"{tuple(input.shape)}: it should be ({listed}) in {described(conv)}",
            conv,
        )
    if mask.dtype != torch.bool and not mask.is_floating_point():
        raise PaddingError(
            f"the mask is {mask.dtype}; make it bool, or floating point of 0 and 1, in "
            + described(conv),
            conv,
        )
    if mask.device != input.device:
        raise PaddingError(
            f"the mask is on {mask.device}, the input on {input.device}; "
            f"move one of them, in {described(conv)}",
            conv,
        )
