"""What a step asks of its device, counted: nothing waits for it, nothing is double precision."""

import pytest
import torch
import torch.distributed as dist
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from benchmarks.trainer import settings, trainer
from data.interface import FILLER_LABEL, Batch
from models import build_scene_model
from tasks import segmentation
from training.distributed import Process
from training.epoch import train_step
from training.state import new_state
from training.sync_bn import SyncBatchNorm2d, synchronize_bn

_READS = {
    torch.ops.aten._local_scalar_dense.default,
    torch.ops.aten.is_nonzero.default,
    torch.ops.aten.masked_select.default,
    torch.ops.aten.nonzero.default,
}
_INDEXING = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default}
_STEPS = 40  # of an epoch, with a look at every second one


class Counts(TorchDispatchMode):
    """Counts what would make a processor wait for a GPU, and operations in double precision."""

    def __init__(self):
        super().__init__()
        self.waits, self.doubles = [], []

    def __torch_dispatch__(self, function, _, arguments=(), options=None):
        result = function(*arguments, **(options or {}))
        chosen = tree_leaves(arguments[1]) if function in _INDEXING else ()
        by_mask = any(getattr(one, "dtype", None) == torch.bool for one in chosen)
        if function in _READS or by_mask:  # the result's shape depends on values
            self.waits.append(f"{function}")
        tensors = [leaf for leaf in tree_leaves(result) if isinstance(leaf, torch.Tensor)]
        if any(tensor.dtype == torch.float64 for tensor in tensors):
            self.doubles.append(f"{function}")
        return result


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_between_two_looks(precision):
    config = settings("resnet50", 4, 32, precision, 4 * _STEPS, "model.num_classes=3")
    with trainer(config, torch.device("cpu"), steps=1) as turn:
        turn()
        turn()
        with Counts() as unlooked:  # the second step ended with a look, the third does not
            turn()
        with Counts() as looked:
            turn()
    assert not unlooked.waits
    assert not unlooked.doubles + looked.doubles


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "tf32", "bf16"])
def test_between_two_looks_on_a_gpu(precision):
    config = settings("resnet50", 4, 32, precision, 4 * _STEPS, "model.num_classes=3")
    with trainer(config, torch.device("cuda"), steps=1) as turn:
        turn()
        turn()
        torch.cuda.set_sync_debug_mode("error")
        try:
            turn()
        finally:
            torch.cuda.set_sync_debug_mode("default")


@pytest.fixture(params=["cpu:gloo,cuda:nccl", None], ids=["SyncBN", "alone"])
def process(request, tmp_path):
    """A process among two, the other of which is absent, or the only one."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not request.param:
        yield Process(0, 1, device, "")
        return
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    yield Process(0, 2, device, request.param)
    dist.destroy_process_group()


def segmentation_step(process):
    """Return what takes a step of segmentation, of which a part is void."""
    device = process.device
    network = ("deeplabv3plus_wrn16_tiny", "partial", 19, (1, 2), "full", True)
    model = build_scene_model(*network).to(device).train()
    synchronize_bn(model, process)
    found = {type(module) for module in model.modules()}
    assert (SyncBatchNorm2d in found) == (process.world > 1)
    state = new_state(model, device, 0.9, 1e-4, False)
    labels = torch.randint(0, 19, (2, 32, 32), device=device)
    labels[:, :8] = FILLER_LABEL
    pixels, index = torch.randn(2, 3, 32, 32, device=device), torch.arange(2, device=device)
    batch = Batch(pixels, labels, index, 2)
    return lambda: train_step(model, batch, segmentation, state, "bf16", 1)


@pytest.mark.skipif(torch.cuda.is_available(), reason="tried on the GPU")
def test_a_step_of_segmentation(process):
    step = segmentation_step(process)
    step()
    with Counts() as counts:
        step()
    assert not counts.waits + counts.doubles


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_of_segmentation_on_a_gpu(process):
    step = segmentation_step(process)
    step()
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
