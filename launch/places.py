"""The places that a machine has for runs: its GPUs, or its cores."""

import os
import subprocess
from dataclasses import dataclass

from foundation.errors import UserError
from foundation.words import counted


@dataclass(frozen=True)
class Place:
    """What one run has at a time.

    Attributes:
        gpus: as CUDA_VISIBLE_DEVICES names them; none: it computes on the CPU.
        threads: of each of its processes.
    """

    gpus: tuple[str, ...]
    threads: int

    def environment(self) -> dict[str, str]:
        """Return the environment of its commands; a thread count that the user set stays."""
        # Without a number torchrun sets one thread a process, and says so at length.
        threads = {"OMP_NUM_THREADS": f"{self.threads}"} | dict(os.environ)
        return threads | ({"CUDA_VISIBLE_DEVICES": ",".join(self.gpus)} if self.gpus else {})

    def __str__(self) -> str:
        return f"GPU {','.join(self.gpus)}" if self.gpus else f"{self.threads} threads a process"


def places(processes: int, at_once: int | None = None) -> list[Place]:
    """Return the places for runs of so many processes that this machine has.

    Args:
        processes: of a run, one a GPU.
        at_once: so many places at most.

    Raises:
        UserError: a run needs more GPUs than there are.
    """
    gpus, cores = _gpus(), len(os.sched_getaffinity(0))
    if gpus and len(gpus) < processes:
        raise UserError(
            f"a run has {processes} processes, one a GPU, and this machine "
            f"{counted(len(gpus), 'GPU')}; give --nproc-per-node {len(gpus)} (and see "
            f"recipe.bn_batch_size)"
        )
    number = len(gpus) // processes if gpus else max(1, cores // processes)
    number = min(number, at_once or number)
    threads = max(1, cores // (number * processes))
    return [
        Place(tuple(gpus[index * processes : (index + 1) * processes]), threads)
        for index in range(number)
    ]


def _gpus() -> list[str]:
    """Return the names of the GPUs that may be used; none where there is no driver."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return [name for name in visible.split(",") if name and name != "-1"]
    query = ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return []
    return answer.stdout.split() if answer.returncode == 0 else []
