"""The disk that a sweep's checkpoints take, by train.keep.

python -m benchmarks.disk configs/sweeps/tables_2_3.yaml
"""

import argparse
from collections import Counter
from pathlib import Path

import torch

from foundation.errors import run_command
from launch.expand import expand
from models import build_model
from results.render import Table, render
from training.checkpoint import KEEP_EPOCHS


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.disk", description=__doc__.split("\n")[0]
    )
    parser.add_argument("sweep", type=Path, help="for example configs/sweeps/tables_2_3.yaml")
    sweep = parser.parse_args().sweep
    models = (run.config.model for run in expand(sweep)[0])
    runs = Counter((model.arch, model.num_classes) for model in models)
    sizes = {network: _gigabytes(*network) for network in runs}
    sums = [sum(runs[n] * sizes[n][column] for n in runs) for column in range(3)]
    table = Table(
        name="disk",
        title=f"Checkpoints of {sweep}, in GB (1e9 bytes)",
        names=1,
        columns=("network", "runs", "a run at work", "finished, keep: all", "keep: best"),
        rows=(
            *(_row(arch, runs[arch, n], sizes[arch, n], 2) for arch, n in runs),
            _row("all runs together", sum(runs.values()), sums, 0),
        ),
        notes=(),
    )
    print(render(table, "markdown"))


def _row(name: str, runs: int, sizes: list[float], digits: int) -> tuple[str, ...]:
    return (name, str(runs), *(f"{size:.{digits}f}" for size in sizes))


def _gigabytes(arch: str, num_classes: int) -> list[float]:
    """Return what a run's checkpoints take at work (at most), and finished by train.keep."""
    with torch.device("meta"):
        model = build_model(arch, "zero", num_classes)
    weights = sum(t.numel() * t.element_size() for t in model.state_dict().values()) / 1e9
    momentum = sum(p.numel() * p.element_size() for p in model.parameters()) / 1e9
    state, epochs = weights + momentum, KEEP_EPOCHS * weights
    best = weights
    # last.pt, previous.pt and the one that is being written; an epoch too many, too.
    return [3 * state + epochs + weights + best, state + epochs + best, weights + epochs + best]


if __name__ == "__main__":
    run_command(main)
