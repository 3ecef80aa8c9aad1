"""Training step by padding: time, and peak memory over what the model itself takes.

python -m benchmarks.padding --arch resnet50 vgg16_bn
"""

import argparse
from collections.abc import Callable
from itertools import accumulate
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from benchmarks import measure, options
from foundation.errors import run_command
from results.render import render
from results.tables.speed import speed_table


def main() -> None:
    """Run the command line."""
    arguments = options.parse(__doc__.split("\n")[0], batch=32, rounds=10)
    rows = [row for arch in arguments.arch for row in _measure(arguments, arch)]
    print(render(speed_table(measure.save(arguments, "training step", rows)), "markdown"))


def _measure(arguments: argparse.Namespace, arch: str) -> list[dict[str, Any]]:
    models = measure.networks(arguments, arch, train=True)
    steps = {name: _step(arguments, arch, model) for name, model in models.items()}
    times = measure.compare(steps, arguments.rounds, arguments.device, arch)
    return [
        {"arch": arch, "padding": name, **times[name], "peak_mib": _peak(step, arguments.device)}
        for name, step in steps.items()
    ]


def _step(arguments: argparse.Namespace, arch: str, model: nn.Module) -> Callable[[], None]:
    """Return a whole step of the recipe: forward, loss, backward, SGD (at lr 0)."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9, weight_decay=1e-4)
    images = measure.images(arguments)
    labels = measure.labels(arch, images)

    def step() -> None:
        with measure.autocast(arguments):
            loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _peak(step: Callable[[], None], device: str) -> float:
    """Return the most MiB that a step holds in tensors over what was held before it.

    On a CPU by the profiler's record of every allocation, which unlike the memory of the process is
    the same every time; what oneDNN allocates inside an operation is not in it.
    """
    if device == "cuda":
        held = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return (torch.cuda.max_memory_allocated() - held) / 2**20
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        step()
    events = recorded.profiler.kineto_results.events()
    changes = [(e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]"]
    return max(accumulate(size for _, size in sorted(changes))) / 2**20


if __name__ == "__main__":
    run_command(main)
