"""The five networks of the paper under any padding scheme."""

from models.build import ARCHITECTURES, ImageSizeError, build_model, check_image_size
from models.weights import WeightsError, load_weights

__all__ = [
    "ARCHITECTURES",
    "ImageSizeError",
    "WeightsError",
    "build_model",
    "check_image_size",
    "load_weights",
]
