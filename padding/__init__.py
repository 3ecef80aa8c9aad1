"""Partial convolution based padding (arXiv 1811.11718) for any PyTorch model.

    from padding import convert_padding
    convert_padding(model, "partial")

Needs torch and nothing else.
"""

from padding.convert import SCHEMES, convert_padding
from padding.errors import PaddingError
from padding.extending import ReflectConv2d, ReplicateConv2d
from padding.partial_conv import PartialConv2d
from padding.ratio import padding_ratio

__all__ = [
    "SCHEMES",
    "PaddingError",
    "PartialConv2d",
    "ReflectConv2d",
    "ReplicateConv2d",
    "convert_padding",
    "padding_ratio",
]
