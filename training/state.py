"""Everything that training changes."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from training.sums import Sums, added


@dataclass
class TrainState:
    """What a checkpoint must hold so that training goes on as if it had never stopped.

    Random numbers are not among it: they are functions of seed, epoch, step and process
    (training/seeding.py, data/plan/).

    Attributes:
        model: the network itself, neither compiled nor wrapped for DDP.
        optimizer: SGD with its momentum.
        scaler: the loss scale of fp16; inactive otherwise.
        epoch: finished epochs, and so the number of the one that is running or comes next.
        step: finished steps of that epoch.
        sums: what those steps have seen, in this process.
        rows: of metrics.jsonl, one a finished epoch.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    epoch: int = 0
    step: int = 0
    sums: Sums = field(default_factory=Sums)
    rows: list[dict[str, Any]] = field(default_factory=list)

    def lies_alike(self) -> bool:
        """Return whether momentum lies in memory as its weights do, as fused kernels need it."""
        state = self.optimizer.state.items()
        momenta = [(parameter, kept.get("momentum_buffer")) for parameter, kept in state]
        return all(p.stride() == m.stride() for p, m in momenta if m is not None)

    def own(self) -> dict[str, Any]:
        """Return what differs between the processes: BN's running statistics, and the sums."""
        buffers = {name: buffer.cpu() for name, buffer in self.model.named_buffers()}
        return {"buffers": buffers, "sums": self.sums.state_dict()}

    def state_dict(self) -> dict[str, Any]:
        """Return what all processes have alike: tensors and plain values (weights_only=True)."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "epochs_done": self.epoch,
            "step": self.step,
            "rows": self.rows,
        }

    def load_state_dict(self, saved: dict[str, Any], rank: int, world: int) -> None:
        """Continue from a state_dict with `processes`, each one's own().

        With another number of processes than before, all begin with the first one's BN statistics,
        which are those that the epoch would have ended with. Older checkpoints were all saved
        between two epochs, and have no `processes`.
        """
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        for parameter, kept in self.optimizer.state.items():
            # Laid out as the parameter, which may no longer be as it was: fused kernels walk
            # through memory.
            if (momentum := kept.get("momentum_buffer")) is not None:
                kept["momentum_buffer"] = torch.empty_like(parameter).copy_(momentum)
        if saved["scaler"]:
            self.scaler.load_state_dict(saved["scaler"])
        self.epoch, self.step = saved["epochs_done"], saved.get("step", 0)
        self.rows = saved.get("rows", [])
        processes = saved.get("processes", [])
        if len(processes) == world:
            own = processes[rank]
            buffers = dict(self.model.named_buffers())
            for name, buffer in own["buffers"].items():
                buffers[name].copy_(buffer)
            self.sums = Sums(**own["sums"])
        elif processes and rank == 0:
            self.sums = added([Sums(**process["sums"]) for process in processes])


def new_state(
    model: nn.Module, device: torch.device, momentum: float, weight_decay: float, fp16: bool
) -> TrainState:
    """Return the state before the first step; the learning rate is set in each.

    Weight decay acts on every parameter, no Nesterov (pytorch/examples, as Section 4.1 says).
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.0, momentum=momentum, weight_decay=weight_decay, fused=True
    )
    if momentum:
        # The fused kernel leaves the momentum of a first step that fp16 skips uninitialized, and
        # goes on from there (torch 2.11 to 2.15). From zero, a first step gives the same bits.
        for parameter in model.parameters():
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return TrainState(model, optimizer, torch.amp.GradScaler(device.type, enabled=fp16))


def host_copy(value: Any) -> Any:
    """Return a state_dict whose tensors are copies in the processor's memory."""
    if isinstance(value, Tensor):
        return value.detach().to("cpu", copy=True)
    if isinstance(value, dict):
        return {key: host_copy(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(host_copy(inner) for inner in value)
    return value
