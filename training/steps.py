"""One pass over the training or the validation images. Numbers stay on the device until its end."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from data.interface import FILLER_LABEL, Batch
from training.distributed import agree, sum_over_processes
from training.precision import autocast
from training.state import TrainState


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of a whole split; `index` to `prediction` are this process's part of it.

    Attributes:
        loss: mean cross-entropy over all images.
        correct1: images whose label has the highest score.
        correct5: images whose label is among the five highest scores.
        count: images evaluated, over all processes.
        index, label, prediction: (n,) int64.
    """

    loss: float
    correct1: int
    correct5: int
    count: int
    index: np.ndarray
    label: np.ndarray
    prediction: np.ndarray


def train_epoch(
    network: nn.Module, batches: Iterable[Batch], state: TrainState, precision: str, world: int
) -> tuple[float, float]:
    """Take one optimizer step a batch; return the mean loss and the top-1 in percent.

    Args:
        network: state.model, wrapped for DDP where there are several processes.
        batches: of this process.
        state: what the steps change.
        precision: see training/precision.py.
        world: number of processes.
    """
    network.train()
    device = next(network.parameters()).device
    totals = torch.zeros(3, dtype=torch.float64, device=device)  # loss, correct, images
    for batch in batches:
        with autocast(precision, device):
            logits = network(batch.images)
            # A sum over the whole step's size: DDP's mean over processes then is the mean over the
            # step's images, also where the last step does not divide evenly.
            losses = F.cross_entropy(logits, batch.labels, reduction="sum")
        state.optimizer.zero_grad(set_to_none=True)
        state.scaler.scale(losses * (world / batch.global_count)).backward()
        state.scaler.step(state.optimizer)
        state.scaler.update()
        correct = (logits.detach().argmax(dim=1) == batch.labels).sum()
        totals += torch.stack([losses.detach().double(), correct, _counted(batch.labels)])
    loss, correct, images = sum_over_processes(totals).tolist()
    return loss / images, 100 * correct / images


@torch.no_grad()
def evaluate(model: nn.Module, batches: Iterable[Batch], precision: str, images: int) -> Evaluation:
    """Evaluate the unwrapped `model` on every image of a split, exactly once.

    The processes may have different numbers of batches, so nothing is exchanged before the end.

    Args:
        model: the network itself, not its DDP wrapper.
        batches: of this process.
        precision: see training/precision.py.
        images: in the whole split.

    Raises:
        SharedError: on all processes, when one cannot read an image.
    """
    # An image that one process cannot read must not leave the others waiting for its sum.
    loss, counts, columns = agree(lambda: _own_part(model, batches, precision))
    correct1, correct5, count = sum_over_processes(counts).tolist()
    assert count == images, f"evaluated {count} of {images} images"
    index, label, prediction = (
        torch.cat(column).cpu().numpy() if columns else np.zeros(0, np.int64)
        for column in (zip(*columns, strict=True) if columns else [()] * 3)
    )
    total_loss = sum_over_processes(loss).item()
    return Evaluation(total_loss / count, correct1, correct5, count, index, label, prediction)


def _own_part(
    model: nn.Module, batches: Iterable[Batch], precision: str
) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor, Tensor]]]:
    """Return the sum of the losses, the counts, and index, label and prediction of each batch."""
    model.eval()
    device = next(model.parameters()).device
    loss = torch.zeros((), dtype=torch.float64, device=device)
    counts = torch.zeros(3, dtype=torch.int64, device=device)  # correct1, correct5, images
    columns: list[tuple[Tensor, Tensor, Tensor]] = []
    for batch in batches:
        with autocast(precision, device):
            logits = model(batch.images)
            loss += F.cross_entropy(logits, batch.labels, reduction="sum")
        best = logits.topk(min(5, logits.shape[1]), dim=1).indices
        hits = best == batch.labels[:, None]
        counts += torch.stack([hits[:, 0].sum(), hits.sum(), _counted(batch.labels)])
        columns.append((batch.index, batch.labels, best[:, 0]))
    return loss, counts, columns


def _counted(labels: Tensor) -> Tensor:
    return (labels != FILLER_LABEL).sum()
