"""The epoch loop: train, evaluate, record, checkpoint."""

import math
import time

import torch
from torch import nn

from configs.schema import Config
from data.interface import Loader
from records.metrics_log import Row
from records.run_dir import RunDir
from training import checkpoint
from training.distributed import Process, SharedError, data_parallel, share_buffers
from training.recorder import Recorder
from training.schedule import lr_at
from training.seeding import seed_epoch
from training.state import TrainState
from training.steps import evaluate, train_epoch


class Diverged(SharedError):
    """A loss is no longer a number."""


def fit(
    config: Config,
    state: TrainState,
    train_loader: Loader,
    val_loader: Loader,
    process: Process,
    run: RunDir,
) -> list[Row]:
    """Train from `state` to the last epoch and return the rows of all epochs (first process).

    Raises:
        Diverged: a loss of an epoch is not finite; that epoch is not recorded.
    """
    recorder = Recorder(run, config.train.epochs, quiet=not process.is_first)
    network = prepare(state.model, config.train.channels_last, config.train.compile)
    network = data_parallel(network, process)

    for epoch in range(state.epoch, config.train.epochs):
        started = time.perf_counter()
        label = f"epoch {epoch + 1}/{config.train.epochs}"

        # Everything that varies with the epoch is a function of its number.
        lr = lr_at(epoch, config.optim.lr, config.optim.milestones, config.optim.gamma)
        for group in state.optimizer.param_groups:
            group["lr"] = lr
        train_loader.set_epoch(epoch)
        seed_epoch(config.seed, epoch, process.rank)

        batches = recorder.watch(train_loader, f"{label} train")
        loss, top1 = train_epoch(network, batches, state, config.train.precision, process.world)
        trained, waited = time.perf_counter() - started, recorder.waited
        _refuse_divergence("loss", loss, label, lr)

        # Each process has BN statistics of its own images; all evaluate with the first one's.
        share_buffers(state.model)
        batches = recorder.watch(val_loader, f"{label} val")
        val = evaluate(state.model, batches, config.train.precision, val_loader.images)
        _refuse_divergence("validation loss", val.loss, label, lr)

        # The row before the checkpoint: a run killed in between drops the row, repeats the epoch.
        state.epoch = epoch + 1
        is_best = recorder.record(
            {
                "epoch": epoch,
                "lr": lr,
                "train_loss": loss,
                "train_top1": top1,
                "val_loss": val.loss,
                "val_top1": 100 * val.correct1 / val.count,
                "val_top5": 100 * val.correct5 / val.count,
                "val_correct1": val.correct1,
                "val_count": val.count,
                "seconds": time.perf_counter() - started,
                "images_per_second": train_loader.images / trained,
                "data_wait": waited / trained,
            }
        )
        if process.is_first:
            checkpoint.save_epoch(run.checkpoints, state.state_dict(), is_best)
    return recorder.close()


def _refuse_divergence(name: str, loss: float, label: str, lr: float) -> None:
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
