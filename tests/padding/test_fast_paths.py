"""The layers' fast paths against plain operations: outputs, gradients, types and shapes."""

import copy
import io

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from padding import SCHEMES, PartialConv2d, convert_padding, padding_ratio
from tests.padding.test_padding import eq4

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
        x = torch.randn(3, 4, *size, dtype=torch.float64).to(memory_format=memory_format)
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


@pytest.mark.parametrize("scheme", ["reflect", "replicate"])
@pytest.mark.parametrize("memory_format", LAYOUTS)
@pytest.mark.parametrize("frozen", [False, True])
def test_gradients_of_large_inputs(scheme, memory_format, frozen):
    conv = layer(scheme, {"kernel_size": 3, "padding": 1, "stride": 2}).requires_grad_(not frozen)
    x = torch.randn(3, 4, 600, 600, dtype=torch.float64).to(memory_format=memory_format)
    wanted = [x.requires_grad_(), *(() if frozen else conv.parameters())]
    g = torch.randn(3, 4, 300, 300, dtype=torch.float64).to(memory_format=memory_format)
    expected = torch.autograd.grad(by_the_book(conv, x), wanted, g)
    found = torch.autograd.grad(conv(x), wanted, g)
    torch.testing.assert_close(found, expected)
    assert found[0].is_contiguous(memory_format=memory_format)


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


def formula(conv, x):
    """Eq. 4 as it is written, each operation rounded to the tensors' type."""
    size = x.shape[2:], conv.kernel_size, conv.stride, conv.padding, conv.dilation
    rows, columns = padding_ratio(*size)
    ratio = (rows[:, None] * columns).to(x.dtype)
    y = F.conv2d(x, conv.weight, None, conv.stride, conv.padding, conv.dilation) * ratio
    return y if conv.bias is None else y + conv.bias[:, None, None]


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_rounding_is_that_of_the_formula(dtype, grad):
    """A bias that dwarfs the convolution, up to r = 9, against float64: twice as far at most."""
    for size, kernel, padding in [((1, 1), 3, 1), ((2, 3), 5, 2), ((9, 8), 3, 1), ((80, 70), 7, 3)]:
        torch.manual_seed(0)
        conv = PartialConv2d(8, 8, kernel, padding=padding).to(dtype)
        with torch.no_grad():
            conv.bias.copy_(torch.randn(8) * 10)
        x = torch.randn(16, 8, *size).to(dtype)
        exact = formula(copy.deepcopy(conv).double(), x.double())
        with torch.set_grad_enabled(grad):
            ours, plain = ((y.double() - exact).abs() for y in (conv(x), formula(conv, x)))
        limit = 2 if dtype.itemsize == 2 or max(size) < kernel else 8  # in one pass: r^2, twice
        assert ours.max() <= limit * plain.max()
        assert ours.mean() <= 2 * plain.mean()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("infinite", ["input", "weight", "bias"])
@pytest.mark.parametrize("size", [(6, 5), (90, 80)])
def test_infinite_values_are_the_formulas(size, infinite, dtype):
    for value in (torch.inf, -torch.inf):
        conv = layer("partial", {"kernel_size": 3, "padding": 1}, dtype=dtype)
        x = torch.randn(1, 4, *size).abs().to(dtype)
        with torch.no_grad():
            if infinite == "input":
                x[0, 1, 0, 0] = x[0, 1, 3, 2] = value
            elif infinite == "weight":
                conv.weight[1, 2, 0, 0] = value
            else:
                conv.bias[2] = value
        expected = formula(conv, x)
        assert expected.isinf().any()
        for grad in (True, False):
            with torch.set_grad_enabled(grad):
                found = conv(x)
            same = torch.nan_to_num(expected, 7.0), torch.nan_to_num(found, 7.0)
            torch.testing.assert_close(*same, rtol=2e-2, atol=2e-2)
            assert torch.equal(expected.isnan(), found.isnan())
            assert torch.equal(expected.isinf(), found.isinf())


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


def test_equation_4_on_a_large_map():
    conv = PartialConv2d(1, 2, 3, padding=1, dtype=torch.float64)
    x = torch.randn(1, 1, 130, 129, dtype=torch.float64)
    torch.testing.assert_close(conv(x), eq4(x, conv))
