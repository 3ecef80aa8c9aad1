"""Why Pillow could not read an image, in words for its owner."""

from PIL import Image


def why(error: Exception) -> str:
    """Return what an error of Pillow's means, without Python's names of objects and addresses."""
    if isinstance(error, Image.UnidentifiedImageError):
        return "not an image"
    return str(error) or type(error).__name__
