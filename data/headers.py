"""Height and width of many images, from their headers alone."""

from multiprocessing.pool import ThreadPool
from typing import BinaryIO

import numpy as np
from PIL import Image
from tqdm import tqdm

MAX_PIXELS = 100_000_000  # beyond, a decoder's memory is at the mercy of whoever made the file
_THREADS = 16  # reading headers waits for the disk, not for the processor


def read_sizes(files: list[str | BinaryIO], label: str) -> tuple[np.ndarray, dict[int, str]]:
    """Return (n, 2) int32 height and width, and why not, by place, where they are zeros.

    Args:
        files: what PIL opens.
        label: of the progress bar.
    """
    with ThreadPool(_THREADS) as pool:  # in chunks: a future for each image would take gigabytes
        sizes = pool.imap(_size, files, chunksize=64)
        # No bar where stderr is no terminal.
        found = list(tqdm(sizes, label, len(files), unit="img", disable=None))
    bad = {place: size for place, size in enumerate(found) if isinstance(size, str)}
    sizes = [(0, 0) if isinstance(size, str) else size for size in found]
    return np.array(sizes, dtype=np.int32).reshape(-1, 2), bad


def _size(file: str | BinaryIO) -> tuple[int, int] | str:
    try:
        with Image.open(file) as image:
            if image.width * image.height > MAX_PIXELS:
                return f"{image.width} x {image.height} px are more than 100 megapixels"
            return image.height, image.width
    except Image.UnidentifiedImageError:
        return "not an image"
    except Image.DecompressionBombError as error:
        return str(error)
    except OSError as error:
        return error.strerror or str(error)
    except (SyntaxError, ValueError) as error:
        return str(error)
