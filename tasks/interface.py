"""The seam between the training loop and what is being learned."""

from typing import Any, Protocol

from torch import Tensor

from data.interface import Batch

Row = dict[str, Any]  # of metrics.jsonl


class Task(Protocol):
    """A module of functions; tasks/classification.py is one."""

    VAL_COUNTS: int  # how many integers val_counts returns

    def loss(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the sum of the losses over what counts in the batch."""
        ...

    def weight(self, batch: Batch, world: int) -> float | Tensor:
        """Return what the sums of the losses of a process's whole batch are multiplied by.

        The mean over the processes of sum times weight is the step's loss; fillers and what is
        ignored count nothing.
        """
        ...

    def train_counts(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return (k,) integers of a training batch that add up over batches and processes."""
        ...

    def train_row(self, loss: float, counts: list[int]) -> Row:
        """Return what a finished epoch says of its training: `loss` is the sum of all losses."""
        ...

    def val_counts(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return (k,) integers of a validation batch that add up over batches and processes."""
        ...

    def val_row(self, loss: float, counts: list[int]) -> Row:
        """Return what a finished evaluation says; the integers that it follows from among it."""
        ...

    def evaluated(self, counts: list[int]) -> int:
        """Return the images that these counts of an evaluation are of."""
        ...

    def kept(self, outputs: Tensor, batch: Batch) -> tuple[Tensor, ...]:
        """Return index, label and prediction of each image, (n,) each; () to keep none."""
        ...
