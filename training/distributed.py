"""One body for one or many processes: the only reader of torchrun's environment variables."""

import gc
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from foundation.errors import UserError, flush_output
from training import network, rendezvous

T = TypeVar("T")


class SharedError(UserError):
    """A UserError that every process raises alike, so one a machine shows it."""


class StopRequested(Exception):
    """Somebody asked for the end of the run; every process raises it after the same step."""


@dataclass(frozen=True)
class Process:
    """This process among those of the run.

    Attributes:
        rank: 0 is the one that writes.
        world: number of processes.
        device: where this process computes.
        backend: of the process group; '' for a single process.
        local_rank: among those of this machine; 0 is the one that speaks there.
    """

    rank: int
    world: int
    device: torch.device
    backend: str
    local_rank: int = 0
    store: dist.Store | None = None  # where processes leave each other a word; None: there are none

    @property
    def is_first(self) -> bool:
        """Tell whether this is the process that writes."""
        return self.rank == 0


def start() -> Process:
    """Join the processes that torchrun started; without torchrun, be the only one."""
    gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    local_rank = int(os.environ.get("LOCAL_RANK", 0))
    device = torch.device("cuda", local_rank % gpus) if gpus else torch.device("cpu")
    if gpus:
        torch.cuda.set_device(device)
    if "RANK" not in os.environ:
        return Process(0, 1, device, "")
    # NCCL needs a GPU for every process; processes that share one talk through gloo.
    shared = int(os.environ.get("LOCAL_WORLD_SIZE", 1)) > gpus
    backend = "gloo" if shared else "cpu:gloo,cuda:nccl"
    store, rank, world = next(dist.rendezvous("env://"))
    store = rendezvous.fresh(store, rank, world)
    network.choose_interface(dist.PrefixStore("network", store), rank, world)
    group = dist.PrefixStore("group", store)
    dist.init_process_group(backend, store=group, rank=rank, world_size=world)
    return Process(rank, world, device, backend, local_rank, dist.PrefixStore("run", store))


@contextmanager
def command() -> Iterator[Process]:
    """Run a command's body: join the processes, turn a UserError into one line and exit code 2."""
    process = start()
    try:
        yield process
    except UserError as error:
        shared = isinstance(error, SharedError)
        # One that only this process met would otherwise never be seen.
        if process.local_rank == 0 or not shared:
            print(f"error: {error}", file=sys.stderr, flush=True)
        _let_go(error)
        if shared:
            _leave()
        sys.exit(2)
    except StopRequested as error:
        _let_go(error)
        _leave()
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(1)
    except (RuntimeError, dist.DistError) as error:
        if not _is_lost(error):
            raise
        told = f"lost the other processes ({str(error).splitlines()[0]}); one of them says why"
        print(f"error: rank {process.rank}: {told}", file=sys.stderr, flush=True)
        os._exit(1)  # the group is broken: nobody can part from it
    except BrokenPipeError:  # nobody reads what it says any more
        flush_output()
        sys.exit(1)
    _leave()


def _is_lost(error: Exception) -> bool:
    """Return whether an error is that of a collective whose other processes are gone."""
    return isinstance(error, dist.DistError) or "gloo/transport" in str(error)


def _let_go(error: BaseException) -> None:
    """Forget what an error's frames hold, a loader above all, whose workers then end at once.

    The interpreter's end would terminate them, which they obey late (torchvision_loader.py).
    """
    chain: BaseException | None = error
    while chain is not None:
        traceback.clear_frames(chain.__traceback__)
        chain = chain.__context__
    gc.collect()


def _leave() -> None:
    """Part from the other processes, which do the same; alone it could wait for them for ever.

    Without it, a thread of the process group that meets the interpreter's end aborts the process.
    """
    if dist.is_initialized():
        dist.destroy_process_group()


def agree(function: Callable[[], T]) -> T:
    """Call `function` on every process and return each its own result.

    Raises:
        SharedError: on all processes when any met a UserError, so that none waits for another.
    """
    result, message = None, None
    try:
        result = function()
    except UserError as error:
        message = str(error)
    first = next((text for text in gather(message) if text is not None), None)
    if first is not None:
        raise SharedError(first)
    return result  # type: ignore[return-value]


def on_first(process: Process, function: Callable[[], T]) -> T:
    """Call `function` on the first process alone and return its result on all of them.

    Raises:
        SharedError: on all processes when the first met a UserError.
    """
    box: list[Any] = [agree(function if process.is_first else lambda: None)]
    if dist.is_initialized():
        dist.broadcast_object_list(box, src=0)
    return box[0]


def gather(value: T) -> list[T]:
    """Return every process's `value` in rank order, on all of them."""
    values = [value]
    if dist.is_initialized():
        values *= dist.get_world_size()
        dist.all_gather_object(values, value)
    return values


def sum_over_processes(values: Tensor) -> Tensor:
    """Return the elementwise sum over all processes."""
    if dist.is_initialized():
        values = values.clone()
        dist.all_reduce(values)
    return values


def gather_on_first(process: Process, value: Any) -> list[Any]:
    """Return every process's `value` in rank order on the first process, [] on the others."""
    if not dist.is_initialized():
        return [value]
    box: list[Any] | None = [None] * process.world if process.is_first else None
    dist.gather_object(value, box, dst=0)
    return box or []


def share_buffers(model: nn.Module) -> None:
    """Give every process the first one's buffers: the running statistics of BN.

    The first process's statistics are the ones that DataParallel kept, and so the paper's models.
    """
    if dist.is_initialized():
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


def data_parallel(model: nn.Module, process: Process) -> nn.Module:
    """Wrap `model` so that backward averages the gradients over the processes."""
    if not dist.is_initialized():
        return model
    # Running statistics do not enter the training forward, so sharing them once an epoch
    # (share_buffers) gives the same model as DDP's broadcast in every step.
    renamed = "forward_sync_buffers"  # torch >= 2.15
    known = inspect.signature(DistributedDataParallel).parameters
    no_sync = {renamed if renamed in known else "broadcast_buffers": False}
    device_ids = [process.device] if process.device.type == "cuda" else None
    return DistributedDataParallel(
        model, device_ids=device_ids, gradient_as_bucket_view=True, **no_sync
    )
