"""Predicted label images as files: label ids, as Cityscapes' evaluator reads them."""

from pathlib import Path

import numpy as np
from PIL import Image

from data.store.labels import TO_IDS
from foundation.files import writing


def write_prediction(path: Path, predicted: np.ndarray) -> None:
    """Write train ids as a PNG of label ids.

    Train ids are what a network predicts; the evaluator would take them for other classes.

    Args:
        path: of the PNG.
        predicted: (H, W) integers, 0 to 18.

    Raises:
        FileError: it cannot be written.
    """
    ids = TO_IDS[predicted]
    with writing(path):
        Image.fromarray(ids, mode="L").save(path, format="PNG")
