"""The options that the benchmarks share."""

import argparse
import os
import platform
import sys
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path

import torch

from benchmarks.measure import PADDINGS, build
from foundation.errors import UserError
from models import ARCHITECTURES, SCENE_ARCHITECTURES, ImageSizeError, check_scene_size
from padding import SCHEMES, convert_padding
from results import printed

# glibc gives large blocks back to the system and asks for them again, each time page by page. How
# often depends on the accidents of a program's history and would drown what is measured.
_STEADY = {"MALLOC_TRIM_THRESHOLD_": "100000000000", "MALLOC_MMAP_THRESHOLD_": "100000000000"}


def count(text: str) -> int:
    """Return an option's whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


def parse(description: str, batch: int, rounds: int) -> argparse.Namespace:
    """Return the options, which all benchmarks of padding share, with memory set to stay.

    Raises:
        UserError: no such device here, or images too small for a network and padding.
    """
    options = training(description, batch, rounds, [*ARCHITECTURES, *SCENE_ARCHITECTURES], size)
    options.add_argument("--padding", nargs="+", choices=PADDINGS, default=list(PADDINGS))
    options.add_argument("--compile", action="store_true", help="torch.compile the networks")
    options.add_argument("--channels-last", action="store_true")
    options.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="bf16: AMP")
    return checked(options.parse_args())


def training(
    description: str,
    batch: int,
    rounds: int,
    choices: Iterable[str] = ARCHITECTURES,
    pixels: Callable[[str], tuple[int, int] | int] = count,
) -> argparse.ArgumentParser:
    """Return the options of whatever runs the networks.

    Args:
        description: of the benchmark.
        batch: default images.
        rounds: default rounds.
        choices: of networks; the paper's five are the default.
        pixels: reads the size of an image.
    """
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    paper = list(printed.ARCHITECTURES)
    options.add_argument("--arch", nargs="+", choices=tuple(choices), default=paper)
    options.add_argument("--batch", type=count, default=batch, help="images")
    told = "pixels" if pixels is count else "pixels, N or HEIGHTxWIDTH"
    options.add_argument("--image-size", type=pixels, default=pixels("224"), help=told)
    options.add_argument("--rounds", type=count, default=rounds, help="each way once a round")
    options.add_argument(
        "--device", choices=("cpu", "cuda"), default="cuda" if torch.cuda.is_available() else "cpu"
    )
    options.add_argument("--out", type=Path, default=Path("runs/benchmarks"), help="folder")
    return options


def checked(arguments: argparse.Namespace) -> argparse.Namespace:
    """Return the options if this machine can do what they say, with memory set to stay.

    Raises:
        UserError: no such device here, or images too small for a network and padding.
    """
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: torch sees no GPU here; use --device cpu")
    for arch in arguments.arch:
        for padding in {"zero", *getattr(arguments, "padding", ())} & set(SCHEMES):
            sides = arguments.image_size
            sides = sides if isinstance(sides, tuple) else (sides, sides)
            try:
                made = partial(lambda a, p: convert_padding(build(a), p), arch, padding)
                check_scene_size(made, sides, "--image-size")
            except ImageSizeError as error:
                raise UserError(f"{arch}: {error}") from None
    _steady_memory()
    return arguments


def size(text: str) -> tuple[int, int]:
    """Return an option's height and width: two whole numbers above 0 with an x between, or one."""
    height, _, width = text.partition("x")
    return count(height), count(width or height)


def _steady_memory() -> None:
    """Start this process again with memory that stays with it (Linux, glibc)."""
    if platform.libc_ver()[0] == "glibc" and not os.environ.keys() & _STEADY.keys():
        arguments = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, arguments, os.environ | _STEADY)
