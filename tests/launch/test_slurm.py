"""Sweeps on a real Slurm: whatever happens to an element, its run ends as if nothing had."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from launch import slurm
from records.run_dir import RunDir
from tests.commands.runs import assert_same_run
from tests.conftest import ROOT, TINY
from tests.launch.cluster import NoCluster, cluster, missing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
]
SETTINGS = [*TINY, "data.backend=synthetic", "data.synthetic_size=[360, 12]", "train.epochs=3"]


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    try:
        with cluster(tmp_path_factory.mktemp("slurm")) as made:
            yield made
    except (NoCluster, subprocess.CalledProcessError) as error:
        pytest.skip(f"Slurm is installed, but cannot run here: {error}")


@pytest.fixture
def sweep(tmp_path):
    """Write a sweep over these seeds; return the words of its commands, and their run.root."""

    def write(seeds, *settings):
        (tmp_path / "run.yaml").write_text(f"base: {ROOT / 'configs/resnet50.yaml'}\n")
        file = tmp_path / "sweep.yaml"
        file.write_text(f"configs: [run.yaml]\ngrid:\n  seed: {seeds}\nnproc_per_node: 1\n")
        return [file, *SETTINGS, *settings, f"run.root={tmp_path / 'runs'}"]

    return write


def ask(*words, module="launch.sweep", code=0):
    done = subprocess.run(
        [sys.executable, "-m", module, *map(str, words)],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def submit(words, *options, module="launch.sweep"):
    return ask(*words, "--submit", "slurm", "--gpus", "0", *options, module=module)


def run(tmp_path, seed):
    return RunDir(tmp_path / "runs" / f"resnet50_zero_seed{seed}")


def state(one):
    return one.state().get("status")


def ledger(words):
    return {line["name"][-1]: line for line in json.loads(ask(*words, "--json"))["runs"]}


def assert_as_if_nothing_had_happened(tmp_path, seeds, *settings):
    place = f"run.root={tmp_path / 'undisturbed'}"
    line = [sys.executable, "train.py", ROOT / "configs/resnet50.yaml", *SETTINGS, *settings, place]
    started = [
        subprocess.Popen(
            [*line, f"seed={seed}"],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for seed in seeds
    ]
    assert [process.wait() for process in started] == [0] * len(started)
    for seed in seeds:
        one = run(tmp_path, seed)
        assert_same_run(one.path, tmp_path / "undisturbed" / one.path.name)


def test_preempted_cancelled_drained_and_requeued(here, sweep, tmp_path):
    words = sweep([1, 2, 3])
    notices = tmp_path / "notices"
    out = submit(words, "--at-once", "2", "--notify", f"cat >> {notices}")
    assert "job array" in out
    seeds = [run(tmp_path, seed) for seed in (1, 2, 3)]
    assert "nothing to submit" in submit(words)  # twice is once
    here.wait(lambda: all(one.metrics_file.exists() for one in seeds[:2]), "the first epochs")
    array = next(job for (name, _), (_, job) in here.jobs().items() if name.startswith("sweep"))
    array = array.partition("_")[0]

    def queued(index):
        states = {job: state for state, job in here.jobs().values()}
        return states.get(f"{array}_{index}")

    here.ask("scontrol", "hold", f"{array}_2")  # two at once: else it may take a place before them

    # Somebody with more to say takes the node: both running elements save their step and wait.
    words_ = ["sbatch", "--parsable", "--partition=high", "--cpus-per-task=4"]
    words_ += [f"--output={tmp_path}/urgent", "--wrap=sleep 1"]
    urgent = here.ask(*words_).strip()
    here.wait(lambda: ("wrap", "N/A") not in here.jobs(), f"job {urgent}")
    assert [state(one) for one in seeds[:2]] == ["interrupted"] * 2
    states = {seed: line["state"] for seed, line in ledger(words).items()}
    assert set(states.values()) <= {"queued", "starting", "running"}
    here.restart_controller()
    here.wait(lambda: all(state(one) == "running" for one in seeds[:2]), "their return")

    # An administrator requeues one; somebody cancels another, which then stays away.
    here.ask("scontrol", "requeue", f"{array}_0")
    here.ask("scancel", f"{array}_1")
    here.ask("scontrol", "release", f"{array}_2")
    here.wait(lambda: state(seeds[1]) == "interrupted", "the cancelled one's end")
    here.wait(lambda: not queued(1), "its leaving the queue")

    # No new ones for a while.
    node = os.uname().nodename.split(".")[0]
    here.ask("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    here.ask("scontrol", "update", f"NodeName={node}", "State=RESUME")

    # The node fails under a run: Slurm kills what is on it without a word, and begins it again.
    here.wait(lambda: state(seeds[2]) == "running", "the third one's start")
    here.ask("scontrol", "update", f"NodeName={node}", "State=DOWN", "Reason=test")
    # Not at once, as here.wait would: this node lives, and still clears its processes away.
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and subprocess.run(["pgrep", "slurmstepd"]).returncode == 0:
        time.sleep(1)
    assert queued(2) == "PENDING"
    resume = ["scontrol", "update", f"NodeName={node}", "State=RESUME"]
    subprocess.run(resume, capture_output=True)  # refused where the node has come back by itself
    here.wait(lambda: not here.jobs(), "the end", seconds=600)
    assert [state(one) for one in seeds] == ["finished", "interrupted", "finished"]
    line = ledger(words)["2"]
    assert (line["state"], line["reason"]) == ("interrupted", seeds[1].status()["reason"])

    out = submit(words, "--notify", f"cat >> {notices}")
    assert ": 1 run;" in out
    here.wait(lambda: state(seeds[1]) == "finished", "the resubmitted one's end")
    here.wait(lambda: not here.jobs(), "the end")
    assert_as_if_nothing_had_happened(tmp_path, (1, 2, 3))
    [notice] = [json.loads(line) for line in notices.read_text().splitlines()]
    assert (notice["event"], notice["runs"]) == ("sweep complete", 1)
    assert min(one["restarts"] for one in list(ledger(words).values())[:2]) >= 1


def test_a_time_limit_costs_nothing(here, sweep, tmp_path):
    longer = "data.synthetic_size=[3600, 12]"
    words = sweep([1], longer, "train.epochs=1")
    # Slurm looks at limits once in half a minute, and a minute is the shortest.
    shown = submit(words, "--time-limit", "1", "--sbatch-option=--signal=B:USR1@50", "--dry-run")
    one = run(tmp_path, 1)
    assert ledger(words)["1"]["state"] == "not started"  # shown is not submitted
    here.ask("sh", "-c", next(line for line in shown.splitlines() if line.startswith("sbatch")))
    assert "nothing to submit" in submit(words)
    here.wait(lambda: state(one) == "interrupted", "the time limit")
    assert one.status()["reason"] == "the file stop"
    [(_, job)] = here.jobs().values()
    here.ask("scontrol", "update", f"JobId={job}", "TimeLimit=UNLIMITED")  # once is enough
    here.wait(lambda: state(one) == "finished", "the end", seconds=600)
    assert json.loads(one.environment_file.read_text())["restarts"] >= 1
    assert_as_if_nothing_had_happened(tmp_path, [1], longer, "train.epochs=1")


def test_failures_are_tried_again_and_told_and_evaluations_are_an_array(here, sweep, tmp_path):
    words = sweep([1, 2], "train.epochs=1")
    blocked = run(tmp_path, 2).path
    blocked.mkdir(parents=True)
    (blocked / "notes").write_text("mine")
    notices = tmp_path / "notices"
    submit(words, "--retries", "1", "--notify", f"cat >> {notices}")
    here.wait(lambda: not here.jobs(), "the end")
    assert state(run(tmp_path, 1)) == "finished"
    [notice] = [json.loads(line) for line in notices.read_text().splitlines()]
    assert (notice["event"], notice["run"]) == ("run failed", "resnet50_zero_seed2")
    [log] = (tmp_path / "runs.launch").glob("slurm/*/*_1.log")
    assert log.read_text().count("exists and is not a run directory") == 2
    assert "trying again (1 left)" in log.read_text()

    paddings = ["--padding", "zero", "partial"]
    out = submit(words, *paddings, module="launch.evaluate")
    assert "1 of 2 runs are not finished, and left out" in out
    here.wait(lambda: not here.jobs(), "the evaluations")
    names = {file.name for file in run(tmp_path, 1).evaluations.glob("*.json")}
    assert names == {"zero.json", "partial.json"}
    assert "0 of 1 finished runs to evaluate" in submit(words, *paddings, module="launch.evaluate")


def test_what_slurm_refuses_is_one_line_and_leaves_nothing(here, sweep, tmp_path, monkeypatch):
    words = sweep([1])
    for options, told in (
        (["--partition", "nowhere"], "sbatch refuses: sbatch: error: invalid partition specified"),
        (["--time-limit", "soon"], "sbatch refuses: sbatch: error: "),
        (["--sbatch-option=--nonsense"], "sbatch refuses: sbatch: unrecognized option"),
        (["--sbatch-file", "nothing"], "--sbatch-file nothing: there is no such file"),
    ):
        out = ask(*words, "--submit", "slurm", "--gpus", "0", *options, code=2)
        [line] = [line for line in out.splitlines() if line.startswith("error: ")]
        assert told in line
        assert "Traceback" not in out
    assert not here.jobs()
    assert not list(tmp_path.glob("runs.launch/slurm/*"))


def test_the_last_elements_requeue_leaves_the_others_alone(here, tmp_path):
    """Its job id is the array's: by that number all would be requeued."""
    script = tmp_path / "sleep.sh"
    script.write_text("#!/bin/sh\nsleep 60\n")
    words = ["sbatch", "--parsable", "--array=0-2", f"--output={tmp_path}/%a", "--requeue", script]
    array = here.ask(*map(str, words)).strip()
    running = lambda: [s for s, _ in here.jobs().values()].count("RUNNING")  # noqa: E731
    here.wait(lambda: running() == 3, "the start")
    slurm.requeue(array, "2")
    found = {index: state for (_, index), (state, _) in here.jobs().items()}
    assert found.pop("2") != "RUNNING"
    assert set(found.values()) == {"RUNNING"}
    here.ask("scancel", array)
    here.wait(lambda: not here.jobs(), "the end")
    assert Path(script).exists()
