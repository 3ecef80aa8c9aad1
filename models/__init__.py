"""The networks of the paper under any padding scheme."""

from models.build import (
    ARCHITECTURES,
    SCENE_ARCHITECTURES,
    ImageSizeError,
    build_model,
    build_scene_model,
    check_image_size,
    check_scene_size,
)
from models.deeplab import load_backbone
from models.weights import WeightsError, load_weights

__all__ = [
    "ARCHITECTURES",
    "SCENE_ARCHITECTURES",
    "ImageSizeError",
    "WeightsError",
    "build_model",
    "build_scene_model",
    "check_image_size",
    "check_scene_size",
    "load_backbone",
    "load_weights",
]
