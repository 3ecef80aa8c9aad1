"""Partial convolution based padding (arXiv 1811.11718) for any PyTorch model.

    from partial_padding import convert_padding
    convert_padding(model, "partial")

Needs torch and nothing else. Installed from its own folder it is the package `partial_padding`; in
the project that it comes from, `padding`.
"""

from .authors import authors_state_dict, load_authors_checkpoint
from .convert import SCHEMES, convert_padding
from .errors import PaddingError, PaddingWarning
from .extrapolate import ReflectConv2d, ReplicateConv2d
from .inspection import padding_of
from .masks.canvas import canvas
from .masks.model import MaskedModel
from .partial import PartialConv2d, partial_conv2d
from .ratio import padding_ratio

__version__ = "0.1.0"

__all__ = [
    "SCHEMES",
    "MaskedModel",
    "PaddingError",
    "PaddingWarning",
    "PartialConv2d",
    "ReflectConv2d",
    "ReplicateConv2d",
    "authors_state_dict",
    "canvas",
    "convert_padding",
    "load_authors_checkpoint",
    "padding_of",
    "padding_ratio",
    "partial_conv2d",
]
