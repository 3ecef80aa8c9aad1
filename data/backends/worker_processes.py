"""Steps prepared in DataLoader's worker processes: limits named before, deaths named after."""

import shutil
import signal
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from data.plan.steps import Step
from data.store.dataset import DataError
from data.store.machine import demand_open_files

_SHARED_MEMORY = "/dev/shm"
_GRACE = 10  # s
_NOTICE = 1  # s until a dead worker is known to be dead
_PREFETCH = 2  # steps each worker prepares ahead
_FILES = 10  # open in this process for each worker: pipes, and the batches on their way


def step_loader(
    dataset: Dataset,
    steps: Iterable[Step],
    workers: int,
    step_bytes: int,
    device: torch.device,
    instead: str = "",
) -> DataLoader:
    """Return what makes each of the steps in one of the workers.

    Args:
        dataset: a map from a step to what a worker made of it.
        steps: what it is asked for.
        workers: processes; 0: this one.
        step_bytes: most bytes of what is made of a step.
        device: where it goes.
        instead: what else helps where /dev/shm is small, for the message.

    Raises:
        DataError: /dev/shm, through which the workers hand over what they made, is too small, or
            too few files may be open.
    """
    if workers:
        demand_open_files(_FILES * workers)
        _check_shared_memory(workers * (_PREFETCH + 1) * step_bytes, instead)
    return DataLoader(
        dataset,
        sampler=steps,
        batch_size=None,  # a step is one item: workers build whole batches
        num_workers=workers,
        prefetch_factor=_PREFETCH if workers else None,
        persistent_workers=workers > 0,
        worker_init_fn=_leave_signals_to_the_parent if workers else None,
        pin_memory=device.type == "cuda",
        generator=torch.Generator(),  # or it would draw from the stream of dropout
    )


def made(loader: DataLoader) -> Iterator[Any]:
    """Yield what the workers made of the steps.

    Raises:
        DataError: what a worker returned as a text; or a worker was killed.
    """
    try:
        for item in loader:
            if isinstance(item, str):  # raised here: DataLoader would add a traceback
                raise DataError(item)
            yield item
    except (RuntimeError, ConnectionError, FileNotFoundError, EOFError) as error:
        if not loader.num_workers or str(error).startswith("Caught "):  # within a worker
            raise
        if isinstance(error, RuntimeError):
            if "DataLoader worker" not in str(error):
                raise
            reason = str(error).partition(". ")[0]
        else:  # a batch that it had ready is gone with it
            reason = str(error) or type(error).__name__
            with suppress(RuntimeError):
                time.sleep(_NOTICE)  # here, and not anywhere later, DataLoader's signal handler
                # is to raise what it knows
        raise DataError(
            f"a loader worker was killed ({reason}); if memory ran out, lower data.workers; if "
            f"{_SHARED_MEMORY} did, enlarge it (docker run --shm-size)"
        ) from error


def _check_shared_memory(needed: int, instead: str) -> None:
    try:
        free = shutil.disk_usage(_SHARED_MEMORY).free
    except OSError:
        return  # not Linux
    if free < needed:
        raise DataError(
            f"{_SHARED_MEMORY} has {free / 2**20:.0f} MiB left, the loader's workers need "
            f"{needed / 2**20:.0f}; enlarge it (docker run --shm-size), lower data.workers{instead}"
        )


def _leave_signals_to_the_parent(worker: int) -> None:
    # torchrun and Ctrl-C signal the whole process group; a worker that died first would make an
    # interrupted run look like a failed one. But SIGTERM is also how Python, on its way out, ends
    # workers that it then waits for: they obey late.
    for request in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(request, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_GRACE))
