"""What saving a checkpoint costs the training that goes on beside it.

python -m benchmarks.checkpoints --arch vgg16_bn --batch 8
"""

import argparse
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any
from unittest.mock import patch

import torch

from benchmarks import measure, options
from benchmarks.trainer import settings, trainer
from foundation.errors import run_command
from results.render import render
from results.tables.measured import measured_table
from training import checkpoint
from training.precision import set_arithmetic
from training.session import Session


def main() -> None:
    """Run the command line."""
    parser = options.training(__doc__.split("\n")[0], batch=32, rounds=5)
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--steps", type=options.count, default=8, help="that a save is spread over")
    parser.add_argument("--disk", type=options.count, default=200, help="MB/s of the disk at most")
    arguments = options.checked(parser.parse_args())
    set_arithmetic(arguments.precision, deterministic=False)
    rows = [_measure(arguments, arch) for arch in arguments.arch]
    size = f"{arguments.batch} x {arguments.image_size} x {arguments.image_size} px"
    facts = {
        "benchmark": "Saving a checkpoint beside the training",
        "setting": f"{size}, {arguments.precision}, a disk of {arguments.disk} MB/s",
    }
    name = ["checkpoints", arguments.device, f"batch{arguments.batch}", *arguments.arch]
    file = measure.write(arguments, "_".join(name), facts, rows)
    print(render(measured_table(file), "markdown"))


def _measure(arguments: argparse.Namespace, arch: str) -> dict[str, Any]:
    images = arguments.batch * arguments.steps * 2 * (arguments.rounds + 2)
    of = (arch, arguments.batch, arguments.image_size, arguments.precision, images)
    config = settings(*of, "train.checkpoint_steps=0")
    device = torch.device(arguments.device)
    blocked: list[float] = []
    with _disk(arguments.disk) as written, trainer(config, device, arguments.steps) as turn:
        session = turn()

        def saving() -> None:
            blocked.append(measure.milliseconds(session.save, arguments.device))
            turn()

        ways = {"alone": turn, "saving": _settled(saving, session)}
        times = measure.interleaved(ways, arguments.rounds, arguments.device, arch)
    pairs = zip(times["saving"], times["alone"], strict=True)
    stall = median(saving - alone for saving, alone in pairs) / 1000
    step = median(times["alone"]) / arguments.steps / 1000
    interval = settings(*of).train.checkpoint_steps  # the recipe's own
    return {
        "network": arch,
        "MB": written[-1][0] / 1e6,
        "s to write": median(seconds for _, seconds in written),
        "s that training waits": median(blocked) / 1000,
        "s lost in all": stall,
        "s a step": step,
        f"lost of {interval} steps (%)": 100 * stall / (interval * step),
    }


def _settled(call: Callable[[], None], session: Session) -> Callable[[], None]:
    """Return a call that begins when what was saved before is on disk."""

    def settled() -> None:
        session.settle()
        call()

    return settled


@contextmanager
def _disk(megabytes: int) -> Iterator[list[tuple[int, float]]]:
    """Let each checkpoint take as long as on a disk of so many MB/s; give their bytes, seconds."""
    save, written = checkpoint.save_state, []

    def slowed(folder: Path, content: dict[str, Any]) -> None:
        start = time.perf_counter()
        save(folder, content)
        size = (folder / checkpoint.LAST).stat().st_size
        time.sleep(max(0.0, size / (1e6 * megabytes) - (time.perf_counter() - start)))
        written.append((size, time.perf_counter() - start))

    with patch.object(checkpoint, "save_state", slowed):
        yield written


if __name__ == "__main__":
    run_command(main)
