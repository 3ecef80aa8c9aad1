"""A run that is told to stop saves its exact step, and goes on from it."""

import json
import os
import signal
import time

import pytest

from records.run_dir import RunDir
from tests.commands.runs import (
    NAME,
    assert_all_gone,
    assert_same_run,
    cut_at_operation,
    finish,
    launch,
    parent,
    processes,
    wait_for,
)


def workers(root, process):
    return [pid for pid in processes(root) if parent(pid) == f"{process.pid}"]


def by_torchrun(number):
    return lambda root, process: process.send_signal(number)


def to_one_rank(root, process):
    os.kill(workers(root, process)[-1], signal.SIGUSR1)


def by_file(root, process):
    (root / NAME / "stop").touch()


@pytest.mark.parametrize(
    ("ask", "reason"),
    [
        pytest.param(by_torchrun(signal.SIGTERM), "SIGTERM", marks=pytest.mark.slow),
        pytest.param(by_torchrun(signal.SIGINT), "SIGINT", marks=pytest.mark.slow),
        pytest.param(to_one_rank, "SIGUSR1", marks=pytest.mark.slow),
        (by_file, "the file stop"),
    ],
    ids=["SIGTERM", "SIGINT", "SIGUSR1 to one rank", "file"],
)
def test_told_to_stop(straight, images, tmp_path, ask, reason):
    process = launch(tmp_path, images, "train.checkpoint_steps=0")
    wait_for(tmp_path / NAME / "progress.json", process)
    began = time.monotonic()
    ask(tmp_path, process)
    output = process.communicate(timeout=60)[0]
    assert time.monotonic() - began < 30
    assert_all_gone(tmp_path, within=5)
    run = RunDir(tmp_path / NAME)
    status = run.status()
    assert (status["status"], status["reason"]) == ("interrupted", reason)
    place = f"after epoch {status['epoch']}" + f" and step {status['step']}" * (status["step"] > 0)
    assert f"{run.path}: interrupted ({reason}) {place}; the same command resumes it" in output
    assert not run.stop_file.exists()
    output = finish(tmp_path, images, "train.checkpoint_steps=0")
    assert f"resumed {place} from last.pt (restart 1)" in output
    assert json.loads(run.environment_file.read_text())["restarts"] == 1
    assert_same_run(run.path, straight)


def test_a_second_ctrl_c_ends_at_once(images, tmp_path):
    process = launch(tmp_path, images, "train.epochs=50", nproc=0)
    wait_for(tmp_path / NAME / "checkpoints" / "last.pt", process)
    os.kill(process.pid, signal.SIGSTOP)  # so that both come within one step
    os.kill(process.pid, signal.SIGINT)
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.05)
    assert process.poll() is None
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(1.05)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
    assert process.returncode in (1, -signal.SIGINT)
    assert RunDir(tmp_path / NAME).state()["status"] == "interrupted"
    assert_all_gone(tmp_path)


def test_a_run_is_held_by_one_command(images, tmp_path):
    process = launch(tmp_path, images, "train.epochs=50", nproc=0)
    wait_for(tmp_path / NAME / "progress.json", process)
    second = launch(tmp_path, images, "train.epochs=50", nproc=0)
    output = second.communicate(timeout=60)[0]
    assert second.returncode == 2
    assert "Traceback" not in output
    message = f"error: {tmp_path / NAME}: another command is training this run (process "
    assert f"{message}{process.pid} on " in output
    assert "since 20" in output
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert RunDir(tmp_path / NAME).status()["status"] == "interrupted"


def test_a_process_that_stands_still_is_named(images, tmp_path):
    process = launch(tmp_path, images, "train.epochs=50", "train.timeout=5")
    wait_for(tmp_path / NAME / "checkpoints" / "last.pt", process)  # both have taken a step
    still = workers(tmp_path, process)[-1]
    os.kill(still, signal.SIGSTOP)
    output = process.communicate(timeout=120)[0]
    assert process.returncode == 1
    assert "no step for 5 s (train.timeout): rank 1 (" in output, output
    assert f"process {still}) says nothing more: it was in epoch" in output
    assert_all_gone(tmp_path)


def test_a_dead_process_ends_the_others(images, tmp_path):
    process = launch(tmp_path, images, "train.epochs=50")
    wait_for(tmp_path / NAME / "progress.json", process)
    shared = set(os.listdir("/dev/shm"))
    os.kill(workers(tmp_path, process)[0], signal.SIGKILL)
    began = time.monotonic()
    output = process.communicate(timeout=60)[0]
    assert_all_gone(tmp_path, within=60)
    assert time.monotonic() - began < 60
    assert "Signal 9 (SIGKILL)" in output
    assert "Traceback" not in output.partition("torchrun")[0].partition("torch/distributed")[0]
    assert set(os.listdir("/dev/shm")) <= shared


def test_an_error_of_one_process_is_told_first(images, tmp_path):
    output = cut_at_operation(tmp_path, images, 0, 50, "error")[1]
    before, told, _ = output.partition("RuntimeError: injected fault")
    assert told
    assert "lost the other" not in before  # which rank 1 says if torchrun lets it live so long
    status = RunDir(tmp_path / NAME).status()
    assert (status["status"], status["reason"]) == ("failed", "RuntimeError: injected fault")


@pytest.mark.slow
def test_torchrun_restarts_what_died(straight, images, tmp_path):
    """With --max-restarts it gives the same command again by itself."""
    process = launch(tmp_path, images, torchrun=["--max-restarts=1"])
    wait_for(tmp_path / NAME / "checkpoints" / "previous.pt", process)
    os.kill(workers(tmp_path, process)[-1], signal.SIGKILL)
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    assert json.loads((tmp_path / NAME / "environment.json").read_text())["restarts"] == 1
    assert_same_run(tmp_path / NAME, straight)


@pytest.mark.slow
def test_another_number_of_processes_goes_on(images, tmp_path):
    """2, 1 and 3 processes: every image once an epoch, in the order of the plan."""
    run = RunDir(tmp_path / NAME)
    # Gradients through BN of two images explode; and the file is looked for once a second, by when
    # two epochs can be over.
    settings = ["optim.lr=1e-30", "train.epochs=8"]
    for nproc in (2, 1):
        run.progress_file.unlink(missing_ok=True)
        process = launch(tmp_path, images, *settings, nproc=nproc)
        wait_for(run.progress_file, process)
        run.stop_file.touch()
        output = process.communicate(timeout=60)[0]
        assert run.status()["status"] == "interrupted", output
    output = finish(tmp_path, images, *settings, nproc=3)
    assert "warning: resumed with another world_size: 2 -> 3" in output
    rows = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    assert [row["epoch"] for row in rows] == list(range(8))
    for row in rows:
        assert row["train_top1"] * 31 / 100 == pytest.approx(round(row["train_top1"] * 31 / 100))
        assert row["val_count"] == 17
