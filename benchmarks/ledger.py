"""Seconds until a whole sweep's ledger, tables and report are there.

100 runs of 100 epochs, each with predictions of 50,000 images under four paddings.

python -m benchmarks.ledger
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np

from foundation.errors import run_command
from foundation.files import write_json
from launch.expand import expand
from records import metrics_log
from records.run_dir import RunDir
from records.score import SCORES
from records.summary import summarize

_SWEEP = Path(__file__).parents[1] / "configs/sweeps/tables_2_3.yaml"
_TIMES = 5
_IMAGES = 50_000
_PADDINGS = ("zero", "partial", "reflect", "replicate")
_DATA = "0.0"  # the data set's fingerprint


def main() -> None:
    """Run the command line."""
    argparse.ArgumentParser(
        prog="python -m benchmarks.ledger", description=__doc__.split("\n")[0]
    ).parse_args()
    with TemporaryDirectory() as temporary:
        root = f"run.root={temporary}"
        _finish(root)
        words = ["--runs", temporary]
        for module, options in (
            ("launch.sweep", [str(_SWEEP), root, "--status"]),
            ("launch.sweep", [str(_SWEEP), root, "--json"]),
            ("results", ["tables", *words]),
            ("results", ["claims", *words]),
            ("results", ["report", *words, "--out", f"{temporary}/report.html"]),
        ):
            taken = [_seconds([sys.executable, "-m", module, *options]) for _ in range(_TIMES)]
            shown = next(word for word in options if not word.startswith((str(_SWEEP), "run.root")))
            print(f"{module} {shown}: {median(taken):.2f} s, the whole command ({_TIMES})")


def _finish(root: str) -> None:
    """Make every run of the paper's sweep a finished one."""
    for planned in expand(_SWEEP, [root])[0]:
        run = planned.directory
        run.open_for(planned.config)
        rows = [_row(epoch) for epoch in range(planned.config.train.epochs)]
        for row in rows:
            metrics_log.append(run.metrics_file, row)
        write_json(run.summary_file, summarize(rows, SCORES["classification"]))
        facts = {"world_size": 8, "host": "node1", "restarts": 0, "data_fingerprint": _DATA}
        write_json(run.environment_file, facts)
        run.set_status("finished")
        best = rows[-1]["val_correct1"]
        for padding in _PADDINGS:
            _evaluate(run, padding, best, planned.config.seed)


def _evaluate(run: RunDir, padding: str, correct: int, seed: int) -> None:
    """Write what evaluate.py would of a run's best epoch, its last."""
    run.evaluations.mkdir(exist_ok=True)
    facts = {"padding": padding, "checkpoint": "best", "epoch": 99, "precision": "fp32"}
    counts = {"correct1": correct, "count": _IMAGES, "top1": 100 * correct / _IMAGES}
    write_json(run.evaluations / f"{padding}.json", facts | counts | {"data_fingerprint": _DATA})
    draws = np.random.default_rng(seed)
    label = np.arange(_IMAGES) // 50
    prediction = label.copy()
    wrong = draws.permutation(_IMAGES)[correct:]
    prediction[wrong] = (label[wrong] + draws.integers(1, 1000, len(wrong))) % 1000
    classes = np.array([f"n{number:08}" for number in range(1000)])
    arrays = {"index": np.arange(_IMAGES), "label": label, "prediction": prediction}
    np.savez_compressed(run.evaluations / f"{padding}.npz", **arrays, classes=classes)


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
