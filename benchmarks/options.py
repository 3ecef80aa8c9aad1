"""The options that the benchmarks share."""

import argparse
import os
import platform
import sys
from pathlib import Path

import torch

from benchmarks.measure import PADDINGS
from foundation.errors import UserError
from models import ARCHITECTURES, ImageSizeError, check_image_size
from padding import SCHEMES

# glibc gives large blocks back to the system and asks for them again, each time page by page. How
# often depends on the accidents of a program's history and would drown what is measured.
_STEADY = {"MALLOC_TRIM_THRESHOLD_": "100000000000", "MALLOC_MMAP_THRESHOLD_": "100000000000"}


def parse(description: str, batch: int, rounds: int) -> argparse.Namespace:
    """Return the options, which all benchmarks of padding share, with memory set to stay.

    Raises:
        UserError: no such device here, or images too small for a network and padding.
    """
    options = training(description, batch, rounds)
    options.add_argument("--padding", nargs="+", choices=PADDINGS, default=list(PADDINGS))
    options.add_argument("--compile", action="store_true", help="torch.compile the networks")
    options.add_argument("--channels-last", action="store_true")
    options.add_argument("--precision", choices=("fp32", "bf16"), default="fp32", help="bf16: AMP")
    return checked(options.parse_args())


def training(description: str, batch: int, rounds: int) -> argparse.ArgumentParser:
    """Return the options of whatever runs the networks."""
    options = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    options.add_argument("--arch", nargs="+", choices=ARCHITECTURES, default=list(ARCHITECTURES))
    options.add_argument("--batch", type=count, default=batch, help="images")
    options.add_argument("--image-size", type=count, default=224, help="pixels")
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
            try:
                check_image_size(arch, padding, arguments.image_size)
            except ImageSizeError as error:
                raise UserError(f"--image-size: {error}") from None
    _steady_memory()
    return arguments


def count(text: str) -> int:
    """Return an option's whole number above 0."""
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0")
    return int(text)


def _steady_memory() -> None:
    """Start this process again with memory that stays with it (Linux, glibc)."""
    if platform.libc_ver()[0] == "glibc" and not os.environ.keys() & _STEADY.keys():
        arguments = [sys.executable, *sys.orig_argv[1:]]
        os.execve(sys.executable, arguments, os.environ | _STEADY)
