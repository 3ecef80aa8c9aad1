"""Image classification (Section 4.1): cross-entropy, and top-1 and top-5 accuracy in percent."""

import torch
import torch.nn.functional as F
from torch import Tensor

from data.interface import FILLER_LABEL, Batch
from tasks.interface import Row

VAL_COUNTS = 3


def loss(outputs: Tensor, batch: Batch) -> Tensor:
    """Return the summed cross-entropy of (n, classes) outputs."""
    return F.cross_entropy(outputs, batch.labels, reduction="sum")


def weight(batch: Batch, world: int) -> float:
    """Return the weight that makes the sums of all processes a mean over the step's images."""
    return world / batch.global_count


def train_counts(outputs: Tensor, batch: Batch) -> Tensor:
    """Return (2,) int64: labels with the highest score, and images."""
    return torch.stack([(outputs.argmax(dim=1) == batch.labels).sum(), _images(batch)])


def train_row(loss: float, counts: list[int]) -> Row:
    """Return mean loss and top-1 of a training epoch."""
    correct1, images = counts
    return {"train_loss": loss / images, "train_top1": 100 * correct1 / images}


def val_counts(outputs: Tensor, batch: Batch) -> Tensor:
    """Return (3,) int64: labels with the highest score, among the five highest, and images."""
    hits = _best(outputs) == batch.labels[:, None]
    return torch.stack([hits[:, 0].sum(), hits.sum(), _images(batch)])


def val_row(loss: float, counts: list[int]) -> Row:
    """Return mean loss, accuracies and integer counts of an evaluation."""
    correct1, correct5, images = counts
    return {
        "val_loss": loss / images,
        "val_top1": 100 * correct1 / images,
        "val_top5": 100 * correct5 / images,
        "val_correct1": correct1,
        "val_count": images,
    }


def numbers(counts: list[int]) -> dict[str, float | int]:
    """Return accuracies in percent and the integers that they follow from."""
    correct1, correct5, images = counts
    return {
        "top1": 100 * correct1 / images,
        "top5": 100 * correct5 / images,
        "correct1": correct1,
        "correct5": correct5,
        "count": images,
    }


def told(numbers: dict[str, float | int]) -> str:
    """Return the accuracies of `numbers`."""
    return f"top-1 {numbers['top1']:.3f}, top-5 {numbers['top5']:.3f}"


def evaluated(counts: list[int]) -> int:
    """Return the images of an evaluation."""
    return counts[-1]


def kept(outputs: Tensor, batch: Batch) -> tuple[Tensor, ...]:
    """Return each image's place in the split, its label and its predicted class, (n,) int64."""
    return batch.index, batch.labels, _best(outputs)[:, 0]


def _best(outputs: Tensor) -> Tensor:
    return outputs.topk(min(5, outputs.shape[1]), dim=1).indices


def _images(batch: Batch) -> Tensor:
    return (batch.labels != FILLER_LABEL).sum()
