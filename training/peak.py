"""How fast the device multiplies matrices: what a training step's FLOP/s are held against."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

_DTYPES = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "bf16": torch.bfloat16,
    "fp16": torch.float16,
}
# Sides of square matrices. Where a precision has no fast product, as fp16 on many CPUs, the first
# takes milliseconds and the third seconds.
_SIDES = (256, 512, 1024, 2048, 4096, 8192)
_LARGER_BELOW = 0.01  # s: the next product takes about eight times as long
_SECONDS_A_SIDE = 0.03
_PRODUCTS_A_SIDE = 3  # at least


def measured_peak(precision: str, device: torch.device) -> float:
    """Return the FLOP/s of the fastest matrix product that `device` was seen to do.

    The best of square products of growing sides, as large as the device takes in milliseconds, at
    most 8192: about 0.3 s and at most 0.8 GB, which on a GPU stay with torch's allocator. Call it
    before training, while nothing else computes there. Draws no random number of the program's.

    Args:
        precision: of the factors, see training/precision.py: 'fp32', 'tf32', 'bf16' or 'fp16'.
        device: one CPU, with this process's threads, or one GPU.
    """
    peak = 0.0
    with torch.no_grad(), _matmul_precision("high" if precision == "tf32" else "highest"):
        for side in _SIDES:
            seconds = _product_seconds(side, _DTYPES[precision], device)
            peak = max(peak, 2 * side**3 / seconds)
            if seconds > _LARGER_BELOW:
                break
    return peak


@contextmanager
def _matmul_precision(wanted: str) -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(wanted)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def _product_seconds(side: int, dtype: torch.dtype, device: torch.device) -> float:
    """Return the shortest time of a product of two matrices of this side."""
    # Random numbers: a GPU multiplies zeros and ones with less power, and so faster.
    generator = torch.Generator(device).manual_seed(0)
    one, other = (
        torch.randn(side, side, generator=generator, device=device, dtype=dtype) for _ in range(2)
    )
    out = torch.empty_like(one)

    def product() -> Tensor:
        return torch.mm(one, other, out=out)

    product()  # warm: libraries, workspace, clocks
    times: list[float] = []
    enough = time.perf_counter() + _SECONDS_A_SIDE
    while len(times) < _PRODUCTS_A_SIDE or time.perf_counter() < enough:
        times.append(_seconds(product, device))
    return min(times)


def _seconds(call: Callable[[], Any], device: torch.device) -> float:
    if device.type == "cuda":
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record(torch.cuda.current_stream(device))
        call()
        end.record(torch.cuda.current_stream(device))
        end.synchronize()
        return begin.elapsed_time(end) / 1000
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
