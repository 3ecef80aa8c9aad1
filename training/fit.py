"""The loop of a run: train, evaluate, record, checkpoint."""

import math

import torch
from torch import nn

from configs.schema import Config
from data.interface import Loader
from records.metrics_log import Row
from records.run_dir import RunDir
from records.score import SCORES
from tasks.interface import Task
from training import checkpoint
from training.distributed import Process, SharedError, data_parallel, share_buffers
from training.epoch import evaluate, train_epoch
from training.recorder import Recorder
from training.schedule import lr_at
from training.seeding import seed_epoch
from training.state import TrainState


class Diverged(SharedError):
    """A loss is no longer a number."""


def fit(
    config: Config,
    task: Task,
    state: TrainState,
    loaders: tuple[Loader, Loader],
    process: Process,
    run: RunDir,
) -> list[Row]:
    """Train from `state` to the last epoch and return the rows of all epochs (first process).

    Args:
        config: of the run.
        task: what is learned.
        state: where it stands.
        loaders: of the training and of the validation images.
        process: this one.
        run: where it is recorded.

    Raises:
        Diverged: a loss of an epoch is not finite; that epoch is not recorded.
    """
    train_loader, val_loader = loaders
    precision, epochs = config.train.precision, config.train.epochs
    recorder = Recorder(run, epochs, SCORES[config.task], quiet=not process.is_first)
    network = prepare(state.model, config.train.channels_last, config.train.compile)
    network = data_parallel(network, process)

    while state.epoch < epochs:
        recorder.begin()
        label = f"epoch {state.epoch + 1}/{epochs}"

        # Everything that varies with the epoch is a function of its number.
        lr = lr_at(state.epoch, config.optim)
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        train_loader.set_epoch(state.epoch, state.step)
        seed_epoch(config.seed, state.epoch, process.rank)
        row = {"epoch": state.epoch, "lr": lr}

        batches = recorder.watch(train_loader, f"{label} train")
        row |= train_epoch(network, batches, task, state, precision, process.world)
        recorder.trained(train_loader.images)
        _require_finite("loss", row["train_loss"], label, lr)

        # Each process has BN statistics of its own images; all evaluate with the first one's.
        share_buffers(state.model)
        batches = recorder.watch(val_loader, f"{label} val")
        row |= evaluate(state.model, batches, task, precision, val_loader.images).row
        _require_finite("validation loss", row["val_loss"], label, lr)

        # The row before the checkpoint: a run killed in between drops the row, repeats the epoch.
        state.epoch, state.step = state.epoch + 1, 0
        is_best = recorder.record(row)
        if process.is_first:
            checkpoint.save_epoch(run.checkpoints, state.state_dict(), is_best)
    return recorder.close()


def _require_finite(name: str, loss: float, label: str, lr: float) -> None:
    if not math.isfinite(loss):
        raise Diverged(f"the {name} is {loss} in {label} at lr {lr:g}; lower optim.lr")


def prepare(model: nn.Module, channels_last: bool, compile_mode: str) -> nn.Module:
    """Lay out and compile `model` in place; its state_dict keys stay as they are."""
    if channels_last:
        model.to(memory_format=torch.channels_last)
    if compile_mode != "off":
        # Whole model, fixed shapes: one graph each for full and last batches, train and eval.
        model.compile(mode=compile_mode, dynamic=False)
    return model
