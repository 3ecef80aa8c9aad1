"""Whatever is killed, and whenever: the same command again ends with the very same run."""

import os
import random
import signal
import time

import pytest

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


def cut_after(root, images, seconds, victim):
    """Kill the victim so many seconds after the start."""
    process = launch(root, images)
    time.sleep(seconds)
    ranks = [pid for pid in processes(root) if pid != process.pid]
    workers = [pid for pid in ranks if f"{process.pid}" == parent(pid)]
    victims = {"launcher": [process.pid], "all": [process.pid, *workers]}
    for pid in victims.get(victim, workers[-1:]):
        os.kill(pid, signal.SIGKILL)
    process.communicate(timeout=300)
    assert_all_gone(root)


@pytest.mark.parametrize(
    ("rank", "operation", "victim"),
    [
        (0, 40, "rank"),
        pytest.param(0, 60, "launcher", marks=pytest.mark.slow),
        pytest.param(0, 66, "all", marks=pytest.mark.slow),
    ],
)
def test_killed_at_a_file_operation(straight, images, tmp_path, rank, operation, victim):
    assert cut_at_operation(tmp_path, images, rank, operation, victim)[0]
    output = finish(tmp_path, images)
    if victim != "launcher":  # whose end the others notice within half a second, as they go on
        assert f"{tmp_path / NAME}: resumed after epoch" in output
    assert_same_run(tmp_path / NAME, straight)


def test_torchrun_killed_before_its_processes_know_each_other(images, tmp_path):
    """They would wait for minutes for its store."""
    process = launch(tmp_path, images)
    while not (workers := [p for p in processes(tmp_path) if parent(p) == f"{process.pid}"]):
        time.sleep(0.02)
    time.sleep(1)  # torch alone takes longer to import
    process.kill()
    process.wait()
    assert workers
    assert_all_gone(tmp_path, within=30)
    assert not (tmp_path / NAME).exists()


def test_killed_in_a_step(straight, images, tmp_path):
    process = launch(tmp_path, images)
    wait_for(tmp_path / NAME / "checkpoints" / "previous.pt", process)
    workers = [pid for pid in processes(tmp_path) if f"{process.pid}" == parent(pid)]
    os.kill(workers[-1], signal.SIGKILL)
    process.communicate(timeout=120)
    assert_all_gone(tmp_path)
    finish(tmp_path, images)
    assert_same_run(tmp_path / NAME, straight)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(30))
def test_killed_at_any_moment(straight, images, tmp_path, number):
    draw = random.Random(number)
    victim = draw.choice(["rank", "launcher", "all"])
    if number % 2:
        cut_at_operation(tmp_path, images, 0, draw.randint(1, 110), victim)
    else:
        cut_after(tmp_path, images, draw.uniform(3, 16), victim)
    finish(tmp_path, images)
    assert_same_run(tmp_path / NAME, straight)
