"""Scaling an output where its windows reach into the padding, and nowhere else (Section 4).

The ratio r is 1 but for a few rows and columns at the border. In place, and on large maps and GPUs
scaling those alone, partial convolution based padding is about as fast as zero padding.
"""

import math
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

import torch
from torch import Tensor

from .geometry import Geometry, Strip, border_pixels, border_strips, ratio_map, rest_map

# Maps of at most so many pixels (measured) are faster to multiply as a whole than strip by strip,
# the output in place, its gradient into a copy.
_SMALL_OUTPUT = {"channels_last": 100, "contiguous": 128 * 128}
_SMALL_GRADIENT = {"channels_last": 100, "contiguous": 32 * 32}

_LOCK = threading.Lock()  # two backward passes may share a gradient; see scaled_border


def scale_border_(output: Tensor, geometry: Geometry, bias: Tensor | None = None) -> None:
    """Turn conv(x) + b into conv(x) r + b, and into 0 where r is 0, in place.

    Args:
        output: (N, C, H, W), of a convolution with zero padding and `bias`.
        geometry: of that convolution.
        bias: (C,).
    """
    if bias is not None:
        bias = bias.to(output.dtype).contiguous()
    if output.is_cuda and (scale_pixels_ := _triton_kernel(output.device)):
        wide = torch.promote_types(output.dtype, torch.float32)
        scale_pixels_(output, *border_pixels(geometry, wide, output.device), bias)
        return
    place = (geometry, output.dtype, output.device, _SMALL_OUTPUT[_layout(output)])
    if bias is None and (ratio := ratio_map(*place)) is not None:
        output.mul_(ratio)
    elif bias is not None and (rest := rest_map(*place)) is not None:
        output.lerp_(bias[:, None, None], rest)  # y + (b - y) (1 - r); an infinite y is NaN then
    else:
        _scale_strips_(output, border_strips(geometry), bias)


def _scale_strips_(output: Tensor, strips: tuple[Strip, ...], bias: Tensor | None) -> None:
    for strip in strips:
        view = strip.of(output)
        if bias is None:
            view.mul_(strip.factor)
        elif strip.factor == 0:
            view.zero_()
        else:
            view.lerp_(bias[:, None, None], 1 - strip.factor)


@contextmanager
def scaled_border(
    gradient: Tensor, geometry: Geometry, beside: tuple[Tensor, ...]
) -> Iterator[Tensor]:
    """Give `gradient` times r for the duration of a with block.

    A large one is scaled in place and put back afterwards, bit for bit, because others may hold it:
    a residual sum hands the same tensor to both of its branches. Not so on a GPU, where another
    stream may read it meanwhile, nor when its elements may overlap or are those of the tensors
    `beside` it in the block: there a copy is scaled.
    """
    if gradient.is_cuda:
        scaled = gradient.clone()
        scale_border_(scaled, geometry)
        yield scaled
        return
    alone = _stands_alone(gradient, beside)
    limit = _SMALL_GRADIENT[_layout(gradient)] if alone else math.inf
    ratio = ratio_map(geometry, gradient.dtype, gradient.device, limit)
    if ratio is not None:
        yield gradient * ratio
        return
    # .data: to autograd the gradient has not changed, and in the end it has not.
    gradient, strips = gradient.data, border_strips(geometry)
    with _LOCK:
        kept = [strip.of(gradient).clone() for strip in strips]
        try:
            _scale_strips_(gradient, strips, None)
            yield gradient
        finally:
            for strip, values in zip(strips, kept, strict=True):
                strip.of(gradient).copy_(values)


def _stands_alone(gradient: Tensor, beside: tuple[Tensor, ...]) -> bool:
    """Return whether every element of `gradient` has memory of its own, and none of the others'."""
    memory = gradient.untyped_storage().data_ptr()
    dense = gradient.is_contiguous()
    dense = dense or gradient.is_contiguous(memory_format=torch.channels_last)
    return dense and all(memory != other.untyped_storage().data_ptr() for other in beside)


def bias_gradient(gradient: Tensor, geometry: Geometry) -> Tensor:
    """Return the (C,) sum of `gradient` over the windows that see any input."""
    blind = [strip for strip in border_strips(geometry) if strip.factor == 0]
    if blind:
        gradient = gradient.clone()
        for strip in blind:
            strip.of(gradient).zero_()
    return gradient.sum((0, 2, 3))


def _layout(output: Tensor) -> str:
    # In channels_last the pixels of a column are runs of memory, otherwise single numbers.
    return "channels_last" if output.stride(1) == 1 else "contiguous"


@lru_cache(maxsize=64)
def _triton_kernel(device: torch.device) -> Callable[..., None] | None:
    """Return the kernel if it runs on `device`; it is compiled there, which needs a C compiler."""
    try:  # late: only a GPU needs it, and not every build of torch brings it
        from .border_triton import scale_pixels_

        pixel = torch.zeros(1, dtype=torch.int32, device=device)
        scale_pixels_(torch.ones(1, 1, 1, 1, device=device), pixel, pixel, pixel.float(), None)
    except Exception as error:  # whatever Triton's toolchain raises
        warnings.warn(f"partial padding does without its Triton kernel: {error}", stacklevel=2)
        return None
    return scale_pixels_
