"""A process that lives has said so."""

import time

import torch
from torch.distributed import HashStore

from training.distributed import Process
from training.watch import Watch


def test_a_process_has_spoken_before_it_shows_that_it_lives():
    """So that one that stops in that moment is not told as one that never began."""
    store, spoke = HashStore(), []
    process = Process(0, 2, torch.device("cpu"), "gloo", store=store)
    with Watch(process, 60.0, lambda: spoke.append(store.check(["watch 0"]))):
        deadline = time.monotonic() + 30
        while not spoke and time.monotonic() < deadline:
            time.sleep(0.05)
    assert spoke
    assert all(spoke)
