"""The plan as a sequence of steps for one process: what every backend iterates over."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from data.plan import draws

# BN cannot average over a single value (a lone image at 1 x 1 px): a smaller share of a last
# training batch is filled up with images that have no weight in the loss.
MIN_TRAIN_SHARE = 2


@dataclass(frozen=True)
class Step:
    """One process's share of one step.

    Attributes:
        epoch: counted from 0.
        samples: (n,) int64 places in the split, fillers at the end.
        counted: how many of them are no fillers.
        global_count: training: images of this step over all processes, without fillers;
            validation, where the processes share no step: of this process.
    """

    epoch: int
    samples: np.ndarray
    counted: int
    global_count: int


class TrainSteps:
    """The steps of an epoch: the same number on every process, the last one smaller.

    Attributes:
        epoch: which, counted from 0.
        start: the step that the next iteration begins with.
        share: most images of a process in a step.
    """

    def __init__(self, images: int, batch: int, rank: int, world: int, seed: int):
        self.images, self.batch, self.rank, self.world, self.seed = images, batch, rank, world, seed
        self.share = max(-(-batch // world), MIN_TRAIN_SHARE)
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return -(-self.images // self.batch) - self.start

    def __iter__(self) -> Iterator[Step]:
        order = draws.epoch_order(self.seed, self.epoch, self.images)
        for step in range(self.start, self.start + len(self)):
            share = draws.train_share(order, step, self.batch, self.rank, self.world)
            missing = max(0, MIN_TRAIN_SHARE - len(share))
            samples = np.append(share, order[[step * self.batch] * missing])
            total = min(self.batch, self.images - step * self.batch)
            yield Step(self.epoch, samples, len(share), total)


class EvalSteps:
    """This process's part of a split in batches; the parts of all processes make the whole."""

    def __init__(self, images: int, batch: int, rank: int, world: int):
        self.images, self.share = images, batch
        self.mine = draws.eval_share(images, rank, world)
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return -(-len(self.mine) // self.share) - self.start

    def __iter__(self) -> Iterator[Step]:
        for start in range(self.start * self.share, len(self.mine), self.share):
            samples = self.mine[start : start + self.share]
            yield Step(self.epoch, samples, len(samples), len(samples))
