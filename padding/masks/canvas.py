"""Images of different sizes in one batch (Section 3, "Case of Big Padding Size")."""

import torch
from torch import Tensor

from ..errors import PaddingError


def canvas(images: list[Tensor], size: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
    """Return one batch of images of different sizes, and its mask (Section 3, "Big Padding").

    Args:
        images: (C, H, W) each, of any height and width.
        size: height and width of the canvas; None for the largest of each.

    Returns:
        (N, C, height, width) with every image in the top left corner and zeros beside it, and the
        bool mask (N, 1, height, width).

    Raises:
        PaddingError: an image is larger than `size`.
    """
    height, width = size or (max(i.shape[1] for i in images), max(i.shape[2] for i in images))
    batch = images[0].new_zeros(len(images), images[0].shape[0], height, width)
    mask = torch.zeros(len(images), 1, height, width, dtype=torch.bool, device=batch.device)
    for number, image in enumerate(images):
        rows, columns = image.shape[1:]
        if rows > height or columns > width:
            raise PaddingError(
                f"image {number}, {rows} x {columns}, is larger than the canvas, {height} x {width}"
            )
        batch[number, :, :rows, :columns] = image
        mask[number, :, :rows, :columns] = True
    return batch, mask
