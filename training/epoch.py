"""One step of training; one pass of evaluation. Numbers stay on the device until its end."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from data.interface import Batch
from tasks.interface import Row, Task
from training.distributed import StopRequested, agree, gather, sum_over_processes
from training.precision import autocast
from training.state import TrainState
from training.sums import in_order


@dataclass(frozen=True)
class Evaluation:
    """An evaluation of a whole split.

    Attributes:
        row: what metrics.jsonl says of it.
        counts: the task's, over all processes.
        index, label, prediction: (n,) of each image of this process, where the task keeps them.
    """

    row: Row
    counts: list[int]
    index: np.ndarray
    label: np.ndarray
    prediction: np.ndarray


def train_step(
    network: nn.Module,
    batch: Batch,
    task: Task,
    state: TrainState,
    precision: str,
    world: int,
    accumulate: int = 1,
) -> tuple[Tensor, Tensor, Tensor]:
    """Take one optimizer step; return loss, counts and overflow of its StepResult.

    Args:
        network: state.model, wrapped for DDP where there are several processes.
        batch: of this process.
        task: what is learned.
        state: what the step changes.
        precision: see training/precision.py.
        world: number of processes.
        accumulate: passes that the batch is divided over (training/accumulation.py).
    """
    device, scaler = batch.images.device, state.scaler
    state.optimizer.zero_grad(set_to_none=True)
    losses, counts = [], []
    weight = task.weight(batch, world)
    parts = list(_parts(batch, accumulate))
    for part in parts:
        # Several processes exchange their gradients in the last pass alone.
        alone = network.no_sync() if part is not parts[-1] and world > 1 else nullcontext()
        with alone:
            with autocast(precision, device):
                outputs = network(part.images)
                loss = task.loss(outputs, part)
            scaler.scale(loss * weight).backward()
        losses.append(loss.detach())
        counts.append(task.train_counts(outputs.detach(), part))
    one = torch.ones((), device=device)
    before = scaler.scale(one)
    scaler.step(state.optimizer)
    scaler.update()
    return sum(losses), sum(counts), scaler.scale(one) < before


def _parts(batch: Batch, count: int) -> Iterator[Batch]:
    """Yield the batch in `count` parts, or one by one."""
    count = min(count, len(batch.images))
    if count == 1:
        yield batch
        return
    columns = (batch.images, batch.labels, batch.index)
    for images, labels, index in zip(*(c.tensor_split(count) for c in columns), strict=True):
        yield replace(batch, images=images, labels=labels, index=index)


@torch.no_grad()
def evaluate(
    model: nn.Module,
    batches: Iterable[Batch],
    task: Task,
    precision: str,
    images: int,
    asked: Callable[[], str] = str,
) -> Evaluation:
    """Evaluate the unwrapped `model` on every image of a split, exactly once.

    The processes may have different numbers of batches, so nothing is exchanged before the end.

    Args:
        model: the network itself, not its DDP wrapper.
        batches: of this process.
        task: what is learned.
        precision: see training/precision.py.
        images: in the whole split.
        asked: called after each batch; what it returns but '' ends the evaluation.

    Raises:
        StopRequested: on all processes, when one was asked.
        SharedError: on all processes, when one cannot read an image.
    """
    # An image that one process cannot read must not leave the others waiting for its sum.
    loss, counts, columns, reason = agree(lambda: _own_part(model, batches, task, precision, asked))
    if reason := next(filter(None, gather(reason)), ""):
        raise StopRequested(reason)
    counted = sum_over_processes(counts).tolist()
    assert task.evaluated(counted) == images, (
        f"evaluated {task.evaluated(counted)} of {images} images"
    )
    row = task.val_row(sum_over_processes(torch.tensor(loss, dtype=torch.float64)).item(), counted)
    kept = [torch.cat(column).cpu().numpy() for column in zip(*columns, strict=True)]
    return Evaluation(row, counted, *(kept or [np.zeros(0, np.int64)] * 3))


def _own_part(
    model: nn.Module,
    batches: Iterable[Batch],
    task: Task,
    precision: str,
    asked: Callable[[], str],
) -> tuple[float, Tensor, list[tuple[Tensor, ...]], str]:
    """Return the sum of the losses, the counts, what is kept of each batch, what broke it off."""
    model.eval()
    device = next(model.parameters()).device
    losses: list[Tensor] = []
    counts = torch.zeros(task.VAL_COUNTS, dtype=torch.int64, device=device)
    columns: list[tuple[Tensor, ...]] = []
    reason = ""
    for batch in batches:
        with autocast(precision, device):
            outputs = model(batch.images)
            losses.append(task.loss(outputs, batch))
        counts += task.val_counts(outputs, batch)
        columns.append(task.kept(outputs, batch))
        if reason := asked():
            break
    total = in_order(torch.stack(losses).tolist() if losses else [])
    return total, counts, columns, reason
