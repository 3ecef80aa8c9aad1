"""Pools of workers that do not outlast what they work for."""

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import TypeVar

Pool = TypeVar("Pool", bound=Executor)


@contextmanager
def ended_early(pool: Pool) -> Iterator[Pool]:
    """Give out the pool; an error or Ctrl-C in the block waits for running jobs, not for all."""
    with pool:
        try:
            yield pool
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
