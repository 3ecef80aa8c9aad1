"""Training step by padding: time, and peak memory over what the model itself takes.

python -m benchmarks.padding --arch resnet50 vgg16_bn
"""

import argparse
import multiprocessing
import re
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks import measure
from configs.errors import run_command
from results.render import render
from results.speed import speed_table


def main() -> None:
    """Run the command line."""
    arguments = measure.parser(__doc__.split("\n")[0], batch=32, rounds=10).parse_args()
    measure.steady_memory()
    rows = [row for arch in arguments.arch for row in _measure(arguments, arch)]
    print(render(speed_table(measure.save(arguments, "training step", rows)), "markdown"))


def _measure(arguments: argparse.Namespace, arch: str) -> list[dict[str, Any]]:
    models = measure.networks(arguments, arch, train=True)
    steps = {name: _step(arguments, model) for name, model in models.items()}
    times = measure.compare(steps, arguments.rounds, arguments.device, arch)
    names = list(models)
    del models, steps
    measure.usual_memory()
    return [
        {"arch": arch, "padding": name, **times[name], "peak_mib": _peak(arguments, arch, name)}
        for name in names
    ]


def _step(arguments: argparse.Namespace, model: nn.Module) -> Callable[[], None]:
    """Return a whole step of the recipe: forward, loss, backward, SGD (at lr 0)."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0, momentum=0.9, weight_decay=1e-4)
    images = measure.images(arguments)
    labels = torch.randint(1000, (len(images),), device=arguments.device)

    def step() -> None:
        with measure.autocast(arguments):
            loss = nn.functional.cross_entropy(model(images), labels)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def _peak(arguments: argparse.Namespace, arch: str, padding: str) -> float:
    """Return the peak in MiB, measured in a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_peak_here, arguments, arch, padding).result()


def _peak_here(arguments: argparse.Namespace, arch: str, padding: str) -> float:
    one = argparse.Namespace(**(vars(arguments) | {"padding": [padding]}))
    model = measure.networks(one, arch, train=True)[padding]
    step = _step(one, model)
    before = _resident("VmRSS")
    step()  # with whatever compiling takes
    if arguments.device == "cuda":
        held = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        return (torch.cuda.max_memory_allocated() - held) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # VmHWM starts again
    step()
    return _resident("VmHWM") - before


def _resident(key: str) -> float:
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) / 1024


if __name__ == "__main__":
    run_command(main)
