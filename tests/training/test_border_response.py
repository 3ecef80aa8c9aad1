"""The border's response against plain slices of recorded maps, and where it is known."""

import copy
import math

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torchvision.models.feature_extraction import create_feature_extractor

from models import build_model
from padding import convert_padding
from training.border_response import BorderResponse, border_response
from training.precision import autocast


def small_model():
    """Modes, statistics and sizes of several kinds; ReLUs that write over what they are given."""
    torch.manual_seed(1)
    model = nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.BatchNorm2d(4)),
        nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(2)),
        nn.Conv2d(4, 8, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.AvgPool2d((4, 1)),  # 2 rows: no interior
        nn.AdaptiveAvgPool2d(9),  # larger than it came
        nn.Flatten(),
        nn.Linear(8 * 81, 5),
    )
    model[0][1].running_mean.normal_()
    model[0][1].running_var.uniform_(0.5, 2)
    return model


def sliced(response):
    """Return the means of a map, (N, C, H, W), by writing down what the border is."""
    rows, columns = response[:, :, [0, -1]], response[:, :, 1:-1, [0, -1]]
    border = torch.cat([rows.flatten(), columns.flatten()]).abs().double().mean()
    interior = response[:, :, 1:-1, 1:-1].abs().double().mean()
    return [value.item() for value in (border, interior, border / interior)]


def numbers(response):
    return [response.border, response.interior, response.ratio]


def test_small_model_against_slices():
    model, images = small_model().eval(), torch.randn(3, 3, 16, 20)
    with torch.no_grad():
        first = model[0](images)
        second = model[3](model[2](model[1](first.clone())))
    found = border_response(model, images)
    # 0, before the ReLU inside the next; 4, dropout: the last of four.
    assert list(found) == ["0_16x20", "4_8x10"]
    assert numbers(found["0_16x20"]) == pytest.approx(sliced(first), rel=1e-5)
    assert numbers(found["4_8x10"]) == pytest.approx(sliced(second), rel=1e-5)


@pytest.mark.parametrize("padding", ["zero", "partial"])
def test_resnet_against_torchvisions_feature_extractor(padding):
    torch.manual_seed(2)
    model, images = build_model("resnet50", padding, 5).eval(), torch.randn(2, 3, 96, 96)
    nodes = {"relu": "relu_48x48"}
    nodes |= {f"layer{n}": f"layer{n}_{s}x{s}" for n, s in ((1, 24), (2, 12), (3, 6), (4, 3))}
    with torch.no_grad():
        maps = create_feature_extractor(model, nodes)(images)
    found = border_response(model, images)
    assert list(found) == list(nodes.values())
    for stage, response in found.items():
        assert numbers(response) == pytest.approx(sliced(maps[stage]), rel=1e-4)


@pytest.mark.parametrize(
    ("arch", "stages"),
    [
        ("resnet50", ["relu_16x16", "layer1_8x8", "layer2_4x4"]),
        # Its adaptive pooling enlarges the last map, 1 x 1, to 7 x 7.
        ("vgg16_bn", [f"features.{n}_{s}x{s}" for n, s in ((5, 32), (12, 16), (22, 8), (32, 4))]),
    ],
)
def test_small_images_have_fewer_stages(arch, stages):
    with torch.device("meta"):
        model = build_model(arch, "partial", 2)
    model.classifier = nn.Identity()  # VGG's: most of its weights
    model.to_empty(device="cpu").apply(lambda m: getattr(m, "reset_parameters", lambda: None)())
    assert list(border_response(model, torch.randn(2, 3, 32, 32))) == stages


@pytest.mark.parametrize("scheme", ["zero", "partial", "reflect", "replicate"])
def test_ones_through_ones(scheme):
    """A window of ones sums to 9; with zero padding to 6 at an edge and to 4 in a corner."""
    conv = nn.Conv2d(2, 3, 3, padding=1, bias=False)
    nn.init.ones_(conv.weight)
    found = border_response(convert_padding(conv, scheme), torch.ones(2, 2, 6, 5))
    border = 2 * (4 * 4 + 14 * 6) / 18 if scheme == "zero" else 18.0
    assert found == {f"{type(conv).__name__}_6x5": BorderResponse(border, 18.0, border / 18)}


def test_ratio_where_nothing_responds():
    frame = torch.ones(1, 1, 4, 4)
    frame[..., 1:-1, 1:-1] = 0
    [response] = border_response(nn.Sequential(nn.Identity()), frame).values()
    assert (response.border, response.interior, response.ratio) == (1, 0, math.inf)
    [response] = border_response(nn.Sequential(nn.Identity()), 0 * frame).values()
    assert math.isnan(response.ratio)
    assert border_response(nn.Flatten(), frame) == {}


def test_the_first_32_images_count():
    model, images = small_model(), torch.randn(40, 3, 16, 16)
    assert border_response(model, images) == border_response(model, images[:32])


class Probe(nn.Module):
    def __init__(self, fails):
        super().__init__()
        self.fails = fails

    def forward(self, x):
        assert not self.training
        assert not torch.is_grad_enabled()
        if self.fails:
            raise RuntimeError("on purpose")
        return x


@pytest.mark.parametrize("fails", [False, True])
def test_leaves_no_trace(fails):
    model = small_model().train()
    model[0][1].eval()  # frozen
    model.append(Probe(fails))
    kept = model[2].register_forward_hook(lambda *_: None)
    before = copy.deepcopy(model.state_dict())
    modes = {name: module.training for name, module in model.named_modules()}
    random = torch.get_rng_state()

    if fails:
        with pytest.raises(RuntimeError, match="on purpose"):
            border_response(model, torch.ones(2, 3, 16, 16))
    else:
        border_response(model, torch.ones(2, 3, 16, 16))

    assert {name: module.training for name, module in model.named_modules()} == modes
    assert [name for name, m in model.named_modules() if m._forward_hooks] == ["2"]
    assert list(model[2]._forward_hooks) == [kept.id]
    for key, value in model.state_dict().items():
        assert torch.equal(value, before[key])
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert torch.equal(torch.get_rng_state(), random)
    assert torch.is_grad_enabled()


class Network(nn.Module):
    """torch 2.11 compiles no nn.Sequential by its own compile()."""

    def __init__(self):
        super().__init__()
        self.layers = small_model()

    def forward(self, x):
        return self.layers(x)


def test_goes_round_what_is_compiled_and_leaves_it():
    compiled = []

    def backend(graph, _):
        compiled.append(graph)
        return graph.forward

    torch._dynamo.reset()
    model, images = Network().eval(), torch.randn(2, 3, 16, 16)
    expected = border_response(model, images)
    model.compile(backend=backend, dynamic=False)
    assert border_response(model, images) == expected
    assert compiled == []
    with torch.no_grad():
        output = model(images)
        assert len(compiled) == 1
        assert border_response(model.train(), images) == expected
        torch.testing.assert_close(model.eval()(images), output)
    assert len(compiled) == 1


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_autocast_and_channels_last(precision):
    model, images = small_model(), torch.randn(4, 3, 16, 16)
    expected = border_response(model, images)
    model.to(memory_format=torch.channels_last)
    with autocast(precision, torch.device("cpu")):
        found = border_response(model, images.to(memory_format=torch.channels_last))
    for stage, response in found.items():
        assert numbers(response) == pytest.approx(numbers(expected[stage]), rel=1e-2)
    with autocast(precision, torch.device("cpu")):
        model.train()(images).sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


def test_nothing_waits_for_a_number():
    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            assert func.overloadpacket is not torch.ops.aten._local_scalar_dense
            return func(*args, **(kwargs or {}))

    with Watch():  # one .tolist() at the end is no operation
        assert border_response(small_model(), torch.randn(2, 3, 16, 16))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_host_waits_once(recwarn):
    model, images = small_model().cuda(), torch.randn(2, 3, 16, 16, device="cuda")
    border_response(model, images)  # warm: what libraries do the first time
    recwarn.clear()
    torch.cuda.set_sync_debug_mode("warn")
    try:
        border_response(model, images)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert len([w for w in recwarn if "synchronizing CUDA operation" in str(w.message)]) == 1
