"""What a run shows while it goes on: a bar on a terminal, a line a minute elsewhere."""

import resource
import sys
import time
from collections.abc import Iterable, Iterator

import torch
from tqdm import tqdm

from data.interface import Batch
from records import summary
from records.score import Row, Score

_LINE_SECONDS = 60  # between two plain lines of a long epoch


class Console:
    """Shows the progress of one process; `quiet=True` shows nothing.

    Attributes:
        status: how the running epoch stands, shown beside its bar.
    """

    def __init__(self, epochs: int, score: Score, quiet: bool):
        self.epochs, self.score, self.quiet = epochs, score, quiet
        self.status = ""
        self._bar: tqdm | None = None
        self._said = time.monotonic()

    def say(self, text: str) -> None:
        """Print a line that does not tear a progress bar."""
        if not self.quiet:
            tqdm.write(text)
            sys.stdout.flush()  # a log file must not lag behind by hours

    def bar(self, batches: Iterable[Batch], label: str, done: int, steps: int) -> Iterator[Batch]:
        """Yield the batches of an epoch of `steps`, of which `done` came before; show how many."""
        if self.quiet or not sys.stderr.isatty():
            yield from batches
            return
        with tqdm(
            batches, label, steps, initial=done, unit="step", leave=False, dynamic_ncols=True
        ) as bar:
            self._bar = bar
            yield from bar
        self._bar = None

    def show(self, label: str, step: int, steps: int, status: str) -> None:
        """Show how an epoch stands."""
        if self._bar is not None:
            self._bar.set_postfix_str(status, refresh=False)
        elif time.monotonic() - self._said > _LINE_SECONDS:
            self._said = time.monotonic()
            self.say(f"{label}: step {step}/{steps}  {status}")

    def epoch(self, row: Row, rows: list[Row], eta: float) -> None:
        """Show a finished epoch; `eta`: s to the end of the run."""
        best = summary.best(rows, self.score)
        train, val, title = row.get(self.score.train_key), self.score.key, self.score.title
        overflows = row.get("overflows", 0)
        self.say(
            f"epoch {row['epoch'] + 1:>3}/{self.epochs}  lr {row['lr']:.2g}"
            f"  train loss {row['train_loss']:.3f}"
            f"{'' if train is None else f' {title} {train:.2f}'}"
            f"  val loss {row['val_loss']:.3f} {title} {row[val]:.3f}"
            f" (best {best[val]:.3f})  {told_speed(row)}"
            f"  waiting for data {row['data_wait']:.0%}"
            f"{f'  {overflows} steps overflowed fp16' if overflows else ''}"
            f"  ETA {tqdm.format_interval(eta)}"
        )


def memory() -> str:
    """Return the most memory that this process has held so far, of its GPU or of the machine."""
    if torch.cuda.is_available():
        return f"{torch.cuda.max_memory_allocated() / 2**30:.1f} GiB"
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB"


def told_speed(speed: Row) -> str:
    """Return images/s, and FLOP/s against the peak where they are known."""
    text = f"{speed['images_per_second']:.0f} images/s"
    if "teraflops" in speed:
        text += f" ({speed['teraflops']:.2g} TFLOP/s, {speed['peak_fraction']:.0%} of the peak)"
    return text
