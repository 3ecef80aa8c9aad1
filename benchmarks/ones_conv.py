"""The paper's own implementation of its layer, as a baseline (Section 4, "Implementation Details").

Written from that description: r from a convolution of ones with the batch size of the input, cached
until the input's size changes; the whole map is re-weighted, around the bias.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class OnesConv2d(nn.Conv2d):
    """Partial convolution based padding by a convolution of ones."""

    def forward(self, input: Tensor) -> Tensor:
        """Return the re-weighted convolution of `input`, (N, C, H, W)."""
        if getattr(self, "known_size", None) != input.shape:
            self.known_size = input.shape
            self.ratio, self.mask = self._count(input)
        output = super().forward(input)
        if self.bias is None:
            return output * self.ratio
        bias = self.bias[:, None, None]
        return ((output - bias) * self.ratio + bias) * self.mask

    @torch.no_grad()
    def _count(self, input: Tensor) -> tuple[Tensor, Tensor]:
        ones = torch.ones_like(input[:, :1])
        weight = ones.new_ones(1, 1, *self.kernel_size)
        inside = F.conv2d(ones, weight, None, self.stride, self.padding, self.dilation)
        mask = inside.clamp(0, 1)
        return weight.numel() / (inside + 1e-8) * mask, mask
