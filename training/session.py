"""One command's part of a run: what happens between two steps, and between two epochs."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from torch import Tensor

from configs.schema import Config
from data.interface import Batch, Loader
from records.run_dir import RunDir
from records.score import SCORES, Row
from records.summary import best
from tasks.interface import Task
from training import checkpoint, divergence
from training.background import Background
from training.border_response import BorderResponse, border_response
from training.distributed import (
    Process,
    StopRequested,
    agree,
    gather,
    gather_on_first,
    on_first,
)
from training.flops import count_flops
from training.peak import measured_peak
from training.precision import autocast
from training.recorder import Recorder
from training.schedule import length, lr_of
from training.state import TrainState, host_copy
from training.stop import Requests
from training.sums import StepResult, Sums, added
from training.watch import Watch

_LOG_STEPS = 50  # at most, between two looks at what the device has computed
_SHOWN = 32  # images of which the border's response is measured
_LOOKS = 20  # at least, in an epoch that has so many steps


def side_of(config: Config) -> int:
    """Return the side of the square that the network trains on, in pixels."""
    is_scene = config.task == "segmentation"
    return config.data.crop_size if is_scene else config.data.image_size


class Session:
    """Looks, shows, saves and stops; all processes call its methods at the same step.

    Attributes:
        length: of the run.
    """

    def __init__(
        self,
        config: Config,
        task: Task,
        state: TrainState,
        train_loader: Loader,
        process: Process,
        run: RunDir,
    ):
        self._task, self._state, self._process, self._run = task, state, process, run
        self._batch, self._loader = config.data.global_batch_size, train_loader
        train_loader.set_epoch(state.epoch)
        self.length = length(config, len(train_loader))
        self._lr = partial(lr_of, config, length=self.length)
        self._save_every = config.train.checkpoint_steps
        self._interval = max(1, min(_LOG_STEPS, self.length.steps // _LOOKS))
        self._results: list[StepResult] = []
        self._total = Sums()
        self._score = SCORES[config.task]
        quiet = not process.is_first
        self._recorder = Recorder(run, self.length, self._score, quiet)
        self._precision, self._side = config.train.precision, side_of(config)
        self._shown: Tensor | None = None
        self._requests = Requests(process, run.stop_file)
        self._watch = Watch(process, config.train.timeout, self._recorder.beat)
        self._background = Background()
        self._stack = ExitStack()

    def __enter__(self) -> "Session":
        self._stack.enter_context(self._requests)
        self._stack.callback(self._recorder.close)
        self._recorder.open(self._state.epoch, self._done())
        image = (3, self._side, self._side)
        self._recorder.flops = count_flops(self._state.model, image).step
        # One process's speed while the others wait, times their number.
        process = self._process
        peak = on_first(process, lambda: measured_peak(self._precision, process.device))
        self._recorder.peak = peak * process.world
        self._stack.enter_context(self._background)
        self._stack.enter_context(self._watch)
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def batches(self) -> Iterator[Batch]:
        """Yield what is left of the epoch's batches."""
        state = self._state
        self._loader.set_epoch(state.epoch, state.step)
        self._at("loading")
        # What a cut epoch leaves of its batches is never asked for.
        steps = self.length.steps_in(state.epoch)
        batches = islice(self._loader, steps - state.step)
        for batch in self._recorder.watch(batches, self._label("train"), state.step, steps):
            self._at("computing")
            yield batch
            self._at("loading")

    def stepped(self, lr: float, batch: Batch, computed: tuple[Tensor, Tensor, Tensor]) -> None:
        """Count a step that has been taken; look, save or stop where it is time.

        Args:
            lr: its learning rate.
            batch: of this process.
            computed: what train_step returned.

        Raises:
            Diverged: a loss of the last steps is not finite; that state is not saved.
            StopRequested: any process was asked to stop.
        """
        state = self._state
        state.step += 1
        self._results.append(StepResult(state.step, lr, batch.index, *computed))
        if state.step % self._interval == 0:
            self._look()
        if self._requests.agreed():
            raise StopRequested(next(filter(None, gather(self._requests.own())), ""))
        # An epoch is saved as a whole, after its evaluation.
        is_last = state.step == self.length.steps_in(state.epoch)
        if self._save_every and state.step % self._save_every == 0 and not is_last:
            self.save()

    def trained(self) -> Row:
        """Return what the epoch says of its training; its rate is that of its last step."""
        self._look()
        state = self._state
        row: Row = {"epoch": state.epoch}
        if self._score.unit == "iterations":
            row["iteration"] = self._done()
        row["lr"] = self._lr(state.epoch, state.step - 1)
        return row | self._task.train_row(self._total.loss, self._total.counts)

    def evaluating(self, loader: Loader) -> Iterator[Batch]:
        """Yield the batches of an evaluation."""
        self._at("evaluating")
        for batch in self._recorder.watch(loader, self._label("val"), 0, len(loader)):
            if self._shown is None:  # the same in every epoch
                self._shown = batch.images[:_SHOWN].clone()
            yield batch
        self._at("waiting for the others")

    def asked(self) -> str:
        """Return why the evaluation should end, '' if it should not."""
        self._at("evaluating")
        return self._requests.anywhere()

    def finish_epoch(self, row: Row) -> None:
        """Record an epoch and save it.

        Raises:
            Diverged: its validation loss is not finite; it is not recorded.
        """
        state = self._state
        divergence.require_finite_evaluation(
            row["val_loss"], row["lr"], state.epoch, self.length.epochs, state.step
        )
        # The row before the checkpoint: a run killed in between drops the row, repeats the epoch.
        row = self._recorder.epoch(row, state.rows, self._images(), self._total)
        self._recorder.responses(self._responses(), state.epoch)
        state.rows.append(row)
        state.epoch, state.step, state.sums, self._total = state.epoch + 1, 0, Sums(), Sums()
        is_best = best(state.rows, self._score) is row
        self._save(partial(checkpoint.save_epoch, is_best=is_best))

    def _responses(self) -> dict[str, BorderResponse]:
        """Return how the network responds at the border of one batch (Fig. 5); first process."""
        if not self._process.is_first or self._shown is None:
            return {}
        with autocast(self._precision, self._shown.device):
            return border_response(self._state.model, self._shown)

    def save(self) -> None:
        """Save where the run stands, between two steps."""
        self._look()
        self._save(checkpoint.save_state)

    def settle(self) -> None:
        """Wait until what is being saved is on disk."""
        on_first(self._process, self._background.wait)

    def _save(self, write: Callable[[Path, dict[str, Any]], None]) -> None:
        """Copy the state, and write the copy beside the training."""
        own = gather_on_first(self._process, self._state.own())

        def begin() -> None:
            content = host_copy(self._state.state_dict() | {"processes": own})
            self._background.begin(lambda: write(self._run.checkpoints, content))

        on_first(self._process, begin)

    def _look(self) -> None:
        """Add up what the device has computed since the last look, over all processes; show it."""
        state, results = self._state, self._results
        if not results and self._total.seconds:
            return
        self._results = []
        bad = state.sums.add(results)
        seconds, waited = self._recorder.lap()
        state.sums.seconds += seconds
        state.sums.waited += waited
        agree(self._background.check)
        everyone = gather((bad and self._found(*bad), state.sums))
        found = [facts for facts, _ in everyone if facts]
        divergence.require_finite_steps(found, self.length.epochs)
        self._total = added([sums for _, sums in everyone])
        if results:
            row = self._task.train_row(self._total.loss, self._total.counts)
            lr, images = results[-1].lr, self._images()
            self._recorder.step(state.epoch, state.step, images, lr, row, self._total)

    def _found(self, result: StepResult, loss: float) -> dict[str, Any]:
        scale = self._state.scaler.get_scale()
        return divergence.found(result, loss, self._state.epoch, scale, self._loader.name)

    def _done(self) -> int:
        """Return the steps that the run has behind it."""
        return self._state.epoch * self.length.steps + self._state.step

    def _images(self) -> int:
        """Return the images of the epoch's steps so far, over all processes."""
        return min(self._state.step * self._batch, self._loader.images)

    def _label(self, what: str) -> str:
        return f"epoch {self._state.epoch + 1}/{self.length.epochs} {what}"

    def _at(self, doing: str) -> None:
        self._watch.at(self._state.epoch, self._state.step, doing)
