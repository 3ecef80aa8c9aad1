"""The two schemes that extrapolate the input: reflection and replication padding (Section 1)."""

import torch.nn.functional as F
from torch import Tensor, nn

from padding.errors import PaddingError


class ReflectConv2d(nn.Conv2d):
    """nn.Conv2d that mirrors the input at its border, the border pixel itself not repeated.

    Raises:
        PaddingError: the feature map is not larger than the padding, so there is nothing to mirror.
    """

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
        return _padded_conv2d(self, input, "reflect")


class ReplicateConv2d(nn.Conv2d):
    """nn.Conv2d that repeats the border pixels of the input outwards."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the convolution of the extended `input`, (N, C, H, W) or (C, H, W)."""
        return _padded_conv2d(self, input, "replicate")


def _padded_conv2d(conv: nn.Conv2d, input: Tensor, mode: str) -> Tensor:
    padded = F.pad(input, conv._reversed_padding_repeated_twice, mode=mode)
    return F.conv2d(padded, conv.weight, conv.bias, conv.stride, 0, conv.dilation, conv.groups)
