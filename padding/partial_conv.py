"""Partial convolution based padding as a drop-in for nn.Conv2d (Section 3)."""

from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from padding.errors import PaddingError
from padding.ratio import padding_ratio


class PartialConv2d(nn.Conv2d):
    """nn.Conv2d whose padding counts as missing data (Eq. 4): y = (W * x) r + b.

    r, the kernel's area over the number of its taps inside the input (Eq. 5), depends on sizes
    alone. The bias is added after the scaling. Takes nn.Conv2d's arguments, has its state_dict keys
    and no state of its own, so weights move freely between the two.

    Shape:
        input (N, C, H, W) or (C, H, W); output as nn.Conv2d's.

    Raises:
        PaddingError: `padding_mode` is not 'zeros'; this layer is a padding mode of its own.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        if self.padding_mode != "zeros":
            raise PaddingError(
                f"PartialConv2d replaces the padding mode; leave out padding_mode="
                f"'{self.padding_mode}'"
            )

    def forward(self, input: Tensor) -> Tensor:
        """Return the re-weighted convolution of `input`."""
        output = F.conv2d(
            input, self.weight, None, self.stride, self.padding, self.dilation, self.groups
        )
        # A tracer's tensors must not outlive it in the cache.
        cached = type(output) is Tensor and not torch.compiler.is_compiling()
        ratio_map = _cached_ratio_map if cached else _ratio_map
        geometry = (self.kernel_size, self.stride, self.padding, self.dilation)
        ratio = ratio_map(tuple(input.shape[-2:]), *geometry, output.dtype, output.device)
        output = output * ratio
        if self.bias is None:
            return output
        # Where a window holds no input, r and the output are 0 (Eq. 1): no bias there either.
        return output + self.bias.to(output.dtype)[:, None, None] * (ratio > 0)


def _ratio_map(
    size: tuple[int, int],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    padding: str | tuple[int, int],
    dilation: tuple[int, int],
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Return r of shape (output height, output width), multiplied in float64 and rounded once."""
    with torch.inference_mode(False):  # an inference tensor could not serve a later training step
        rows, columns = padding_ratio(size, kernel_size, stride, padding, dilation)
        return (rows[:, None] * columns).to(device=device, dtype=dtype)


# Outside the modules: nothing to move, copy, pickle or save, and layers of equal geometry share it.
_cached_ratio_map = lru_cache(maxsize=512)(_ratio_map)
