"""Which class was taken for which: one matrix of integers, from which every IoU follows."""

import torch
from torch import Tensor

from records.iou import CLASSES


def confusion(
    predicted: Tensor,
    labels: Tensor,
    classes: int = CLASSES,
    regions: Tensor | None = None,
    n_regions: int = 1,
) -> Tensor:
    """Return how many pixels of each label were given each class, for each region of the image.

    A label outside 0..classes - 1, data.interface.FILLER_LABEL among them, counts nowhere. Matrices
    of parts add up to that of the whole: integers on any device, in any order.

    Args:
        predicted: (..., H, W) int64, classes.
        labels: as `predicted`.
        classes: how many there are.
        regions: (H, W) integers in 0..n_regions - 1; None: one region.
        n_regions: how many there are.

    Returns:
        (n_regions, classes, classes) int64; row: label, column: prediction.
    """
    cells = classes * classes
    bins = labels * classes + predicted
    if regions is not None:
        bins = bins + regions.long() * cells
    # What does not count has a bin of its own: to leave it out by a mask, a GPU's host would have
    # to wait for the number of pixels that are left.
    bins = torch.where((labels >= 0) & (labels < classes), bins, n_regions * cells)
    # Not torch.bincount, which makes the host wait for the smallest and the largest value. Sums of
    # integers are the same in any order, so this is deterministic.
    counts = torch.zeros(n_regions * cells + 1, dtype=torch.int64, device=labels.device)
    counts.scatter_add_(0, bins.flatten(), counts.new_ones(()).expand(bins.numel()))
    return counts[:-1].view(n_regions, classes, classes)
