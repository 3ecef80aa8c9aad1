"""The disk that a sweep's checkpoints take, by train.keep.

python -m benchmarks.disk configs/sweeps/tables_2_3.yaml
"""

import argparse
from collections import Counter
from pathlib import Path

from configs.schema import Config
from foundation.errors import run_command
from launch.costs import disk
from launch.expand import expand
from results.render import Table, render


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.disk", description=__doc__.split("\n")[0]
    )
    parser.add_argument("sweep", type=Path, help="for example configs/sweeps/tables_2_3.yaml")
    sweep = parser.parse_args().sweep
    configs = [run.config for run in expand(sweep)[0]]
    runs = Counter((config.model.arch, config.model.num_classes) for config in configs)
    sizes = {(one.model.arch, one.model.num_classes): _gigabytes(one) for one in configs}
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


def _gigabytes(config: Config) -> list[float]:
    """Return what a run's checkpoints take at work (at most), and finished by train.keep."""
    every, best = (
        disk(config.model_copy(update={"train": config.train.model_copy(update={"keep": keep})}))
        for keep in ("all", "best")
    )
    return [size / 1e9 for size in (every.working, every.kept, best.kept)]


if __name__ == "__main__":
    run_command(main)
