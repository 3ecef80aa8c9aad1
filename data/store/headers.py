"""Height, width and length of many image files, from their headers alone."""

import os
from multiprocessing.pool import ThreadPool

import numpy as np
from PIL import Image
from tqdm import tqdm

from data.store.decoding import why
from data.store.machine import machine_error
from data.store.paths import open_regular

# Beyond, a decoder's memory is at the mercy of whoever made the file. Holds for the image as it
# is and as it becomes when its shorter side is resized to 256 px: 1 x 60,000 px become 3.9 billion.
MAX_PIXELS = 100_000_000
_RESIZED = 256  # px, the recipe's data.eval_resize
_THREADS = 16  # reading headers waits for the disk, not for the processor

Header = tuple[int, int, int, str]  # height, width, length in bytes, what is wrong


def read_headers(files: list[str], label: str) -> tuple[np.ndarray, np.ndarray, dict[int, str]]:
    """Return what the index holds of image files.

    Args:
        files: their paths.
        label: of the progress bar.

    Returns:
        (n, 2) int32 height and width in pixels, zeros where the file cannot be used; (n,) int64
        lengths in bytes; and by place why files cannot be used.

    Raises:
        DataError: the machine has reached a limit.
    """
    with ThreadPool(_THREADS) as pool:  # in chunks: a future for each image would take gigabytes
        headers = pool.imap(_header, files, chunksize=64)
        # No bar where stderr is no terminal.
        found = list(tqdm(headers, label, len(files), unit="img", disable=None))
    bad = {place: reason for place, (*_, reason) in enumerate(found) if reason}
    numbers = np.array([header[:3] for header in found], dtype=np.int64).reshape(-1, 3)
    return numbers[:, :2].astype(np.int32), numbers[:, 2].copy(), bad


def _header(path: str) -> Header:
    length = 0
    try:
        with open_regular(path) as file:
            length = os.fstat(file.fileno()).st_size
            with Image.open(file) as image:
                height, width = image.height, image.width
        reason = _too_large(height, width)
    except (OSError, MemoryError) as error:
        if told := machine_error(error):
            raise told from None
        reason = error.strerror or why(error)
    # PIL's readers of damaged headers raise whatever they stumble over.
    except Exception as error:
        reason = why(error)
    return (0, 0, length, reason) if reason else (height, width, length, "")


def _too_large(height: int, width: int) -> str:
    if height < 1 or width < 1:
        return "has no pixels"
    if height * width > MAX_PIXELS:
        return f"{width} x {height} px are more than 100 megapixels"
    if resized_pixels(height, width, _RESIZED) > MAX_PIXELS:
        return (
            f"{width} x {height} px are too narrow: more than 100 megapixels when the shorter side "
            f"is resized to {_RESIZED}"
        )
    return ""


def resized_pixels(height: np.ndarray, width: np.ndarray, shorter: int) -> np.ndarray:
    """Return how many pixels images have when their shorter side is resized to `shorter` px."""
    return shorter * (shorter * np.maximum(height, width) // np.minimum(height, width))
