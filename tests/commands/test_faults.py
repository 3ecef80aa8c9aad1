"""Whatever is killed, and whenever: the same command again ends with the very same run."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_flatten

from tests.conftest import ROOT, TINY, rows_without_times

CONFIG = "configs/resnet50.yaml"
SETTINGS = [
    *TINY,
    *("model.padding=partial", "data.workers=1", "recipe.bn_batch_size=6"),
    *("train.precision=bf16", "train.checkpoint_steps=1", "train.timeout=60"),
]
NAME = "resnet50_partial_seed1"
_TIMES = ("seconds", "waited", "images_per_second", "data_wait")


def launch(root, images, *settings, nproc=2, **environment):
    """Start the run below `root`, and return its process."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={nproc}"]
    line = [sys.executable, *(torchrun if nproc else []), "train.py", CONFIG, *SETTINGS]
    return subprocess.Popen(
        [*line, f"data.root={images}", f"run.root={root}", *settings],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def content(file):
    """Return what a checkpoint says, but for times."""
    saved = torch.load(file, weights_only=True)
    for table in (*saved.get("rows", []), *(p["sums"] for p in saved.get("processes", []))):
        for time_ in _TIMES:
            table.pop(time_, None)
    return saved


def assert_same_run(one, other):
    """Compare all that a run leaves and that is no time, bit by bit."""
    assert rows_without_times(one) == rows_without_times(other)
    summaries = [json.loads((run / "summary.json").read_text()) for run in (one, other)]
    assert [s.pop("seconds") > 0 for s in summaries] == [True, True]
    assert summaries[0] == summaries[1]
    names = {file.name for file in (one / "checkpoints").iterdir()}
    assert names == {file.name for file in (other / "checkpoints").iterdir()}
    assert not {file.name for file in one.rglob(".*")} - {".lock"}
    for name in names:
        (left, shape), (right, other_shape) = (
            tree_flatten(content(run / "checkpoints" / name)) for run in (one, other)
        )
        assert shape == other_shape, name
        for a, b in zip(left, right, strict=True):
            assert torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b, name


def assert_all_gone(root, within=60):
    """Wait for the end of all processes of the run below `root`."""
    deadline = time.monotonic() + within
    while found := list(processes(root)):
        assert time.monotonic() < deadline, f"{found} outlive their run"
        time.sleep(0.1)


def processes(root):
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"run.root={root}".encode() in (folder / "cmdline").read_bytes():
                yield int(folder.name)
        except (FileNotFoundError, ProcessLookupError):
            continue


def finish(root, images, *settings, nproc=2):
    """Give the same command again, to the end; return what it said."""
    process = launch(root, images, *settings, nproc=nproc)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    return output


@pytest.fixture(scope="module")
def straight(images, tmp_path_factory):
    """The run that nobody disturbs."""
    root = tmp_path_factory.mktemp("straight")
    finish(root, images)
    return root / NAME


def cut_at_operation(root, images, rank, operation, victim):
    """Kill the victim at a file operation; return whether the run had come that far."""
    faults = f"{ROOT / 'tests' / 'commands' / 'faults'}{os.pathsep}{ROOT}"
    fault = {"FAULT": f"{rank} {operation} {victim}", "PYTHONPATH": faults}
    process = launch(root, images, **fault)
    output = process.communicate(timeout=300)[0]
    assert_all_gone(root)
    return process.returncode != 0, output


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


def parent(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return ""


@pytest.mark.parametrize(
    ("rank", "operation", "victim"), [(0, 40, "rank"), (0, 60, "launcher"), (0, 75, "all")]
)
def test_killed_at_a_file_operation(straight, images, tmp_path, rank, operation, victim):
    assert cut_at_operation(tmp_path, images, rank, operation, victim)[0]
    output = finish(tmp_path, images)
    assert f"{tmp_path / NAME}: resumed after epoch" in output
    assert_same_run(tmp_path / NAME, straight)


def test_killed_in_a_step(straight, images, tmp_path):
    process = launch(tmp_path, images)
    wait_for(tmp_path / NAME / "checkpoints" / "previous.pt", process)
    workers = [pid for pid in processes(tmp_path) if f"{process.pid}" == parent(pid)]
    os.kill(workers[-1], signal.SIGKILL)
    process.communicate(timeout=120)
    assert_all_gone(tmp_path)
    finish(tmp_path, images)
    assert_same_run(tmp_path / NAME, straight)


def wait_for(file, process):
    deadline = time.monotonic() + 240
    while not file.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.02)


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
