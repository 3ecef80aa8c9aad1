"""A loss that is no finite number ends a run, and says where it was."""

import math
from collections.abc import Callable
from typing import Any

from data.interface import FILLER_INDEX
from training.distributed import SharedError
from training.sums import StepResult


class Diverged(SharedError):
    """A loss is no finite number; `facts` say where, for status.json."""

    def __init__(self, message: str, **facts: Any):
        super().__init__(message)
        self.facts = facts


def found(
    result: StepResult, loss: float, epoch: int, scale: float, name: Callable[[int], str]
) -> dict[str, Any]:
    """Return what one process knows of a step with such a loss.

    Args:
        result: of the step.
        loss: its sum of losses, in this process.
        epoch: that it belongs to.
        scale: fp16's loss scale.
        name: tells an image of the split by its place.
    """
    index = [place for place in result.index.tolist() if place != FILLER_INDEX]
    return {
        "epoch": epoch,
        "step": result.step,
        "lr": result.lr,
        "loss": str(loss),
        "loss_scale": scale,
        "samples": [name(place) for place in index],
    }


def require_finite_steps(bad: list[dict[str, Any]], epochs: int) -> None:
    """Refuse to go on from the first of the steps that processes found.

    Raises:
        Diverged: there is one; its facts name the images of all processes that found it.
    """
    if not bad:
        return
    first = min(bad, key=lambda facts: facts["step"])
    together = [facts for facts in bad if facts["step"] == first["step"]]
    first["samples"] = [name for facts in together for name in facts["samples"]]
    raise Diverged(
        f"the loss is {first['loss']} in epoch {first['epoch'] + 1}/{epochs}, step "
        f"{first['step']}, at lr {first['lr']:g}; lower optim.lr, or look at the step's images "
        f"(status.json names them)",
        **first,
    )


def require_finite_evaluation(loss: float, lr: float, epoch: int, epochs: int, step: int) -> None:
    """Refuse to go on after an evaluation with such a loss.

    Raises:
        Diverged: it is not finite.
    """
    if not math.isfinite(loss):
        raise Diverged(
            f"the validation loss is {loss} in epoch {epoch + 1}/{epochs} at lr {lr:g}; lower "
            f"optim.lr",
            epoch=epoch,
            step=step,
            lr=lr,
        )
