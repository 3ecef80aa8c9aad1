"""Whether every backend can decode an image, and to the same pixels."""

import io
import re
import warnings
from functools import cache
from types import ModuleType

import numpy as np
from PIL import Image

from data.store.decoding import why
from data.store.machine import machine_error

_SAVE = "save it as JPEG, or as PNG of 8 bits"

# The modes of PIL, in each format, whose pixels DALI shows within one grey level: found by trial.
# PIL reads more formats, and more modes: 16 bits, float, LAB.
_ALIKE = {
    "JPEG": ("L", "RGB", "CMYK"),
    "MPO": ("L", "RGB", "CMYK"),
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA"),
    "BMP": ("1", "L", "P", "RGB", "RGBA"),
    "TIFF": ("L", "P", "RGB", "RGBA", "CMYK", "YCbCr"),
    "PPM": ("1", "L", "RGB"),
    "WEBP": ("RGB", "RGBA"),
}
# A marker; within coded pixels FF is followed by 00, and the numbered ones restart the decoder.
_MARKER = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")
_END = 0xD9
_ORIENTATION, _BITS, _FORMAT = 274, 258, 339  # of a TIFF's tags


def why_undecodable(content: bytes, size: tuple[int, int]) -> str | None:
    """Return why an encoded image cannot be used, None if it can.

    Args:
        content: the file.
        size: height and width in the index.

    Raises:
        DataError: memory has run out.
    """
    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(content)) as image:
            warnings.simplefilter("ignore")  # large images, odd EXIF
            if reason := _unlike(image):
                return reason
            pixels = np.asarray(image.convert("RGB"))
            if image.format in ("JPEG", "MPO") and not _has_end(content):
                return "cannot be decoded (is cut off: a JPEG without its end)"
    except MemoryError as error:
        raise machine_error(error) from None
    # PIL's readers of damaged files raise whatever they stumble over.
    except Exception as error:
        return f"cannot be decoded ({why(error)})"
    if pixels.shape[:2] != tuple(size):
        height, width = pixels.shape[:2]
        return f"is {width} x {height} px, was {size[1]} x {size[0]} in the index"
    return dali.why_undecodable(content, pixels) if (dali := _dali()) else None


def _unlike(image: Image.Image) -> str | None:
    """Return why backends would show an opened image differently, as far as its header tells."""
    if image.format not in _ALIKE:
        return f"{image.format} is not supported; {_SAVE}"
    kind = _odd_kind(image) if image.mode in _ALIKE[image.format] else f"mode {image.mode}"
    return kind and f"{image.format} of {kind} looks different in each backend; {_SAVE}"


def _odd_kind(image: Image.Image) -> str | None:
    """Return what is odd about an image whose mode is not."""
    # How PIL will read it: parts of codec, place, offset, arguments (the mode in the file first).
    codecs = {part[0] for part in image.tile}
    modes = {part[3][0] if isinstance(part[3], tuple) else part[3] for part in image.tile}
    if image.format == "BMP" and any(mode.startswith("BGR;") for mode in map(str, modes)):
        return "16 bits"
    if image.format == "PPM" and codecs != {"raw"}:
        return "another maximum than 255, or in plain text"
    if image.format == "TIFF":
        if image.tag_v2.get(_ORIENTATION, 1) != 1:
            return "another orientation than upright"
        if set(image.tag_v2.get(_BITS, (8,))) != {8} or set(image.tag_v2.get(_FORMAT, (1,))) != {1}:
            return "other than 8 bits"
        if image.info.get("compression") == "lzma":
            return "lzma compression"
    return None


def _has_end(content: bytes) -> bool:
    """Tell whether a JPEG has its end marker.

    PIL may decode a file without, where only the last bits are missing; a crop by DALI needs none
    of what lies below it.
    """
    place = 2
    while marker := _MARKER.search(content, place):
        kind, place = marker[0][-1], marker.end()
        if kind == _END:
            return True
        if not 0xD0 <= kind <= 0xD8 and kind != 1:  # the others have a length
            place += int.from_bytes(content[place : place + 2])
    return False


@cache
def _dali() -> ModuleType | None:
    try:
        from data.backends import dali_pipeline
    except ImportError:
        return None
    return dali_pipeline
