"""What whole commands take: to refuse a mistake, to the first step; and processes beside threads.

python -m benchmarks.launches --arch resnet50
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from tqdm import tqdm

from benchmarks import measure, options
from foundation.errors import UserError, run_command
from results.render import render
from results.tables.measured import measured_table

_ROOT = Path(__file__).parents[1]
_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2")


def main() -> None:
    """Run the command line."""
    parser = options.training(__doc__.split("\n")[0], batch=32, rounds=3)
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="fp32")
    parser.add_argument("--steps", type=options.count, default=6, help="of each command")
    arguments = options.checked(parser.parse_args())
    rows = [row for arch in arguments.arch for row in _measure(arguments, arch)]
    size = f"{arguments.batch} x {arguments.image_size} x {arguments.image_size} px"
    facts = {
        "benchmark": "Whole commands",
        "setting": f"{size}, {arguments.precision}, synthetic input, {arguments.steps} steps",
    }
    name = ["launches", arguments.device, f"batch{arguments.batch}", *arguments.arch]
    file = measure.write(arguments, "_".join(name), facts, rows)
    print(render(measured_table(file), "markdown"))


def _measure(arguments: argparse.Namespace, arch: str) -> list[dict[str, Any]]:
    ways: dict[str, Callable[[], float]] = {
        "s to import torch": lambda: _seconds("-c", "import torch"),
        "s to refuse a wrong config": lambda: _seconds(
            "train.py", f"configs/{arch}.yaml", "optim.lr=fast", code=2
        ),
        "s to a first epoch of one step": lambda: _train(arguments, arch, 1)[0],
        "images/s, 1 process x 2 threads": lambda: _train(arguments, arch, arguments.steps)[1],
        "images/s, 2 processes x 1 thread": lambda: _train(
            arguments, arch, arguments.steps, torchrun=True
        )[1],
    }
    rounds = [{name: way() for name, way in ways.items()}
              for _ in tqdm(range(arguments.rounds), arch, unit="round", leave=False)]  # fmt: skip
    values = {name: [each[name] for each in rounds] for name in ways}
    one, two = (values[name] for name in ways if name.startswith("images/s"))
    share = {"2 x 1 to 1 x 2": measure.ratio(two, one)}
    return [{"network": arch, **{name: median(each) for name, each in values.items()}, **share}]


def _train(
    arguments: argparse.Namespace, arch: str, steps: int, torchrun: bool = False
) -> tuple[float, float]:
    """Return the seconds until an epoch of so many steps was recorded, and its images/s."""
    with TemporaryDirectory() as folder:
        line = [
            *("train.py", f"configs/{arch}.yaml", "data.backend=synthetic", "train.epochs=1"),
            f"data.synthetic_size=[{arguments.batch * steps},1]",
            f"data.global_batch_size={arguments.batch}",
            f"data.image_size={arguments.image_size}",
            f"data.eval_resize={arguments.image_size}",
            *(f"train.precision={arguments.precision}", "optim.lr=1e-6"),
            *(f"run.root={folder}", "run.name=run"),
        ]
        environment = {"OMP_NUM_THREADS": "1" if torchrun else "2"}
        seconds = _seconds(*(_TORCHRUN if torchrun else ()), *line, **environment)
        row = json.loads((Path(folder) / "run" / "metrics.jsonl").read_text())
        return seconds, row["images_per_second"]


def _seconds(*arguments: str, code: int = 0, **environment: str) -> float:
    """Return the seconds that Python takes for a command line of the project."""
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=_ROOT,
        env=os.environ | environment,
        capture_output=True,
        text=True,
    )
    if done.returncode != code:
        raise UserError(f"{' '.join(arguments)}: {done.stderr.strip()}")
    return time.perf_counter() - start


if __name__ == "__main__":
    run_command(main)
