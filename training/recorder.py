"""What a run keeps and shows while it goes on: metrics.jsonl, TensorBoard, the console."""

import json
import os
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from typing import Any

from tqdm import tqdm

from data.interface import Batch
from foundation.files import writing
from records import metrics_log
from records.claim import EVERY
from records.run_dir import RunDir
from records.score import Row, Score
from training.border_response import BorderResponse
from training.console import Console, memory, told_speed
from training.schedule import Length
from training.sums import Sums


class Recorder:
    """Records for the first process; `quiet=True` on the others measures and shows nothing.

    Attributes:
        flops: floating-point operations of a training step for one image (training/flops.py).
        peak: FLOP/s that all devices together were seen to reach (training/peak.py).
    """

    def __init__(self, run: RunDir, length: Length, score: Score, quiet: bool):
        """Prepare to record a run of this length that is judged by `score`."""
        self.length, self.score, self.quiet = length, score, quiet
        self.console = Console(length.epochs, score, quiet)
        self.flops = self.peak = 0.0
        self._run = run
        self._began = self._waited = self._beaten = 0.0
        self._eval_seconds = 0.0
        self._sign: Row = {"host": socket.gethostname(), "pid": os.getpid(), "since": time.time()}
        self._boards: list[Any] = []

    def open(self, epoch: int, step: int) -> None:
        """Open TensorBoard's files, where an interrupted epoch may have left more than there is."""
        if self.quiet:
            return
        from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

        # Epochs and steps count differently, so each has a folder of its own.
        places = {self._run.tensorboard: epoch, self._run.tensorboard / "steps": step}
        with writing(self._run.tensorboard):
            self._boards = [SummaryWriter(one, purge_step=first) for one, first in places.items()]

    def close(self) -> None:
        """Close the files; this command gives no sign of life any more."""
        for board in self._boards:
            board.close()
        if not self.quiet:
            self._run.progress_file.unlink(missing_ok=True)

    def watch(self, batches: Iterable[Batch], label: str, done: int, steps: int) -> Iterator[Batch]:
        """Yield what is left of the batches of `steps`; show progress, and time waiting."""
        self.lap()
        return self.console.bar(self._timed(batches), label, done, steps)

    def lap(self) -> tuple[float, float]:
        """Return the seconds since the last call, and how many of them were spent on waiting."""
        now = time.perf_counter()
        seconds, waited = now - self._began, self._waited
        self._began, self._waited = now, 0.0
        return seconds, waited

    def step(self, epoch: int, step: int, images: int, lr: float, row: Row, sums: Sums) -> None:
        """Show how an epoch stands after `step` steps and `images` images, by row and sums."""
        speed = self._speed(images, sums)
        eta = self._eta(epoch, step, sums.seconds / step)
        values, steps = row | {"lr": lr} | speed, self.length.steps_in(epoch)
        self._sign |= {"epoch": epoch, "step": step, "steps": steps, "eta": eta} | speed
        self._write(1, values, epoch * self.length.steps + step)
        score = row.get(self.score.train_key)
        overflows = f"  {sums.overflows} overflowed" if sums.overflows else ""
        self.console.show(
            f"epoch {epoch + 1}/{self.length.epochs} train",
            step,
            steps,
            f"loss {row['train_loss']:.3f}"
            f"{'' if score is None else f' {self.score.title} {score:.2f}'}  lr {lr:.2g}"
            f"  {told_speed(speed)}  waiting {speed['data_wait']:.0%}"
            f"{overflows}  {memory()}  ETA {tqdm.format_interval(eta)}",
        )

    def epoch(self, row: Row, rows: list[Row], images: int, sums: Sums) -> Row:
        """Keep and show a finished epoch after `rows`; return its row with its times."""
        self._eval_seconds, _ = self.lap()
        row = row | {"seconds": sums.seconds + self._eval_seconds} | self._speed(images, sums)
        if self.quiet:
            return row
        metrics_log.append(self._run.metrics_file, row)
        self._write(
            0, {k: v for k, v in row.items() if k not in ("epoch", "val_count")}, row["epoch"]
        )
        eta = self._eta(row["epoch"] + 1, 0, sums.seconds / self.length.steps_in(row["epoch"]))
        self.console.epoch(row, [*rows, row], eta)
        return row

    def responses(self, responses: dict[str, BorderResponse], epoch: int) -> None:
        """Add to TensorBoard how a network responds at the border and inside, stage by stage."""
        values = {
            f"fig5/{stage}/{what}": value
            for stage, response in responses.items()
            for what, value in asdict(response).items()
        }
        self._write(0, values, epoch)

    def beat(self) -> None:
        """Leave a sign of life every few seconds; called from a thread of its own."""
        if self.quiet or time.monotonic() - self._beaten < EVERY:
            return
        self._beaten = time.monotonic()
        file = self._run.progress_file
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        with suppress(OSError):  # a full disk is told where it matters
            temporary.write_text(json.dumps(self._sign))
            os.replace(temporary, file)

    def _timed(self, batches: Iterable[Batch]) -> Iterator[Batch]:
        asked = time.perf_counter()
        for batch in batches:
            self._waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()

    def _speed(self, images: int, sums: Sums) -> Row:
        seconds = max(sums.seconds, 1e-9)
        speed = {"images_per_second": images / seconds, "data_wait": sums.waited / seconds}
        if self.peak:
            flops = self.flops * images / seconds
            speed |= {"teraflops": flops / 1e12, "peak_fraction": flops / self.peak}
        return speed

    def _eta(self, epoch: int, step: int, seconds: float) -> float:
        """Return the seconds to the end of the run, at so many `seconds` a step."""
        steps = self.length.iterations - epoch * self.length.steps - step
        return max(0, steps) * seconds + (self.length.epochs - epoch) * self._eval_seconds

    def _write(self, board: int, values: dict[str, Any], place: int) -> None:
        if self.quiet:
            return
        with writing(self._run.tensorboard):
            for name, value in values.items():
                if isinstance(value, int | float):
                    self._boards[board].add_scalar(name.replace("_", "/", 1), value, place)
            self._boards[board].flush()
