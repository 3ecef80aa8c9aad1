"""How long a run is, and the schedule of its learning rate."""

from dataclasses import dataclass

from configs.classification_keys import Optim
from configs.schema import Config
from configs.segmentation_keys import Poly


@dataclass(frozen=True)
class Length:
    """A run in steps.

    Attributes:
        steps: of a whole epoch.
        iterations: steps of the run; the last epoch may be cut.
    """

    steps: int
    iterations: int

    @property
    def epochs(self) -> int:
        """Epochs, the last one whole or not."""
        return -(-self.iterations // self.steps)

    def steps_in(self, epoch: int) -> int:
        """Return the steps of an epoch counted from 0."""
        return min(self.steps, self.iterations - epoch * self.steps)


def length(config: Config, steps: int) -> Length:
    """Return how long a run is whose whole epochs have `steps` steps."""
    if config.task == "segmentation":
        return Length(steps, config.train.iterations)
    return Length(steps, config.train.epochs * steps)


def lr_of(config: Config, epoch: int, step: int, length: Length) -> float:
    """Return the learning rate of a step of an epoch, both counted from 0."""
    if config.task == "segmentation":
        return poly_lr_at((epoch * length.steps + step) / length.iterations, config.optim)
    return lr_at(epoch, config.optim)


def lr_at(epoch: int, optim: Optim) -> float:
    """Return the learning rate of an epoch counted from 0 (Section 4.1).

    The rate is multiplied by `gamma` at the start of each milestone: with 30, 60, 90 and 100 epochs
    the last ten run at a thousandth of `lr`.
    """
    lr = optim.lr
    for milestone in optim.milestones:
        lr = lr * optim.gamma if epoch >= milestone else lr
    return lr


def poly_lr_at(progress: float, optim: Poly) -> float:
    """Return the learning rate after a share of the iterations, 0 to 1 (Section 4.2)."""
    return optim.lr * (1 - progress) ** optim.power
