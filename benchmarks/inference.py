"""Table 1: inference time by padding, first and later iterations.

python -m benchmarks.inference --arch resnet50 vgg16_bn
"""

import argparse
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import nn

from benchmarks import measure, options
from foundation.errors import run_command
from padding.fast import geometry
from results.render import render
from results.tables.speed import speed_table

FIRSTS = 11  # first iterations at most, of which the median is given


def main() -> None:
    """Run the command line."""
    arguments = options.parse(__doc__.split("\n")[0], batch=1, rounds=100)
    rows = [row for arch in arguments.arch for row in _measure(arguments, arch)]
    print(render(speed_table(measure.save(arguments, "inference", rows)), "markdown"))


@torch.inference_mode()
def _measure(arguments: argparse.Namespace, arch: str) -> list[dict[str, Any]]:
    models = measure.networks(arguments, arch, train=False)
    images = measure.images(arguments)

    def run(model: nn.Module) -> None:
        with measure.autocast(arguments):
            model(images)

    calls = {name: lambda model=model: run(model) for name, model in models.items()}
    later = measure.compare(calls, arguments.rounds, arguments.device, arch)
    return [
        {
            "arch": arch,
            "padding": name,
            **later[name],
            **({} if arguments.compile else _first(arguments, models["zero"], name, run)),
        }
        for name in models
    ]


def _first(
    arguments: argparse.Namespace, base: nn.Module, padding: str, run: Callable[[nn.Module], None]
) -> dict[str, float]:
    """Measure the first iteration, in a process that has run the zero-padded network."""
    times, zeros = [], []
    run(base)
    for _ in range(min(FIRSTS, arguments.rounds)):
        fresh = measure.twin(base, padding)
        for function in vars(geometry).values():  # what is remembered of the geometry
            getattr(function, "cache_clear", lambda: None)()
        zeros.append(measure.milliseconds(lambda: run(base), arguments.device))
        times.append(measure.milliseconds(lambda model=fresh: run(model), arguments.device))
    ratios = [time / zero for time, zero in zip(times, zeros, strict=True)]
    return {"first_ms": median(times), "first_relative": median(ratios)}


if __name__ == "__main__":
    run_command(main)
