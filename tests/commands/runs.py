"""Runs of train.py as a user starts them, watched, and compared bit by bit."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import torch
from torch.utils._pytree import tree_flatten

from tests.conftest import ROOT, TINY, rows_without_times

CONFIG = "configs/resnet50.yaml"
SETTINGS = [
    *TINY,
    "model.arch=resnet18",  # the loop, not the network, is what breaks here
    *("model.padding=partial", "data.workers=1", "recipe.bn_batch_size=6"),
    *("train.precision=bf16", "train.checkpoint_steps=1", "train.timeout=60"),
]
NAME = "resnet18_partial_seed1"
_TIMES = (*("seconds", "waited", "images_per_second", "data_wait", "teraflops", "peak_fraction"),)


def launch(root, images, *settings, nproc=2, torchrun=(), **environment):
    """Start the run below `root`, and return its process."""
    settings = [*SETTINGS, f"data.root={images}", f"run.root={root}", *settings]
    return start(*settings, nproc=nproc, torchrun=torchrun, **environment)


def start(*settings, nproc, torchrun=(), config=CONFIG, **environment):
    """Start train.py, by torchrun where nproc > 0; return its process, the leader of a group."""
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={nproc}"]
    return subprocess.Popen(
        [sys.executable, *([*launcher, *torchrun] if nproc else []), "train.py", config, *settings],
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


def kill_all(root):
    """Kill torchrun and its workers, which have sessions of their own, without a warning."""
    for pid in processes(root):
        with suppress(ProcessLookupError):  # it has ended meanwhile
            os.kill(pid, signal.SIGKILL)


def finish(root, images, *settings, nproc=2):
    """Give the same command again, to the end; return what it said."""
    process = launch(root, images, *settings, nproc=nproc)
    output = process.communicate()[0]
    assert process.returncode == 0, output
    return output


def parent(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def wait_for(file, process):
    deadline = time.monotonic() + 240
    while not file.exists():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < deadline, f"{file} never came"
        time.sleep(0.02)


def cut_at_operation(root, images, rank, operation, victim):
    """Kill the victim at a file operation; return whether that ended the run, and what it said."""
    faults = f"{ROOT / 'tests' / 'commands' / 'faults'}{os.pathsep}{ROOT}"
    fault = {"FAULT": f"{rank} {operation} {victim}", "PYTHONPATH": faults}
    process = launch(root, images, **fault)
    output = process.communicate(timeout=300)[0]
    assert_all_gone(root)
    return process.returncode != 0, output
