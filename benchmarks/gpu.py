"""All that only a GPU can show, in under 9 minutes, most important first.

python -m benchmarks.gpu --out results/measured

Needs one GPU, no network and no DALI. Each part writes its own JSON when it is done, and gpu.json
says what was run, so that a command that is cut off loses the part it was in and nothing else.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from tqdm import tqdm

from benchmarks import measure, options
from foundation.errors import run_command
from results.render import render
from results.tables.measured import measured_table

_ROOT = Path(__file__).parents[1]
_SECONDS = 530  # of the whole: under 9 minutes with what starting and ending take
_NETWORKS = ("resnet50", "vgg16_bn")


def main() -> None:
    """Run the command line."""
    parser = options.training(__doc__.split("\n")[0], batch=64, rounds=20)
    parser.set_defaults(arch=list(_NETWORKS))
    parser.add_argument("--seconds", type=options.count, default=_SECONDS, help="for all parts")
    parser.add_argument("--eager", action="store_true", help="leave out what is compiled")
    arguments = options.checked(parser.parse_args())
    end = time.monotonic() + arguments.seconds
    rows: list[dict[str, Any]] = []
    facts = {"benchmark": "What only a GPU can show", "setting": f"at most {arguments.seconds} s"}
    parts = _parts(arguments)
    if arguments.eager:
        parts = {name: line for name, line in parts.items() if "--compile" not in line}
    for name, line in tqdm(parts.items(), "parts", unit="part"):
        began = time.monotonic()
        outcome = _run(line, max(0.0, end - began), arguments.out / f"gpu_{len(rows):02}.log")
        rows.append(
            {
                "part": name,
                "outcome": outcome,
                "command": f"python -m {' '.join(line)}",
                "seconds": time.monotonic() - began,
            }
        )
        file = measure.write(arguments, "gpu", facts, rows)
    print(render(measured_table(file), "markdown"))


def _parts(arguments: argparse.Namespace) -> dict[str, list[str]]:
    """Return the module and arguments of every part by its name, most important first."""
    sizes = ["--image-size", f"{arguments.image_size}", "--device", arguments.device]
    sizes += ["--out", f"{arguments.out}", "--arch", *arguments.arch, "--rounds"]
    rounds, batch = f"{arguments.rounds}", ["--batch", f"{arguments.batch}"]
    few = f"{max(1, arguments.rounds // 4)}"  # of what takes a hundred times as long
    modes = ["zero", "partial", "reflect", "replicate", "zero_again"]
    modes += ["ref_padding_mode", "rep_padding_mode"]
    padding = ["benchmarks.padding", *sizes, few, *batch, "--padding", *modes]
    inference = ["benchmarks.inference", *sizes, rounds, "--padding", *modes]
    training = ["benchmarks.training", *sizes, few, *batch]
    fast = ["--precision", "bf16", "--channels-last"]
    report = f"--junit-xml={arguments.out / 'gpu_tests.xml'}"
    return {
        # Kernels against Eq. 4, kill and resume bit-equal, synchronizations, NCCL, loaders.
        "tests": ["pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", report, "tests"],
        "Table 1": inference,
        "training, bf16": [*training, "--precision", "bf16"],
        "padding's step": padding,
        "padding's step, bf16, channels_last": [*padding, *fast],
        "training, fp32": [*training, "--precision", "fp32"],
        "training, tf32": [*training, "--precision", "tf32"],
        "inference, compiled": [*inference, "--compile"],
        "padding's step, compiled": [*padding, "--compile"],
        "training, compiled": [*training, "--precision", "bf16", "--compile"],
        "padding's step, bf16": [*padding, "--precision", "bf16"],
        "inference, bf16, channels_last": [*inference, *fast],
        "padding's step, compiled, bf16, channels_last": [*padding, "--compile", *fast],
        "saving a checkpoint": ["benchmarks.checkpoints", *sizes, few, *batch],
    }


def _run(line: list[str], seconds: float, log: Path) -> str:
    """Run a module, with all that it starts, for at most so long; return how that ended."""
    if seconds < 1:
        return "no time left"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *line],
            cwd=_ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"cut off: see {log.name}"
        finally:
            with suppress(ProcessLookupError):  # what a part left behind would slow the next one
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    return "done" if code == 0 else f"exit code {code}: see {log.name}"


if __name__ == "__main__":
    run_command(main)
