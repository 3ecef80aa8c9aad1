"""Between two steps: sums, requests, work beside the training."""

import os
import signal
import threading
import time

import pytest
import torch
from torch import nn

from data.interface import Batch
from foundation.files import FileError
from tasks import classification
from training import rendezvous
from training.background import Background
from training.distributed import Process, StopRequested
from training.epoch import evaluate, train_step
from training.state import host_copy, new_state
from training.stop import Requests
from training.sums import StepResult, Sums, added, in_order

CPU = torch.device("cpu")
ALONE = Process(0, 1, CPU, "")


def result(step, loss, counts=(1, 2), overflow=False):
    tensors = torch.tensor(loss), torch.tensor(counts), torch.tensor(overflow)
    return StepResult(step, 0.1, torch.arange(2), *tensors)


def test_sums_do_not_depend_on_when_they_are_taken():
    results = [result(step, 0.1 * step + 1e-3, (step, 8)) for step in range(1, 30)]
    whole, pieces = Sums(), Sums()
    assert whole.add(results) is None
    for start in range(0, 29, 7):
        assert pieces.add(results[start : start + 7]) is None
    assert whole == pieces
    assert whole.counts == [sum(range(1, 30)), 8 * 29]
    assert whole.loss == pytest.approx(sum(0.1 * step + 1e-3 for step in range(1, 30)))
    assert Sums().add([]) is None


def test_the_first_loss_that_is_no_number_is_found():
    results = [result(1, 1.0), result(2, 2.0), result(3, float("inf")), result(4, float("nan"))]
    found, loss = Sums().add(results)
    assert (found.step, loss) == (3, float("inf"))


def test_sums_of_several_processes():
    parts = [Sums(1.5, [1, 4], 1, 2.0, 0.5), Sums(2.5, [3, 4], 0, 3.0, 0.25), Sums()]
    assert added(parts) == Sums(4.0, [4, 8], 1, 3.0, 0.5)
    assert in_order([1e16, 1.0, -1e16]) == 0.0  # not what a compensated sum gives


def test_steps_that_fp16_skips_are_counted_and_not_fatal():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    state = new_state(model, CPU, 0.9, 0.0, fp16=True)
    state.optimizer.param_groups[0]["lr"] = 0.1
    state.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**40)  # beyond float16
    batch = Batch(torch.randn(8, 3, 2, 2), torch.randint(3, (8,)), torch.arange(8), 8)
    before = model[1].weight.clone()
    sums = Sums()
    for step in range(40):
        computed = train_step(model, batch, classification, state, "fp16", 1)
        assert sums.add([StepResult(step, 0.1, batch.index, *computed)]) is None
    assert 10 < sums.overflows < 40
    assert not torch.equal(model[1].weight, before)
    assert all(parameter.isfinite().all() for parameter in model.parameters())


def test_signals_are_noted_and_raise_nothing(tmp_path):
    handlers = [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)]
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
        with Requests(ALONE, tmp_path / "stop") as requests:
            assert not requests.agreed()
            os.kill(os.getpid(), number)
            assert requests.agreed()
            assert requests.own() == requests.anywhere() == number.name
    assert handlers == [signal.getsignal(one) for one in (signal.SIGTERM, signal.SIGUSR1)]


def test_a_file_asks_once(tmp_path):
    file = tmp_path / "stop"
    with Requests(ALONE, file) as requests:
        assert requests.own() == ""
        file.touch()
        time.sleep(1.1)
        assert requests.own() == "the file stop"
        assert not file.exists()
    with Requests(ALONE, file) as requests:
        assert requests.own() == ""


def test_an_evaluation_can_be_broken_off():
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    seen = []

    def batches():
        for number in range(10):
            seen.append(number)
            labels, index = torch.randint(3, (2,)), torch.arange(2 * number, 2 * number + 2)
            yield Batch(torch.randn(2, 3, 2, 2), labels, index, 2)

    with pytest.raises(StopRequested, match="SIGTERM"):
        evaluate(model, batches(), classification, "fp32", 20, lambda: "SIGTERM" * (len(seen) == 3))
    assert len(seen) == 3


def test_work_beside_the_training():
    begun, go_on = threading.Event(), threading.Event()
    done = []

    def work():
        begun.set()
        go_on.wait()
        done.append(1)

    def full():
        raise FileError("no room")

    with Background() as background:
        background.begin(work)
        begun.wait()
        background.check()  # still at it
        assert not done
        go_on.set()
        background.begin(lambda: done.append(2))  # after what was begun before
        background.wait()
        assert done == [1, 2]
        background.begin(full)
        with pytest.raises(FileError, match="no room"):
            background.wait()
        background.wait()  # told once
        background.begin(lambda: done.append(3))
    assert done == [1, 2, 3]


def test_what_is_saved_is_a_copy():
    weight = torch.ones(3)
    state = {"a": [weight, {"b": weight}], "c": (1, "x")}
    copy = host_copy(state)
    weight.add_(1)
    assert torch.equal(copy["a"][0], torch.ones(3))
    assert torch.equal(copy["a"][1]["b"], torch.ones(3))
    assert copy["c"] == (1, "x")


def test_processes_meet_those_of_their_own_start():
    """In one store, whatever an earlier start has left there."""
    store = torch.distributed.HashStore()
    for start in range(3):
        names = {}

        def meet(rank, names=names):
            part = rendezvous.fresh(store, rank, 3)
            part.set(f"rank {rank}", f"{rank}")
            names[rank] = part

        threads = [threading.Thread(target=meet, args=(rank,)) for rank in (2, 0, 1)]
        for thread in threads:
            thread.start()
            time.sleep(0.1 * start)
        for thread in threads:
            thread.join(10)
        for part in names.values():
            assert [part.get(f"rank {rank}") for rank in range(3)] == [b"0", b"1", b"2"]
        assert not names[0].check(["left over"])
        names[0].set("left over", "")
