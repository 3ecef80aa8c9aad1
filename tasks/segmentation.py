"""Semantic segmentation (Section 4.2): cross-entropy of the labelled pixels, and mean IoU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from data.interface import FILLER_LABEL, Batch
from records.iou import CLASSES, miou, percents
from tasks.confusion import confusion
from tasks.interface import Row

VAL_COUNTS = CLASSES * CLASSES + 2  # the confusion matrix, labelled pixels and images


def loss(outputs: Tensor, batch: Batch) -> Tensor:
    """Return the cross-entropy summed over the labelled pixels; 0 without any.

    Args:
        outputs: (n, classes, H, W) logits.
        batch: labels (n, H, W).
    """
    # As a list of pixels: the kernel for maps has no deterministic gradient on GPUs.
    pixels = outputs.permute(0, 2, 3, 1).reshape(-1, outputs.shape[1])
    return F.cross_entropy(pixels, batch.labels.flatten(), reduction="sum")


def weight(batch: Batch, world: int) -> Tensor:
    """Return 1 / labelled pixels: the mean over a process's pixels, then over the processes."""
    return 1 / _labelled(batch).clamp(min=1)


def train_counts(outputs: Tensor, batch: Batch) -> Tensor:
    """Return (2,) int64: labelled pixels with the highest score, and labelled pixels."""
    return torch.stack([(outputs.argmax(dim=1) == batch.labels).sum(), _labelled(batch)])


def train_row(loss: float, counts: list[int]) -> Row:
    """Return mean loss and accuracy of the pixels of a training epoch."""
    correct, pixels = counts
    return {"train_loss": loss / max(pixels, 1), "train_accuracy": 100 * correct / max(pixels, 1)}


def val_counts(outputs: Tensor, batch: Batch) -> Tensor:
    """Return (VAL_COUNTS,) int64: the confusion matrix, label by label; pixels; images."""
    matrix = confusion(outputs.argmax(dim=1), batch.labels)
    images = torch.full_like(matrix.flatten()[:1], len(batch.images))
    return torch.cat([matrix.flatten(), _labelled(batch).view(1), images])


def val_row(loss: float, counts: list[int]) -> Row:
    """Return mean loss, mean IoU and IoUs in percent, and the integers that they follow from."""
    *cells, pixels, images = counts
    matrix = [cells[i : i + CLASSES] for i in range(0, len(cells), CLASSES)]
    return {
        "val_loss": loss / max(pixels, 1),
        "val_miou": miou(matrix),
        "val_iou": percents(matrix),
        "confusion": matrix,
        "val_count": images,
    }


def evaluated(counts: list[int]) -> int:
    """Return the images of an evaluation."""
    return counts[-1]


def kept(outputs: Tensor, batch: Batch) -> tuple[Tensor, ...]:
    """Return nothing: predictions are as large as the images (evaluate.py --save-predictions)."""
    return ()


def _labelled(batch: Batch) -> Tensor:
    return (batch.labels != FILLER_LABEL).sum()
