"""One pass over the training or the validation images. Numbers stay on the device until its end."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from data.interface import Batch
from tasks.interface import Row, Task
from training.distributed import agree, sum_over_processes
from training.precision import autocast
from training.state import TrainState


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of a whole split; `index` to `prediction` are this process's part of it.

    Attributes:
        row: what metrics.jsonl says of it.
        counts: the task's, over all processes.
        index, label, prediction: (n, ...) of each image.
    """

    row: Row
    counts: list[int]
    index: np.ndarray
    label: np.ndarray
    prediction: np.ndarray


def train_epoch(
    network: nn.Module,
    batches: Iterable[Batch],
    task: Task,
    state: TrainState,
    precision: str,
    world: int,
) -> Row:
    """Take one optimizer step a batch; return what the epoch says of its training.

    Args:
        network: state.model, wrapped for DDP where there are several processes.
        batches: of this process.
        task: what is learned.
        state: what the steps change.
        precision: see training/precision.py.
        world: number of processes.
    """
    network.train()
    device = next(network.parameters()).device
    totals: Tensor | float = 0.0
    for batch in batches:
        with autocast(precision, device):
            outputs = network(batch.images)
            losses, weight = task.loss(outputs, batch, world)
        state.optimizer.zero_grad(set_to_none=True)
        state.scaler.scale(losses * weight).backward()
        state.scaler.step(state.optimizer)
        state.scaler.update()
        state.step += 1
        counts = task.train_counts(outputs.detach(), batch)
        totals = totals + torch.cat([losses.detach().double()[None], counts.double()])
    loss, *counted = sum_over_processes(totals).tolist()
    return task.train_row(loss, [int(count) for count in counted])


@torch.no_grad()
def evaluate(
    model: nn.Module, batches: Iterable[Batch], task: Task, precision: str, images: int
) -> Evaluation:
    """Evaluate the unwrapped `model` on every image of a split, exactly once.

    The processes may have different numbers of batches, so nothing is exchanged before the end.

    Args:
        model: the network itself, not its DDP wrapper.
        batches: of this process.
        task: what is learned.
        precision: see training/precision.py.
        images: in the whole split.

    Raises:
        SharedError: on all processes, when one cannot read an image.
    """
    # An image that one process cannot read must not leave the others waiting for its sum.
    loss, counts, columns = agree(lambda: _own_part(model, batches, task, precision))
    counted = sum_over_processes(counts).tolist()
    assert task.evaluated(counted) == images, (
        f"evaluated {task.evaluated(counted)} of {images} images"
    )
    row = task.val_row(sum_over_processes(loss).item(), counted)
    index, label, prediction = (
        torch.cat(column).cpu().numpy() if columns else np.zeros(0, np.int64)
        for column in (zip(*columns, strict=True) if columns else [()] * 3)
    )
    return Evaluation(row, counted, index, label, prediction)


def _own_part(
    model: nn.Module, batches: Iterable[Batch], task: Task, precision: str
) -> tuple[Tensor, Tensor, list[tuple[Tensor, Tensor, Tensor]]]:
    """Return the sum of the losses, the counts, and index, label and prediction of each batch."""
    model.eval()
    device = next(model.parameters()).device
    loss = torch.zeros((), dtype=torch.float64, device=device)
    counts = torch.zeros(task.VAL_COUNTS, dtype=torch.int64, device=device)
    columns: list[tuple[Tensor, Tensor, Tensor]] = []
    for batch in batches:
        with autocast(precision, device):
            outputs = model(batch.images)
            loss += task.loss(outputs, batch, 1)[0]
        counts += task.val_counts(outputs, batch)
        columns.append((batch.index, batch.labels, task.predictions(outputs)))
    return loss, counts, columns
