"""What a run shows and keeps while it goes on: console, metrics.jsonl, TensorBoard."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm

from data.interface import Batch, Loader
from foundation.files import writing
from records import metrics_log, summary
from records.metrics_log import Row
from records.run_dir import RunDir
from records.score import Score

_LINE_SECONDS = 60  # between two plain lines of a long epoch, where there is no terminal


class Recorder:
    """Records for the first process; `quiet=True` on the others measures and shows nothing."""

    def __init__(self, run: RunDir, epochs: int, score: Score, quiet: bool):
        self.epochs, self.score, self.quiet = epochs, score, quiet
        self._file, self._folder = run.metrics_file, run.tensorboard
        self._rows: list[Row] = [] if quiet else metrics_log.read(self._file)
        self._began = self._waited = 0.0
        self._speed: Row = {}
        self._tensorboard: Any = None
        if not quiet:
            from torch.utils.tensorboard import SummaryWriter  # takes seconds to import

            # Drops what an interrupted epoch left behind.
            with writing(self._folder):
                self._tensorboard = SummaryWriter(self._folder, purge_step=len(self._rows))

    def say(self, text: str) -> None:
        """Print a line that does not tear a progress bar."""
        if not self.quiet:
            tqdm.write(text)
            sys.stdout.flush()  # a log file must not lag behind by hours

    def begin(self) -> None:
        """Start the clock of an epoch."""
        self._began = time.perf_counter()

    def watch(self, loader: Loader, label: str) -> Iterator[Batch]:
        """Yield the loader's batches; show progress and measure the time spent waiting."""
        self._waited = 0.0
        yield from self._progress(self._timed(loader), len(loader), label)

    def trained(self, images: int) -> None:
        """Take the time of the epoch's training, over `images`."""
        seconds = time.perf_counter() - self._began
        self._speed = {
            "images_per_second": images / seconds,
            "data_wait": self._waited / seconds,
        }

    def record(self, row: Row) -> bool:
        """Keep and show a finished epoch and its times; tell whether it is the best so far."""
        row = row | {"seconds": time.perf_counter() - self._began} | self._speed
        self._rows.append(row)
        if self.quiet:
            return False
        metrics_log.append(self._file, row)
        with writing(self._folder):
            for name, value in row.items():
                if name not in ("epoch", "val_count"):
                    self._tensorboard.add_scalar(name.replace("_", "/", 1), value, row["epoch"])
            self._tensorboard.flush()
        best = summary.best(self._rows, self.score)
        self.say(self._line(row, best))
        return best is row

    def close(self) -> list[Row]:
        """Close the files and return all rows."""
        if self._tensorboard is not None:
            self._tensorboard.close()
        return self._rows

    def _timed(self, loader: Loader) -> Iterator[Batch]:
        asked = time.perf_counter()
        for batch in loader:
            self._waited += time.perf_counter() - asked
            yield batch
            asked = time.perf_counter()

    def _progress(self, batches: Iterable[Batch], steps: int, label: str) -> Iterable[Batch]:
        if self.quiet or not sys.stderr.isatty():
            return self._plain_lines(batches, steps, label)
        return tqdm(batches, desc=label, total=steps, unit="step", leave=False, dynamic_ncols=True)

    def _plain_lines(self, batches: Iterable[Batch], steps: int, label: str) -> Iterator[Batch]:
        started = said = time.monotonic()
        for step, batch in enumerate(batches, start=1):
            yield batch
            now = time.monotonic()
            if now - said > _LINE_SECONDS:
                said = now
                self.say(f"{label}: step {step}/{steps}, {step / (now - started):.2f} steps/s")

    def _line(self, row: Row, best: Row) -> str:
        left = self.epochs - row["epoch"] - 1
        recent = self._rows[-5:]
        seconds = left * sum(r["seconds"] for r in recent) / len(recent)
        train, val, title = row.get(self.score.train_key), self.score.key, self.score.title
        return (
            f"epoch {row['epoch'] + 1:>3}/{self.epochs}  lr {row['lr']:.2g}"
            f"  train loss {row['train_loss']:.3f}"
            f"{'' if train is None else f' {title} {train:.2f}'}"
            f"  val loss {row['val_loss']:.3f} {title} {row[val]:.3f}"
            f" (best {best[val]:.3f})  {row['images_per_second']:.0f} images/s"
            f"  waiting for data {row['data_wait']:.0%}  ETA {tqdm.format_interval(seconds)}"
        )
