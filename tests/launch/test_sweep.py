"""The sweep: what it starts, skips and reports."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from launch.sweep import main
from records.run_dir import RunDir
from tests.conftest import ROOT, TINY


@pytest.fixture
def sweep(images, tmp_path):
    (tmp_path / "run.yaml").write_text(
        f"base: {ROOT / 'configs/resnet50.yaml'}\nmodel: {{arch: resnet18}}\n"
    )
    file = tmp_path / "sweep.yaml"
    file.write_text(
        "configs: [run.yaml]\n"
        "grid:\n"
        "  model.padding: [zero, partial]\n"
        "  seed: [1, 2]\n"
        "nproc_per_node: 1\n"
    )
    overrides = [*TINY, f"data.root={images}", f"run.root={tmp_path / 'runs'}", "train.epochs=1"]
    return file, overrides


def test_dry_run_prints_the_commands(sweep, main_of):
    file, overrides = sweep
    code, out, _ = main_of(main, file, "--dry-run", *overrides)
    lines = out.splitlines()
    assert (code, len(lines)) == (0, 4)
    assert "--nproc-per-node=1" in lines[0]
    assert "train.py" in lines[3]
    assert "model.padding=partial seed=2 model.num_classes=3" in lines[3]
    code, out, _ = main_of(main, file, "--dry-run", "--nproc-per-node", "3", *overrides)
    assert "--nproc-per-node=3" in out


def test_runs_what_is_missing_and_says_how_it_stands(sweep, tmp_path, main_of):
    file, overrides = sweep
    file.write_text(file.read_text().replace("seed: [1, 2]", "seed: [1]"))
    code, out, _ = main_of(main, file, "--status", *overrides)
    assert (code, out.count("not started  0/1 epochs")) == (0, 2)
    assert "0 of 2 runs finished" in out

    # One run cannot begin: something else lies in its place. The other one is done all the same.
    blocked = tmp_path / "runs" / "resnet18_zero_seed1"
    blocked.mkdir(parents=True)
    (blocked / "notes").write_text("mine")
    code, out, err = main_of(main, file, *overrides)
    assert code == 1
    assert f"[1/2] {blocked}: not started: {blocked}: exists and is not a run directory" in out
    assert f"1 run did not finish: {blocked} (not started)" in err
    assert "[2/2]" in out
    assert (blocked / "notes").read_text() == "mine"

    finished = tmp_path / "runs" / "resnet18_partial_seed1"
    summary = json.loads((finished / "summary.json").read_text())
    (blocked / "notes").unlink()
    code, out, _ = main_of(main, file, *overrides)
    assert code == 0
    assert f"[2/2] {finished}: finished already" in out
    assert summary == json.loads((finished / "summary.json").read_text())
    # Nothing is left to do, so the images may be gone.
    assert main_of(main, file, *overrides, "data.root=/nowhere")[0] == 0
    code, out, _ = main_of(main, file, "--status", *overrides)
    assert f"{finished}  finished  1/1 epochs  best {summary['best']['val_top1']:.3f}" in out
    assert "2 of 2 runs finished" in out


@pytest.mark.parametrize("how", ["Ctrl-C", "SIGTERM"])
def test_stopping_it_ends_the_workers_and_leaves_a_resumable_run(sweep, tmp_path, how):
    file, overrides = sweep
    process = subprocess.Popen(
        [sys.executable, "-m", "launch.sweep", file, *overrides, "train.epochs=50"],
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as in `sweep ... &`
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    run = RunDir(tmp_path / "runs" / "resnet18_zero_seed1")
    while not (run.checkpoints / "last.pt").exists():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    if how == "Ctrl-C":
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    else:
        process.terminate()  # as a job manager does
    output = process.communicate()[0]
    assert process.returncode == 1
    assert "stopped; the same command goes on where it was" in output
    assert run.status()["status"] == "interrupted"
    with run.lock():  # nobody is training any more
        pass


def test_mistakes_exit_with_2_before_anything_starts(sweep, tmp_path, command):
    file, overrides = sweep
    for mistake, message in (
        ("optim.lrr=3", "optim.lrr: unknown key; did you mean 'optim.lr'?"),
        ("data.root=/nowhere", "/nowhere: has no train/ and val/; set data.root"),
    ):
        done = command("launch.sweep", file, *overrides, mistake, check=False)
        assert done.returncode == 2
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()
