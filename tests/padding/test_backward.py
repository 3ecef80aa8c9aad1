"""The layers' own backward pass where somebody else looks at the same tensors."""

import mmap
import tempfile
import threading
import warnings

import pytest
import torch
from torch import nn

from padding import SCHEMES, convert_padding
from padding.fast import border, geometry
from tests.padding.test_fast_paths import by_the_book, layer

SAME = {"kernel_size": 3, "padding": 1}


def test_residual_sum():
    """Both branches get the same gradient tensor; scaling it in place must not reach the other."""
    one, other = (layer("partial", SAME) for _ in range(2))
    x = torch.randn(2, 4, 40, 40, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(2, 4, 40, 40, dtype=torch.float64)
    expected = torch.autograd.grad(
        ((by_the_book(one, x) + x + by_the_book(other, x)) * weight).sum(), x
    )
    found = torch.autograd.grad(((one(x) + x + other(x)) * weight).sum(), x)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_gradient_that_is_the_input(scheme):
    conv = layer(scheme, SAME)
    x = torch.randn(2, 4, 40, 40, dtype=torch.float64, requires_grad=True)
    kept = x.detach().clone()
    inputs = [x, conv.weight]
    expected = torch.autograd.grad(by_the_book(conv, x), inputs, kept)
    torch.testing.assert_close(torch.autograd.grad(conv(x), inputs, x.detach()), expected)
    assert torch.equal(x, kept)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_one_gradient_for_two_threads(scheme):
    """A layer of ours and somebody else's, each in a thread of its own, with one gradient."""
    ours, theirs = layer(scheme, SAME, dtype=torch.float32), nn.Conv2d(4, 4, 3, padding=1)
    x, g = torch.randn(8, 4, 64, 64), torch.randn(8, 4, 64, 64)
    kept, wrong = g.clone(), []

    def work(conv):
        first = None
        for _ in range(40):
            [found] = torch.autograd.grad(conv(x), [conv.weight], g)
            first = found if first is None else first
            if not torch.equal(found, first):
                wrong.append(conv)

    threads = [threading.Thread(target=work, args=(conv,)) for conv in (ours, theirs, ours)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert torch.equal(g, kept)
    assert not wrong


def gradients_that_are_not_ours(shape):
    """Of others: in memory that may only be read, of inference mode, not dense, overlapping."""
    dense = torch.randn(shape, dtype=torch.float64)
    with tempfile.TemporaryFile() as file:
        file.write(dense.numpy().tobytes())
        file.flush()
        memory = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield torch.frombuffer(memory, dtype=torch.float64).view(shape)
    with torch.inference_mode():
        inference = dense.clone()
    yield inference
    yield dense[..., :1].expand(shape)
    yield torch.randn(*shape[:3], 2 * shape[3], dtype=torch.float64)[..., ::2]
    yield dense.to(memory_format=torch.channels_last)
    yield torch.zeros((), dtype=torch.float64).expand(shape)


@pytest.mark.parametrize("size", [(9, 8), (70, 71)])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradients_that_belong_to_somebody_else(scheme, size):
    conv = layer(scheme, SAME)
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    inputs = [x, *conv.parameters()]
    for g in gradients_that_are_not_ours((2, 4, *size)):
        kept = g.clone()
        expected = torch.autograd.grad(by_the_book(conv, x), inputs, kept)
        torch.testing.assert_close(torch.autograd.grad(conv(x), inputs, g), expected)
        assert torch.equal(g, kept)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradients_of_unbatched_inputs(scheme):
    conv = layer(scheme, SAME)
    x = torch.randn(4, 9, 8, dtype=torch.float64, requires_grad=True)
    inputs = [x, *conv.parameters()]
    expected = torch.autograd.grad(by_the_book(conv, x[None]).square().sum(), inputs)
    torch.testing.assert_close(torch.autograd.grad(conv(x).square().sum(), inputs), expected)


def test_what_is_remembered_is_bounded():
    """However many sizes pass by; and little of each."""
    conv = layer("partial", SAME, dtype=torch.float32)
    with torch.no_grad():
        for size in range(3, 700):
            conv(torch.zeros(1, 4, 3, size))
    caches = {f for m in (geometry, border) for f in vars(m).values() if hasattr(f, "cache_info")}
    assert len(caches) == 4
    for cache in caches:
        assert cache.cache_info().currsize <= cache.cache_info().maxsize <= 512
    assert geometry.ratio_map.cache_info().maxsize * 64 * 64 * 8 <= 2**21  # bytes


@pytest.mark.parametrize("scheme", SCHEMES)
def test_hooks_on_tensors_run_once_in_double_backward(scheme):
    conv = layer(scheme, SAME)
    results = []
    for call in (conv, lambda x: by_the_book(conv, x)):
        x = torch.randn(1, 4, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        x.requires_grad_()
        x.register_hook(lambda g: 0.1 * g)
        [first] = torch.autograd.grad(call(x).square().sum(), x, create_graph=True)
        [second] = torch.autograd.grad(first.square().sum(), x)
        results.append((first, second))
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_weight_that_depends_on_the_input(scheme):
    """A hypernetwork: the way through the weight must be counted once."""
    conv = layer(scheme, SAME)

    def gradients(call):
        x = torch.linspace(-1, 1, 4 * 64, dtype=torch.float64).reshape(1, 4, 8, 8).requires_grad_()
        weight = conv.weight.detach() * x.mean()
        output = torch.func.functional_call(call, {"weight": weight}, (x,))
        [first] = torch.autograd.grad(output.square().sum(), x, create_graph=True)
        return first, torch.autograd.grad(first.square().sum(), x)[0]

    class ByTheBook(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = conv.weight

        def forward(self, x):
            conv_now = layer(scheme, SAME)
            del conv_now.weight
            conv_now.weight, conv_now.bias = self.weight, conv.bias
            return by_the_book(conv_now, x)

    torch.testing.assert_close(gradients(conv), gradients(ByTheBook()))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_batched_gradients(scheme):
    conv = layer(scheme, SAME)
    for size in (8, 40):
        x = torch.randn(1, 4, size, size, dtype=torch.float64, requires_grad=True)
        y = conv(x)
        many = torch.randn(3, *y.shape, dtype=torch.float64)
        [together] = torch.autograd.grad(y, x, many, retain_graph=True, is_grads_batched=True)
        alone = [torch.autograd.grad(y, x, one, retain_graph=True)[0] for one in many]
        torch.testing.assert_close(together, torch.stack(alone))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_ensembles_without_gradients(scheme):
    """vmap over weights leaves the batch of the ensemble at dim 1 for the second layer."""
    models = [nn.Sequential(layer(scheme, SAME), layer(scheme, SAME)) for _ in range(3)]
    for model in models:
        nn.init.normal_(model[0].weight)
    stacked = torch.func.stack_module_state(models)
    x = torch.randn(2, 4, 9, 8, dtype=torch.float64)
    with torch.no_grad():
        found = torch.vmap(
            lambda parameters, buffers: torch.func.functional_call(
                models[0], (parameters, buffers), (x,)
            )
        )(*stacked)
        torch.testing.assert_close(found, torch.stack([model(x) for model in models]))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("grad", [True, False])
def test_many_biases_for_one_convolution(grad, dtype):
    conv = layer("partial", SAME, dtype=dtype)
    biases = torch.randn(3, 4, dtype=dtype)
    for size in (9, 150):
        x = torch.randn(1, 4, size, size, dtype=dtype)

        def call(bias, x=x):
            return torch.func.functional_call(conv, {"bias": bias}, (x,))

        with torch.set_grad_enabled(grad):
            found = torch.vmap(call)(biases)
            torch.testing.assert_close(found, torch.stack([call(bias) for bias in biases]))


def test_a_bias_with_gaps():
    conv = layer("partial", SAME)
    table = torch.randn(4, 3, dtype=torch.float64)
    x = torch.randn(1, 4, 200, 9, dtype=torch.float64)
    strided = torch.func.functional_call(conv, {"bias": table[:, 1]}, (x,))
    dense = torch.func.functional_call(conv, {"bias": table[:, 1].clone()}, (x,))
    assert torch.equal(strided, dense)


@pytest.mark.parametrize("scheme", ["partial", "reflect", "replicate"])
def test_what_is_set_after_construction_counts(scheme):
    """As segmentation models dilate a finished backbone."""
    for settings in ({"padding": (2, 2), "dilation": (2, 2)}, {"padding": 2, "stride": [1, 1]}):
        changed, fresh = nn.Conv2d(4, 4, 3, padding=0), nn.Conv2d(4, 4, 3, **settings)
        for name, value in settings.items():
            setattr(changed, name, value)
        changed.load_state_dict(fresh.state_dict())
        x = torch.randn(1, 4, 9, 9)
        pair = [convert_padding(conv, scheme) for conv in (changed, fresh)]
        assert type(pair[0]) is type(pair[1]) is not nn.Conv2d
        torch.testing.assert_close(pair[0](x), pair[1](x))
        assert pair[0](x).shape == convert_padding(changed, "zero")(x).shape
