"""The schedule of the learning rate."""

from configs.schema import Optim


def lr_at(epoch: int, optim: Optim) -> float:
    """Return the learning rate of an epoch counted from 0 (Section 4.1).

    The rate is multiplied by `gamma` at the start of each milestone: with 30, 60, 90 and 100 epochs
    the last ten run at a thousandth of `lr`.
    """
    lr = optim.lr
    for milestone in optim.milestones:
        lr = lr * optim.gamma if epoch >= milestone else lr
    return lr
