"""One seed, separate streams: weights, order and crops, dropout.

Order, crops and flips take the seed itself (data/plan.py, a generator of its own).
"""

import numpy as np
import torch

_WEIGHTS, _STEP = range(2)


def seed_weights(seed: int) -> None:
    """Seed the initial weights: the same on every process."""
    torch.manual_seed(_derive(seed, _WEIGHTS))


def seed_step(seed: int, epoch: int, step: int, rank: int) -> None:
    """Seed what is random inside the network (VGG's dropout) for one step of one process.

    A function of the step, not of history: a resumed run draws what the straight one draws, and no
    generator's state need be kept.
    """
    torch.manual_seed(_derive(seed, _STEP, epoch, step, rank))


def _derive(*words: int) -> int:
    return int(np.random.SeedSequence(words).generate_state(1, np.uint64)[0] >> np.uint64(1))
