"""Scaling an output where its windows reach into the padding, and nowhere else (Section 4).

The ratio r is 1 but for a few rows and columns at the border. Scaling those alone, in place,
partial convolution based padding is about as fast as zero padding.
"""

import warnings
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from .geometry import Geometry, border_pixels, border_strips, ratio_map


def scale_border_(output: Tensor, geometry: Geometry, bias: Tensor | None = None) -> None:
    """Turn conv(x) into conv(x) r, or conv(x) + b into conv(x) r + b, in place.

    Args:
        output: (N, C, H, W), of a convolution with zero padding.
        geometry: of that convolution.
        bias: (C,), if it is in `output` already (may_hold_bias).
    """
    if bias is None and output.is_cuda and (scale_pixels_ := _triton_kernel(output.device)):
        wide = torch.promote_types(output.dtype, torch.float32)
        scale_pixels_(output, *border_pixels(geometry, wide, output.device))
        return
    if bias is None and (ratio := small_map(output, geometry)) is not None:
        output.mul_(ratio)
        return
    if bias is not None:  # an infinite sum stays what it is
        bias = torch.where(bias.isfinite(), bias, 0)[:, None, None]
    for strip in border_strips(geometry):
        view = strip.of(output)
        if strip.factor == 0:
            view.zero_()
        elif bias is None:
            view.mul_(strip.factor)
        else:
            view.lerp_(bias, 1 - strip.factor)


def small_map(like: Tensor, geometry: Geometry) -> Tensor | None:
    """Return r, (H, W), where one pass over the whole map is faster than its strips (measured).

    Args:
        like: a tensor of the output's dtype, device and layout.
        geometry: of the convolution.
    """
    if like.device.type != "cpu" or is_in_torch_dispatch_mode():  # a mode's tensors are its own
        return None
    # In channels_last the pixels of a column are runs of memory, otherwise single numbers.
    limit = 100 if like.stride(1) == 1 else 128 * 128
    return ratio_map(geometry, like.dtype, limit)


def may_hold_bias(input: Tensor, geometry: Geometry) -> bool:
    """Return whether the convolution should add the bias itself, which saves a pass on a CPU.

    The sum is rounded, and r multiplies that rounding: not in half precision, nor by a large r.
    Nor where a window sees no input: there must be none.
    """
    exact = input.dtype.itemsize >= 4 and all(0 < s.factor <= 2 for s in border_strips(geometry))
    return exact and not input.is_cuda


def scale_gradient_(gradient: Tensor, geometry: Geometry) -> Tensor:
    """Multiply an output's gradient by r, in place, and return what its sum loses by it, (C,).

    The gradient of the bias is the sum of all of it; so the convolution may add up the scaled one.
    """
    lost = gradient.new_zeros(gradient.shape[1])
    for strip in border_strips(geometry):
        view = strip.of(gradient)
        lost = lost + (1 - strip.factor) * view.sum((0, 2, 3))
        view.mul_(strip.factor)
    return lost


def add_bias(output: Tensor, bias: Tensor, geometry: Geometry) -> Tensor:
    """Return conv(x) r + b, and 0 where r is 0, of conv(x) r."""
    return without_blind(output + bias.to(output.dtype)[:, None, None], geometry)


def without_blind(output: Tensor, geometry: Geometry) -> Tensor:
    """Return `output` with 0 where r is 0: a window that sees no input (Eq. 1, "otherwise")."""
    blind = [strip for strip in border_strips(geometry) if strip.factor == 0]
    output = output.clone() if blind else output
    for strip in blind:
        strip.of(output).zero_()
    return output


@lru_cache(maxsize=64)
def _triton_kernel(device: torch.device) -> Callable[..., None] | None:
    """Return the kernel if it runs on `device`; it is compiled there, which needs a C compiler."""
    try:  # late: only a GPU needs it, and not every build of torch brings it
        from .triton_kernel import scale_pixels_

        pixel = torch.zeros(1, dtype=torch.int32, device=device)
        scale_pixels_(torch.ones(1, 1, 1, 1, device=device), pixel, pixel, pixel.float())
    except Exception as error:  # whatever Triton's toolchain raises
        warnings.warn(f"partial padding does without its Triton kernel: {error}", stacklevel=2)
        return None
    return scale_pixels_
