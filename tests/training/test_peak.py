"""The measured peak: its arithmetic on known times, a plain product, and what it leaves alone."""

import time

import pytest
import torch

from training import peak
from training.peak import measured_peak

CPU = torch.device("cpu")


def test_the_best_of_growing_products(monkeypatch):
    times = {256: 1e-3, 512: 4e-3, 1024: 40e-3}
    asked = []

    def seconds(side, dtype, device):
        asked.append((side, dtype, device, torch.get_float32_matmul_precision()))
        return times[side]

    monkeypatch.setattr(peak, "_product_seconds", seconds)
    before = torch.get_float32_matmul_precision()
    for precision, dtype, factors in (
        ("fp32", torch.float32, "highest"),
        ("tf32", torch.float32, "high"),
        ("bf16", torch.bfloat16, "highest"),
        ("fp16", torch.float16, "highest"),
    ):
        assert measured_peak(precision, CPU) == 2 * 512**3 / 4e-3
        # 1024 took so long that 2048 would take too long.
        assert asked == [(side, dtype, CPU, factors) for side in times]
        assert torch.get_float32_matmul_precision() == before
        asked.clear()

    times.clear()
    with pytest.raises(KeyError):
        measured_peak("tf32", CPU)
    assert torch.get_float32_matmul_precision() == before


def test_no_slower_than_a_plain_product():
    one = torch.randn(512, 512)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        one @ one
        times.append(time.perf_counter() - start)
    # Others may be computing here: what is held is the order of magnitude.
    assert measured_peak("fp32", CPU) > 2 * 512**3 / min(times) / 3


@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16", "fp16"])
def test_every_precision_in_a_moment(precision):
    random = torch.get_rng_state()
    start = time.perf_counter()
    assert measured_peak(precision, CPU) > 0
    assert time.perf_counter() - start < 10  # 0.1 to 0.4 s on an idle core
    assert torch.equal(torch.get_rng_state(), random)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_tensor_cores_are_seen():
    """Factors of 16 bits multiply several times as fast as those of full precision."""
    device = torch.device("cuda", torch.cuda.current_device())
    random = torch.cuda.get_rng_state(device)
    assert measured_peak("bf16", device) > 2 * measured_peak("fp32", device)
    assert torch.equal(torch.cuda.get_rng_state(device), random)
