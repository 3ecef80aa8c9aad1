"""Real images for a first run, without a download: scikit-learn's handwritten digits.

python -m data.digits OUT
"""

import argparse
from pathlib import Path

import numpy as np
from PIL import Image

from data.store.dataset import DataError
from foundation.errors import run_command
from foundation.files import is_free, replacing, writing
from foundation.homes import expanded

VAL_EVERY = 5  # every fifth image is for validation: 360 of 1,797


def write_digits(out: Path) -> str:
    """Write the digits as OUT/train/<class>/ and OUT/val/<class>/ and say what is there.

    The 1,797 images of 8 x 8 px (UCI, "Optical recognition of handwritten digits") become PNG
    files. A folder that is complete already is left as it is.

    Raises:
        DataError: OUT exists and is something else, or scikit-learn is not installed.
    """
    images, labels = handwritten_digits()
    files = [
        f"{'train' if i % VAL_EVERY else 'val'}/{label}/{i:04}.png"
        for i, label in enumerate(labels)
    ]
    found = {str(path.relative_to(out)) for path in out.rglob("*.png")} if out.is_dir() else set()
    if found == set(files):
        return f"{out}: {len(files)} handwritten digits, already there"
    if not is_free(out):
        raise DataError(f"{out}: exists and holds something else; choose another folder")

    with writing(out), replacing(out) as temporary:
        for file, pixels in zip(files, images, strict=True):
            path = temporary / file
            path.parent.mkdir(parents=True, exist_ok=True)
            # 17 grey levels, 0 to 16
            Image.fromarray(np.rint(pixels * (255 / 16)).astype(np.uint8)).save(path)
    return f"{out}: {len(files)} handwritten digits written"


def handwritten_digits() -> tuple[np.ndarray, np.ndarray]:
    """Return scikit-learn's digits, (1797, 8, 8) from 0 to 16, and which digit each is.

    Raises:
        DataError: scikit-learn is not installed.
    """
    try:
        from sklearn.datasets import load_digits  # an extra: only such commands need it
    except ImportError:
        raise DataError("scikit-learn is missing; run `make env`, or pip install it") from None
    digits = load_digits()
    return digits.images, digits.target


def main() -> None:
    """Write the digits to the folder given on the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m data.digits",
        description="Write scikit-learn's 1,797 handwritten digits as an image folder.",
    )
    parser.add_argument("out", type=expanded, help="folder to create, with train/ and val/ inside")
    print(write_digits(parser.parse_args().out))


if __name__ == "__main__":
    run_command(main)
