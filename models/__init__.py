"""The five networks of the paper under any padding scheme."""

from models.build import ARCHITECTURES, ImageSizeError, build_model, check_image_size

__all__ = ["ARCHITECTURES", "ImageSizeError", "build_model", "check_image_size"]
