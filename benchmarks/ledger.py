"""Seconds until the ledger of a whole sweep is there: 100 runs of 100 epochs.

python -m benchmarks.ledger
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from foundation.errors import run_command
from foundation.files import write_json
from launch.expand import expand
from records import metrics_log
from records.score import SCORES
from records.summary import summarize

_SWEEP = Path(__file__).parents[1] / "configs/sweeps/tables_2_3.yaml"
_TIMES = 7


def main() -> None:
    """Run the command line."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.ledger", description=__doc__.split("\n")[0]
    ).parse_args()
    with TemporaryDirectory() as temporary:
        root = f"run.root={temporary}"
        _finish(root)
        for options in (["--status"], ["--json"]):
            command = [sys.executable, "-m", "launch.sweep", str(_SWEEP), root, *options]
            taken = [_seconds(command) for _ in range(_TIMES)]
            print(f"launch.sweep {options[0]}: {median(taken):.2f} s, the whole command ({_TIMES})")


def _finish(root: str) -> None:
    """Make every run of the paper's sweep a finished one."""
    for planned in expand(_SWEEP, [root])[0]:
        run = planned.directory
        run.open_for(planned.config)
        rows = [_row(epoch) for epoch in range(planned.config.train.epochs)]
        for row in rows:
            metrics_log.append(run.metrics_file, row)
        write_json(run.summary_file, summarize(rows, SCORES["classification"]))
        write_json(run.environment_file, {"world_size": 8, "host": "node1", "restarts": 0})
        run.set_status("finished")


def _row(epoch: int) -> dict[str, float | int]:
    correct = 30_000 + 80 * epoch
    return {
        "epoch": epoch,
        "lr": 0.1,
        "train_loss": 2.0,
        "train_top1": 60.0,
        "val_loss": 1.5,
        "val_top1": 100 * correct / 50_000,
        "val_top5": 90.0,
        "val_correct1": correct,
        "val_count": 50_000,
        "seconds": 450.0,
        "images_per_second": 2850.0,
        "data_wait": 0.01,
    }


def _seconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, cwd=_SWEEP.parents[2])
    return time.perf_counter() - start


if __name__ == "__main__":
    run_command(main)
