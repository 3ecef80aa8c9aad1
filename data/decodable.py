"""Whether every backend can decode an image."""

import io
import warnings
from functools import cache
from types import ModuleType

from PIL import Image

# What DALI decodes; PIL reads more formats.
_FORMATS = ("JPEG", "MPO", "PNG", "BMP", "TIFF", "PPM", "WEBP")


def why_undecodable(content: bytes, size: tuple[int, int]) -> str | None:
    """Return why an encoded image cannot be used, None if it can.

    Args:
        content: the file.
        size: height and width in the index.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
            warnings.simplefilter("ignore")  # large images, odd EXIF
            image.convert("RGB")
            if image.format not in _FORMATS:
                return f"{image.format} is not supported; save it as JPEG or PNG"
            if (image.height, image.width) != tuple(size):
                return (
                    f"is {image.width} x {image.height} px, was {size[1]} x {size[0]} in the index"
                )
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        return f"cannot be decoded ({error})"
    if dali := _dali():
        reason = dali.why_undecodable(content)
        return reason and f"cannot be decoded by DALI ({reason})"
    return None


@cache
def _dali() -> ModuleType | None:
    try:
        from data import dali_pipeline
    except ImportError:
        return None
    return dali_pipeline
