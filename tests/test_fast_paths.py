"""The layers' own gradients, kernels and fallbacks, under everything that may look at them."""

import io
import os
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from padding import SCHEMES, PartialConv2d, convert_padding
from tests.conftest import ROOT
from tests.test_padding import eq4

LAYOUTS = [torch.contiguous_format, torch.channels_last]
# (input size, Conv2d's arguments): small maps and large ones, where other code runs.
GEOMETRIES = [
    ((7, 6), {"kernel_size": 3, "padding": 1}),
    ((40, 41), {"kernel_size": 3, "padding": 1, "groups": 2}),
    ((40, 36), {"kernel_size": 7, "padding": 3, "stride": 2}),
    ((45, 38), {"kernel_size": (5, 3), "padding": "same", "dilation": (1, 2)}),
    ((9, 40), {"kernel_size": (4, 2), "padding": "same"}),
    ((6, 5), {"kernel_size": 3, "padding": 4}),
    ((140, 130), {"kernel_size": 3, "padding": 1}),
    ((130, 140), {"kernel_size": 3, "padding": 5}),
]


def layer(scheme, arguments, bias=True, dtype=torch.float64):
    torch.manual_seed(0)
    return convert_padding(nn.Conv2d(4, 4, bias=bias, dtype=dtype, **arguments), scheme)


def fits(scheme, size, arguments):
    conv = nn.Conv2d(4, 4, **arguments)
    left, right, top, bottom = conv._reversed_padding_repeated_twice
    return scheme != "reflect" or (max(left, right) < size[1] and max(top, bottom) < size[0])


def by_the_book(conv, x):
    """The output by nn.Conv2d's own padding mode, or r by a convolution of ones (Section 4)."""
    if conv.padding_mode != "zeros":
        twin = nn.Conv2d(4, 4, conv.kernel_size, padding_mode=conv.padding_mode)
        twin.__dict__ = {**conv.__dict__}
        return nn.Conv2d.forward(twin, x)
    y = F.conv2d(x, conv.weight, None, conv.stride, conv.padding, conv.dilation, conv.groups)
    if type(conv) is PartialConv2d:
        ones = torch.ones_like(x[:1, :1])
        weight = torch.ones(1, 1, *conv.kernel_size, dtype=x.dtype)
        inside = F.conv2d(ones, weight, None, conv.stride, conv.padding, conv.dilation)
        y = y * (weight.numel() / inside.clamp(min=1)) * (inside > 0)
        return y if conv.bias is None else y + conv.bias[:, None, None] * (inside > 0)
    return y if conv.bias is None else y + conv.bias[:, None, None]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")
@pytest.mark.parametrize("memory_format", LAYOUTS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_outputs_and_gradients(scheme, bias, memory_format):
    """In place and by hand against plain operations under autograd, in float64."""
    for size, arguments in GEOMETRIES:
        if not fits(scheme, size, arguments):
            continue
        conv = layer(scheme, arguments, bias).to(memory_format=memory_format)
        x = torch.randn(2, 4, *size, dtype=torch.float64).to(memory_format=memory_format)
        x.requires_grad_()
        expected = by_the_book(conv, x)
        inputs = [x, *conv.parameters()]
        # As a residual sum hands it out: one gradient for two; it must come back unchanged.
        g = torch.randn_like(expected)
        kept = g.clone()
        y = conv(x)
        with torch.no_grad():
            torch.testing.assert_close(conv(x), y, rtol=0, atol=0)
        torch.testing.assert_close(y, expected)
        assert y.is_contiguous(memory_format=memory_format)
        found = torch.autograd.grad(y, inputs, g)
        assert torch.equal(g, kept)
        torch.testing.assert_close(found, torch.autograd.grad(expected, inputs, g))
        # A gradient whose elements share memory.
        found = torch.autograd.grad(conv(x).sum(), inputs)
        torch.testing.assert_close(found, torch.autograd.grad(by_the_book(conv, x).sum(), inputs))


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("frozen", ["weight", "bias", "input"])
def test_frozen_parts(scheme, frozen):
    conv = layer(scheme, {"kernel_size": 3, "padding": 1})
    x = torch.randn(2, 4, 40, 40, dtype=torch.float64, requires_grad=frozen != "input")
    if frozen != "input":
        getattr(conv, frozen).requires_grad_(False)
    wanted = [tensor for tensor in (x, *conv.parameters()) if tensor.requires_grad]
    g = torch.randn(2, 4, 40, 40, dtype=torch.float64)
    expected = torch.autograd.grad(by_the_book(conv, x), wanted, g)
    torch.testing.assert_close(torch.autograd.grad(conv(x), wanted, g), expected)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("stride", [1, 2])
def test_gradcheck_of_first_and_second_order(scheme, stride):
    conv = layer(scheme, {"kernel_size": 3, "padding": 1, "stride": stride, "groups": 2})
    x = torch.randn(2, 4, 5, 4, dtype=torch.float64, requires_grad=True)

    def call(x, weight, bias):
        return torch.func.functional_call(conv, {"weight": weight, "bias": bias}, (x,))

    assert torch.autograd.gradcheck(call, (x, conv.weight, conv.bias))
    assert torch.autograd.gradgradcheck(call, (x, conv.weight, conv.bias))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_function_transforms(scheme):
    conv = layer(scheme, {"kernel_size": 3, "padding": 1})
    parameters = dict(conv.named_parameters())
    x = torch.randn(3, 2, 4, 7, 6, dtype=torch.float64)

    def loss(parameters, x):
        return torch.func.functional_call(conv, parameters, (x,)).square().sum()

    torch.testing.assert_close(torch.func.vmap(conv)(x), torch.stack([conv(part) for part in x]))
    each = torch.func.vmap(torch.func.grad(loss), (None, 0))(parameters, x)
    for number, part in enumerate(x):
        conv.zero_grad()
        conv(part).square().sum().backward()
        torch.testing.assert_close(each["weight"][number], conv.weight.grad)
    _, forward = torch.func.jvp(conv, (x[0],), (x[1],))
    without_bias = conv(x[1]) - conv(torch.zeros_like(x[1]))
    torch.testing.assert_close(forward, without_bias)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_compile(scheme, dynamic):
    torch._dynamo.reset()
    conv = layer(scheme, {"kernel_size": 3, "padding": 1, "stride": 2})
    compiled = torch.compile(conv, fullgraph=True, dynamic=dynamic, backend="aot_eager")
    for size in ((12, 11), (9, 10)):
        x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
        inputs = [x, *conv.parameters()]
        torch.testing.assert_close(compiled(x), conv(x))
        found = torch.autograd.grad(compiled(x).square().sum(), inputs)
        torch.testing.assert_close(found, torch.autograd.grad(conv(x).square().sum(), inputs))


def test_inductor():
    torch._dynamo.reset()
    schemes = [layer(s, {"kernel_size": 3, "padding": 1}, dtype=torch.float32) for s in SCHEMES]
    model = nn.Sequential(*schemes)
    x = torch.randn(2, 4, 9, 8, requires_grad=True)
    inputs = [x, *model.parameters()]
    compiled = torch.compile(model, fullgraph=True)
    torch.testing.assert_close(compiled(x), model(x), rtol=1e-4, atol=1e-4)
    found = torch.autograd.grad(compiled(x).sum(), inputs)
    expected = torch.autograd.grad(model(x).sum(), inputs)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_export_and_onnx(scheme, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    arguments = {"kernel_size": 3, "padding": 1, "stride": 2}
    model = nn.Sequential(layer(scheme, arguments, dtype=torch.float32)).eval()
    x = torch.randn(2, 4, 10, 9)
    exported = torch.export.export(model, (x,))
    torch.testing.assert_close(exported.module()(x), model(x))
    torch.onnx.export(model, (x,), tmp_path / "model.onnx", dynamo=True, verbose=False)
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    torch.testing.assert_close(torch.from_numpy(found), model(x), rtol=1e-5, atol=1e-5)


def test_torch_fx_sees_one_operation():
    model = nn.Sequential(layer("partial", {"kernel_size": 3, "padding": 1}))
    traced = torch.fx.symbolic_trace(model)
    x = torch.randn(1, 4, 9, 9, dtype=torch.float64)
    assert torch.equal(traced(x), model(x))
    assert "partial_conv2d" in traced.code


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_autocast(scheme, dtype):
    """As nn.Conv2d does: output in the lower type, gradients in the parameters' own."""
    conv = layer(scheme, {"kernel_size": 3, "padding": 1}, dtype=torch.float32)
    for size in (6, 40):
        x = torch.randn(2, 4, size, size, requires_grad=True)
        with torch.autocast("cpu", dtype=dtype):
            y = conv(x)
            with torch.no_grad():
                torch.testing.assert_close(conv(x), y)
        assert y.dtype == dtype
        torch.testing.assert_close(y.float(), conv(x), rtol=3e-2, atol=3e-2)
        inputs = [x, *conv.parameters()]
        found = torch.autograd.grad(y, inputs, torch.ones_like(y))
        assert [part.dtype for part in found] == [torch.float32] * 3
        expected = torch.autograd.grad(conv(x).sum(), inputs)
        for one, other in zip(found, expected, strict=True):
            assert (one - other).norm() / other.norm() < 2e-2


@pytest.mark.parametrize("scheme", SCHEMES)
def test_shapes_and_types_may_change_between_calls(scheme):
    conv = layer(scheme, {"kernel_size": 3, "padding": 1})
    for dtype, size, batch in [
        (torch.float64, 7, 2),
        (torch.float32, 7, 1),
        (torch.bfloat16, 40, 3),
        (torch.float64, 40, 0),
        (torch.float64, 7, 0),
    ]:
        conv = conv.to(dtype)
        x = torch.randn(batch, 4, size, size).to(dtype).requires_grad_()
        y = conv(x)
        assert (y.dtype, y.shape) == (dtype, x.shape)
        y.sum().backward()
        assert x.grad.shape == x.shape
        torch.testing.assert_close(
            y.double(), by_the_book(conv.double(), x.double()), rtol=2e-2, atol=5e-2
        )
    x = torch.randn(4, 9, 9, dtype=torch.float64, requires_grad=True)
    torch.testing.assert_close(conv(x), conv(x[None])[0])
    assert conv.to("meta")(x.to("meta")).shape == x.shape


@pytest.mark.parametrize("scheme", SCHEMES)
def test_forward_hooks_and_whole_models_in_a_file(scheme):
    model = nn.Sequential(layer(scheme, {"kernel_size": 3, "padding": 1}))
    x = torch.randn(1, 4, 8, 8, dtype=torch.float64)
    seen = []
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    expected = model(x)
    assert torch.equal(seen[0], expected)
    model[0]._forward_hooks.clear()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    assert torch.equal(torch.load(file, weights_only=False)(x), expected)


def test_flops_are_counted_under_a_dispatch_mode():
    from torch.utils.flop_counter import FlopCounterMode

    conv = layer("partial", {"kernel_size": 3, "padding": 1})
    with FlopCounterMode(display=False) as counter:
        conv(torch.randn(1, 4, 8, 8, dtype=torch.float64)).sum().backward()
    assert counter.get_total_flops() == 2 * 2 * 8 * 8 * 4 * 4 * 9  # forward, weights' gradient


TRITON = """
import itertools, torch
from tests.test_padding import eq4
from padding import PartialConv2d
from padding import padding_ratio
from padding.geometry import border_pixels
from padding.border_triton import scale_pixels_

geometries = [
    ((9, 7), 3, 1, 1, 1), ((10, 12), 7, 2, 3, 1), ((5, 6), 3, 1, 4, 1), ((9, 9), 3, 1, 2, 2)
]
formats = [torch.contiguous_format, torch.channels_last]
for (size, k, s, p, d), bias, form in itertools.product(geometries, [True, False], formats):
    conv = PartialConv2d(3, 40, k, s, p, d, bias=bias, dtype=torch.float64)
    x = torch.randn(2, 3, *size, dtype=torch.float64)
    y = torch.nn.functional.conv2d(x, conv.weight, conv.bias, s, p, d).to(memory_format=form)
    geometry = (x.shape[2:], conv.kernel_size, conv.stride, conv.padding, conv.dilation)
    pixels = border_pixels(geometry, torch.float64, x.device)
    scale_pixels_(y, *pixels, conv.bias if bias else None)
    torch.testing.assert_close(y.detach(), eq4(x, conv))
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        z = torch.ones(2, 40, *y.shape[2:], dtype=dtype)
        scale_pixels_(z, *border_pixels(geometry, torch.float32, x.device), None)
        rows, columns = padding_ratio(*geometry)
        expected = (rows[:, None] * columns).expand_as(z)
        torch.testing.assert_close(z.double(), expected, rtol=1e-2, atol=1e-3)
scale_pixels_(y[:0], *pixels, None)
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
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", ["fp32", "bf16"])
def test_triton_kernel_compiles_for_a_gpu(channels_last, bias, kind):
    """The interpreter allows more than the compiler; no GPU is needed to ask the compiler."""
    triton = pytest.importorskip("triton")
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from padding.border_triton import _kernel

    names = _kernel.arg_names
    types = dict.fromkeys(names, "i32") | {"output": f"*{kind}", "bias": f"*{kind}"}
    types |= {"row": "*i32", "column": "*i32", "ratio": "*fp32"}
    constants = {"HAS_BIAS": bias, "CHANNELS_LAST": channels_last, "BLOCK": 32}
    source = ASTSource(_kernel, types | dict.fromkeys(constants, "constexpr"), constants)
    compiled = triton.compile(source, target=GPUTarget("cuda", 90, 32))
    assert "st.global" in compiled.asm["ptx"]


def test_equation_4_on_a_large_map():
    conv = PartialConv2d(1, 2, 3, padding=1, dtype=torch.float64)
    x = torch.randn(1, 1, 130, 129, dtype=torch.float64)
    torch.testing.assert_close(conv(x), eq4(x, conv))
