"""Sums over the steps of an epoch, added up on the processor, some steps at a time."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor


class StepResult(NamedTuple):
    """What a step leaves on the device.

    Attributes:
        step: its number in the epoch, from 1.
        lr: its learning rate.
        index: (n,) places of its images in the split.
        loss: () sum of the losses, float32.
        counts: (k,) int64, the task's.
        overflow: () bool, whether fp16's loss scale skipped it.
    """

    step: int
    lr: float
    index: Tensor
    loss: Tensor
    counts: Tensor
    overflow: Tensor


@dataclass
class Sums:
    """What an epoch has seen so far, in one process.

    Attributes:
        loss: sum of all losses.
        counts: the task's, added up.
        overflows: steps that fp16's loss scale skipped.
        seconds: that training took.
        waited: of them, for data.
    """

    loss: float = 0.0
    counts: list[int] = field(default_factory=list)
    overflows: int = 0
    seconds: float = 0.0
    waited: float = 0.0

    def add(self, results: list[StepResult]) -> tuple[StepResult, float] | None:
        """Add up some steps; return the first whose loss is no finite number, and that loss.

        This is where the processor waits for the device.
        """
        if not results:
            return None
        losses = torch.stack([result.loss for result in results]).tolist()
        counts = torch.stack([result.counts for result in results]).sum(0).tolist()
        self.loss = in_order([self.loss, *losses])
        self.counts = [a + b for a, b in zip(self.counts or [0] * len(counts), counts, strict=True)]
        self.overflows += int(torch.stack([result.overflow for result in results]).sum())
        pairs = zip(results, losses, strict=True)
        return next(((result, loss) for result, loss in pairs if not math.isfinite(loss)), None)

    def state_dict(self) -> dict[str, Any]:
        """Return the sums as plain values."""
        return asdict(self)


def in_order(values: Iterable[float]) -> float:
    """Return the sum by one addition after the other, in double precision.

    The order is part of the number, and Python's own sum() does something else from 3.12 on.
    """
    total = 0.0
    for value in values:
        total += value
    return total


def added(parts: list[Sums]) -> Sums:
    """Return the sums of several processes as one; its times are the longest of theirs."""
    counts = [part.counts for part in parts if part.counts]
    return Sums(
        in_order(part.loss for part in parts),
        [sum(column) for column in zip(*counts, strict=True)],
        sum(part.overflows for part in parts),
        max(part.seconds for part in parts),
        max(part.waited for part in parts),
    )
