"""The layers under everything that looks at their operations: compilers, exporters, torch.func."""

import pytest
import torch
from torch import nn

from padding import SCHEMES
from tests.test_fast_paths import layer


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


def test_flops_are_counted_under_a_dispatch_mode():
    from torch.utils.flop_counter import FlopCounterMode

    conv = layer("partial", {"kernel_size": 3, "padding": 1})
    with FlopCounterMode(display=False) as counter:
        conv(torch.randn(1, 4, 8, 8, dtype=torch.float64)).sum().backward()
    assert counter.get_total_flops() == 2 * 2 * 8 * 8 * 4 * 4 * 9  # forward, weights' gradient
