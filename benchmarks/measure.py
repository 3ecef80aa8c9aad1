"""Comparing networks that differ in their padding alone: interleaved, as ratios, medians."""

import argparse
import copy
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from benchmarks.ones_conv import OnesConv2d
from foundation.files import write_json
from models import SCENE_ARCHITECTURES, build_model
from padding import SCHEMES, convert_padding
from padding.layer import padding_sides
from results import printed
from training.provenance import machine

# Beside the four schemes: zero padding once more, whose distance from 100 % is the noise, the
# paper's own layer, and nn.Conv2d's padding modes.
BASELINES = {
    "zero_again": (nn.Conv2d, "zeros"),
    "ones": (OnesConv2d, "zeros"),
    "ref_padding_mode": (nn.Conv2d, "reflect"),
    "rep_padding_mode": (nn.Conv2d, "replicate"),
}
PADDINGS = (*SCHEMES, *BASELINES)


def networks(arguments: argparse.Namespace, arch: str, train: bool) -> dict[str, nn.Module]:
    """Return the network under zero padding and the asked ones, all with the same parameters."""
    torch.manual_seed(0)
    base = build(arch).to(arguments.device).train(train)
    if arguments.channels_last:
        base.to(memory_format=torch.channels_last)
    names = dict.fromkeys(["zero", *arguments.padding])
    return {name: twin(base, name, arguments.compile) for name in names}


def build(arch: str) -> nn.Module:
    """Return a zero-padded network with the classes of its paper's data set."""
    if arch in SCENE_ARCHITECTURES:
        return SCENE_ARCHITECTURES[arch]()
    return build_model(arch, "zero", 1000)


def twin(base: nn.Module, padding: str, compiled: bool = False) -> nn.Module:
    """Return a copy of the zero-padded `base` with another padding and the same parameters."""
    shared = {id(tensor): tensor for tensor in (*base.parameters(), *base.buffers())}
    model = copy.deepcopy(base, shared)
    if padding in SCHEMES:
        convert_padding(model, padding)
    else:
        layer, mode = BASELINES[padding]
        for module in model.modules():
            if type(module) is nn.Conv2d and any(padding_sides(module)):
                module.__class__, module.padding_mode = layer, mode
    if compiled:
        model.compile(dynamic=False)
    return model


def images(arguments: argparse.Namespace) -> torch.Tensor:
    """Return random images as the networks take them."""
    size = (arguments.batch, 3, *arguments.image_size)
    layout = torch.channels_last if arguments.channels_last else torch.contiguous_format
    return torch.randn(size, device=arguments.device).to(memory_format=layout)


def labels(arch: str, images: torch.Tensor) -> torch.Tensor:
    """Return random labels of what the network tells of images: a class of each, or of a pixel."""
    if arch in SCENE_ARCHITECTURES:
        return torch.randint(19, (len(images), *images.shape[2:]), device=images.device)
    return torch.randint(1000, (len(images),), device=images.device)


def autocast(arguments: argparse.Namespace) -> torch.autocast:
    """Return the context of the asked precision."""
    return torch.autocast(arguments.device, torch.bfloat16, enabled=arguments.precision == "bf16")


def milliseconds(call: Callable[[], Any], device: str) -> float:
    """Return how long one call takes, the device's work included."""
    _wait(device)
    start = time.perf_counter()
    call()
    _wait(device)
    return 1000 * (time.perf_counter() - start)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def compare(
    calls: dict[str, Callable[[], Any]], rounds: int, device: str, label: str
) -> dict[str, dict[str, float]]:
    """Time every call once a round.

    Returns:
        {name: {"ms": median, "relative": median of the rounds' ratios to 'zero'}}.
    """
    times = interleaved(calls, rounds, device, label)
    return {
        name: {"ms": median(values), "relative": ratio(values, times["zero"])}
        for name, values in times.items()
    }


def interleaved(
    calls: dict[str, Callable[[], Any]], rounds: int, device: str, label: str
) -> dict[str, list[float]]:
    """Return every call's milliseconds in each round; their order in a round is random."""
    for call in calls.values():  # warm: compilation, libraries' own choices
        call()
        call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    order = random.Random(0)
    for _ in tqdm(range(rounds), desc=label, unit="round", leave=False):
        for name in order.sample(list(calls), len(calls)):
            times[name].append(milliseconds(calls[name], device))
    return times


def ratio(values: list[float], others: list[float]) -> float:
    """Return the median of the rounds' ratios."""
    return median(value / other for value, other in zip(values, others, strict=True))


def save(arguments: argparse.Namespace, benchmark: str, rows: list[dict[str, Any]]) -> Path:
    """Write what `python -m results tables` reads for Table 1, and return the file."""
    mode = "compiled" if arguments.compile else "eager"
    layout = "channels_last" if arguments.channels_last else "contiguous"
    height, width = arguments.image_size
    size = f"{height} x {width}"
    setting = f"{arguments.batch} x {size} px, {mode}, {arguments.precision}, {layout}"
    parts = [benchmark.replace(" ", "_"), arguments.device, f"batch{arguments.batch}", mode]
    parts += [arguments.precision] * (arguments.precision != "fp32")
    parts += ["channels_last"] * arguments.channels_last
    side = f"{height}" if height == width else f"{height}x{width}"
    parts += [f"{side}px"] * (size != "224 x 224")
    parts += arguments.arch if set(arguments.arch) != set(printed.ARCHITECTURES) else []
    paper = setting == "1 x 224 x 224 px, eager, fp32, contiguous"
    facts = {"benchmark": benchmark, "setting": setting, "as_the_paper": paper}
    return write(arguments, "_".join(parts), facts, rows)


def write(
    arguments: argparse.Namespace, name: str, facts: dict[str, Any], rows: list[dict[str, Any]]
) -> Path:
    """Write rows with their facts, command, device and versions; return the file."""
    # How glibc's allocator is set moves times on a CPU by more than what is measured here.
    allocator = [f"{k}={v} " for k, v in sorted(os.environ.items()) if k.startswith("MALLOC_")]
    content = {
        **facts,
        "measured_by": f"{''.join(allocator)}python {' '.join(sys.orig_argv[1:])}",
        "rounds": arguments.rounds,
        **machine(arguments.device == "cuda"),
        "rows": rows,
    }
    arguments.out.mkdir(parents=True, exist_ok=True)
    file = arguments.out / f"{name}.json"
    write_json(file, content)
    return file
