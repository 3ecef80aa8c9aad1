"""The GPU's kernel where there is no GPU: in Triton's interpreter, and through its compiler."""

import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT

TRITON = """
import itertools, torch
from tests.padding.test_padding import eq4
from padding import PartialConv2d, padding_ratio
from padding.fast.geometry import border_pixels
from padding.fast.triton_kernel import scale_pixels_

geometries = [
    ((9, 7), 3, 1, 1, 1), ((10, 12), 7, 2, 3, 1), ((5, 6), 3, 1, 4, 1), ((9, 9), 3, 1, 2, 2)
]
formats = [torch.contiguous_format, torch.channels_last]
for (size, k, s, p, d), form in itertools.product(geometries, formats):
    conv = PartialConv2d(3, 40, k, s, p, d, bias=False, dtype=torch.float64)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    y = torch.nn.functional.conv2d(x, conv.weight, None, s, p, d).to(memory_format=form)
    geometry = (x.shape[2:], conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    pixels = border_pixels(geometry, torch.float64, x.device)
    scale_pixels_(y, *pixels)
    torch.testing.assert_close(y.detach(), eq4(x, conv))
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        z = torch.ones(2, 40, *y.shape[2:], dtype=dtype)
        scale_pixels_(z, *border_pixels(geometry, torch.float32, x.device))
        rows, columns = padding_ratio(*geometry)
        expected = (rows[:, None] * columns).expand_as(z)
        torch.testing.assert_close(z.double(), expected, rtol=1e-2, atol=1e-3)
scale_pixels_(y[:0], *pixels)
print("kernel ok")
"""


def test_triton_kernel_in_the_interpreter():
    pytest.importorskip("triton")
    environment = os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", TRITON], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert "kernel ok" in done.stdout, done.stderr


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("kind", ["fp32", "bf16"])
def test_triton_kernel_compiles_for_a_gpu(channels_last, kind):
    """The interpreter allows more than the compiler; no GPU is needed to ask the compiler."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from padding.fast.triton_kernel import _kernel

    names = _kernel.arg_names
    types = dict.fromkeys(names, "i32") | {"output": f"*{kind}"}
    types |= {"row": "*i32", "column": "*i32", "ratio": "*fp32"}
    constants = {"CHANNELS_LAST": channels_last, "BLOCK": 32}
    source = ASTSource(_kernel, types | dict.fromkeys(constants, "constexpr"), constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert "st.global" in compiled.asm["ptx"]
