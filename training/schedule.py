"""The step schedule of the learning rate."""

from collections.abc import Sequence


def lr_at(epoch: int, lr: float, milestones: Sequence[int], gamma: float) -> float:
    """Return the learning rate of an epoch counted from 0 (Section 4.1).

    The rate is multiplied by `gamma` at the start of each milestone: with 30, 60, 90 and 100 epochs
    the last ten run at a thousandth of `lr`.
    """
    for milestone in milestones:
        lr = lr * gamma if epoch >= milestone else lr
    return lr
