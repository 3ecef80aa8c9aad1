"""BN over all processes equals plain BN of their images together: values, gradients, a step."""

import copy

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn

from data.interface import FILLER_LABEL, Batch
from models import build_scene_model
from tasks import segmentation
from training.distributed import Process, data_parallel
from training.epoch import train_step
from training.flops import count_flops
from training.state import new_state
from training.sync_bn import synchronize_bn

WORLD = 2  # with an image each
CPU = torch.device("cpu")
# dtype: distance of the values from zero, and tolerances. A variance that is taken as a difference
# of two sums would have no digits left.
CASES = {
    torch.float64: (1000, {"rtol": 1e-8, "atol": 1e-8}),
    torch.float32: (100, {"rtol": 1e-4, "atol": 1e-3}),
    torch.bfloat16: (0, {"rtol": 2e-2, "atol": 2e-2}),
}


@pytest.fixture(scope="module")
def together(tmp_path_factory):
    """Return what each of two processes computed."""
    folder = tmp_path_factory.mktemp("processes")
    mp.spawn(_one, (f"{folder}",), nprocs=WORLD)
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(WORLD)]


def _one(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORLD
    )
    process = Process(rank, WORLD, CPU, "gloo")
    layers = [through_layer(process, dtype) for dtype in CASES]
    found = {"layers": layers, "step": after_a_step(process)}
    if not rank:  # alone: whoever asked the other for something would wait for ever
        counted = count_flops(synchronize_bn(network(), process), (3, 32, 32))
        found["flops"] = counted.forward, counted.backward
    torch.save(found, f"{folder}/{rank}.pt")
    dist.destroy_process_group()


ALONE = Process(0, 1, CPU, "")


def through_layer(process, dtype):
    """Return output, gradients and running statistics of this process's images."""
    torch.manual_seed(1)
    bn = nn.BatchNorm2d(5, dtype=torch.float64 if dtype == torch.float64 else torch.float32)
    for tensor in (bn.weight, bn.bias, bn.running_mean):
        nn.init.normal_(tensor)
    model = synchronize_bn(nn.Sequential(bn), process)
    assert list(model.state_dict())[0] == "0.weight"
    x = torch.randn(WORLD, 5, 3, 4, dtype=torch.float64) + CASES[dtype][0]
    x = x.to(dtype).chunk(process.world)[process.rank].requires_grad_()
    y = model(x)
    (y.double() ** 3).sum().backward()
    found = {"images": [y.detach(), x.grad]}
    found["parameters"] = [parameter.grad for parameter in model.parameters()]
    return found | {"buffers": list(model.buffers())}


@pytest.mark.parametrize("number", range(len(CASES)), ids=[f"{dtype}" for dtype in CASES])
def test_layer_equals_bn_of_the_joined_batch(number, together):
    dtype, (_, close) = list(CASES.items())[number]
    expected = through_layer(ALONE, dtype)
    one, two = (found["layers"][number] for found in together)
    kinds = {kind: zip(one[kind], two[kind], expected[kind], strict=True) for kind in expected}
    for a, b, whole in kinds["images"]:
        torch.testing.assert_close(torch.cat([a, b]), whole, **close)
    # Those of parameters are of a process's own images: DDP puts them together.
    for a, b, whole in kinds["parameters"]:
        torch.testing.assert_close(a + b, whole, **close)
    for a, b, whole in kinds["buffers"]:
        assert torch.equal(a, b)
        torch.testing.assert_close(a, whole, **close)


def scenes(process):
    torch.manual_seed(4)
    pixels = torch.randn(WORLD, 3, 32, 32, dtype=torch.float64)
    labels = torch.randint(0, 19, (WORLD, 32, 32))
    labels[:, :4] = FILLER_LABEL  # equally many in each image: the mean of means is the mean
    parts = (tensor.chunk(process.world)[process.rank] for tensor in (pixels, labels))
    return Batch(*parts, torch.arange(WORLD).chunk(process.world)[process.rank], WORLD)


def network():
    torch.manual_seed(3)
    model = build_scene_model("deeplabv3plus_wrn16_tiny", "partial", 19, (1, 2), "full", True)
    for module in model.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0  # each process draws its own
    return model.double()


def after_a_step(process):
    model = synchronize_bn(network(), process).train()
    state = new_state(model, CPU, 0.9, 1e-4, False)
    for group in state.optimizer.param_groups:
        group["lr"] = 0.1
    wrapped = data_parallel(model, process) if process.world > 1 else model
    train_step(wrapped, scenes(process), segmentation, state, "fp32", process.world)
    return model.state_dict()


def test_a_step_of_two_processes_is_the_step_of_one(together):
    """With an image each: the image pool has one number a channel, and BN needs the other's."""
    expected, fresh = after_a_step(ALONE), network().state_dict()
    for found in together:
        torch.testing.assert_close(found["step"], expected, rtol=1e-8, atol=1e-10)
    moved = [key for key, value in expected.items() if not torch.equal(value, fresh[key])]
    assert len(moved) > 0.9 * len(fresh)


def test_operations_are_counted_by_one_process_and_are_those_of_plain_bn(together):
    plain = count_flops(network(), (3, 32, 32))
    assert together[0]["flops"] == (plain.forward, plain.backward)


def test_alone_it_stays_plain():
    model = nn.Sequential(nn.BatchNorm2d(5))
    before = copy.deepcopy(model)
    assert synchronize_bn(model, ALONE) is model
    assert type(model[0]) is nn.BatchNorm2d
    x = torch.randn(2, 5, 3, 4)
    assert torch.equal(model(x), before(x))
