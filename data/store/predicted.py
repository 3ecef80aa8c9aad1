"""Predicted label images as files: label ids, as Cityscapes' evaluator reads them."""

from pathlib import Path

import numpy as np
from PIL import Image

from foundation.files import atomic_writer

# TODO-LABELS: the table of data/store/labels.py. Label ids in the order of the train ids.
_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)


def write_prediction(path: Path, predicted: np.ndarray) -> None:
    """Write train ids as a PNG of label ids, atomically.

    Train ids are what a network predicts; the evaluator would take them for other classes.

    Args:
        path: of the PNG.
        predicted: (H, W) integers, 0 to 18.

    Raises:
        FileError: it cannot be written.
    """
    ids = np.array(_IDS, dtype=np.uint8)[predicted]
    with atomic_writer(path) as file:
        Image.fromarray(ids, mode="L").save(file, format="PNG")
