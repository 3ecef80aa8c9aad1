"""Everything that training changes."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass
class TrainState:
    """What a checkpoint must hold so that training goes on as if it had never stopped.

    Attributes:
        model: the network itself, neither compiled nor wrapped for DDP.
        optimizer: SGD with its momentum.
        scaler: the loss scale of fp16; inactive otherwise.
        epoch: finished epochs, and so the number of the one that is running or comes next.
        step: finished steps of that epoch.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    epoch: int = 0
    step: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Return tensors and plain values only (loadable with weights_only=True)."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epochs_done": self.epoch,
            "step": self.step,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Continue from a state_dict; older ones were all saved between two epochs."""
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if saved["scaler"]:
            self.scaler.load_state_dict(saved["scaler"])
        self.epoch, self.step = saved["epochs_done"], saved.get("step", 0)


def new_state(
    model: nn.Module, device: torch.device, momentum: float, weight_decay: float, fp16: bool
) -> TrainState:
    """Return the state before the first step; the learning rate is set each epoch.

    Weight decay acts on every parameter, no Nesterov (pytorch/examples, as Section 4.1 says).
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.0, momentum=momentum, weight_decay=weight_decay, fused=True
    )
    return TrainState(model, optimizer, torch.amp.GradScaler(device.type, enabled=fp16))
