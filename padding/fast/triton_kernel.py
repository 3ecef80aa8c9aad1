"""One GPU kernel that scales the border of an output, instead of a launch for every strip."""

import torch
import triton
import triton.language as tl
from torch import Tensor

_BLOCK = 32


def scale_pixels_(output: Tensor, row: Tensor, column: Tensor, ratio: Tensor) -> None:
    """Multiply `output` by r at the listed pixels, in place.

    Args:
        output: (N, C, H, W) with any strides.
        row, column: int32 (P,), places of the pixels.
        ratio: (P,), their r; its dtype is that of the arithmetic.
    """
    images, channels = output.shape[:2]
    planes, pixels = images * channels, len(row)
    if planes == 0 or pixels == 0:
        return
    with torch.cuda.device_of(output):
        _kernel[(triton.cdiv(planes, _BLOCK), triton.cdiv(pixels, _BLOCK))](
            output,
            row,
            column,
            ratio,
            planes,
            channels,
            pixels,
            *output.stride(),
            CHANNELS_LAST=output.stride(1) == 1,
            BLOCK=_BLOCK,
        )


@triton.jit
def _kernel(
    output,
    row,
    column,
    ratio,
    planes,
    channels,
    pixels,
    stride_n,
    stride_c,
    stride_h,
    stride_w,
    CHANNELS_LAST: tl.constexpr,
    BLOCK: tl.constexpr,
):
    # One program: BLOCK border pixels of BLOCK planes (a plane is one channel of one image). The
    # last index of the tile is the one whose neighbours are neighbours in memory.
    plane = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    pixel = tl.program_id(1) * BLOCK + tl.arange(0, BLOCK)
    if CHANNELS_LAST:
        plane, pixel = plane[None, :], pixel[:, None]
    else:
        plane, pixel = plane[:, None], pixel[None, :]
    r = tl.load(ratio + pixel, mask=pixel < pixels, other=1.0)
    i = tl.load(row + pixel, mask=pixel < pixels, other=0).to(tl.int64)
    j = tl.load(column + pixel, mask=pixel < pixels, other=0).to(tl.int64)
    n, c = (plane // channels).to(tl.int64), (plane % channels).to(tl.int64)
    place = output + n * stride_n + c * stride_c + i * stride_h + j * stride_w
    mask = (plane < planes) & (pixel < pixels)
    y = tl.load(place, mask=mask, other=0.0).to(r.dtype) * r
    tl.store(place, y.to(output.dtype.element_ty), mask=mask)
