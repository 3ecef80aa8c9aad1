"""Several runs at a time on this machine: stopped at their exact step, and watched."""

import json
import os
import pty
import signal
import subprocess
import sys
import time

import pytest
import torch
import torchvision

from configs.load import load
from launch.costs import NETWORKS, disk
from launch.sweep import main
from models import ARCHITECTURES, SCENE_ARCHITECTURES, build_model
from records.run_dir import RunDir
from tests.commands.runs import assert_same_run
from tests.conftest import ROOT, TINY
from training.flops import count_flops

SETTINGS = [*TINY, "data.backend=synthetic", "data.synthetic_size=[120, 12]", "train.epochs=2"]


@pytest.fixture
def sweep(tmp_path):
    """A sweep of two runs of a process each; the words of its commands."""
    (tmp_path / "run.yaml").write_text(f"base: {ROOT / 'configs/resnet50.yaml'}\n")
    file = tmp_path / "sweep.yaml"
    file.write_text("configs: [run.yaml]\ngrid:\n  seed: [1, 2]\nnproc_per_node: 1\n")
    return [str(file), *SETTINGS, f"run.root={tmp_path / 'runs'}"]


def begin(words, **streams):
    return subprocess.Popen(
        [sys.executable, "-m", "launch.sweep", *words],
        cwd=ROOT,
        env=os.environ | {"CUDA_VISIBLE_DEVICES": "", "COLUMNS": "150", "LINES": "50"},
        start_new_session=True,
        **streams,
    )


@pytest.mark.slow
def test_ctrl_c_stops_all_at_their_exact_step(sweep, tmp_path):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    runs = [RunDir(tmp_path / "runs" / f"resnet50_zero_seed{seed}") for seed in (1, 2)]
    process = begin(sweep, **pipes)
    while not all(run.progress_file.exists() for run in runs):
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    output = process.communicate(timeout=60)[0]
    assert process.returncode == 1
    assert "stopping: waiting for 2 to end" in output
    assert "stopped; the same command goes on where it was" in output
    for run in runs:
        assert run.status()["status"] == "interrupted"
        assert f"{run.path}: begins on 1 threads a process; its console: " in output
        log = tmp_path / "runs.launch" / "console" / f"{run.path.name}.log"
        assert f"{run.path}: interrupted" in log.read_text()
        assert not run.stop_file.exists()
    process = begin([*sweep, "--notify", f"cat > {tmp_path}/notice"], **pipes)
    output = process.communicate(timeout=240)[0]
    assert process.returncode == 0, output
    assert json.loads((tmp_path / "notice").read_text())["event"] == "sweep complete"
    undisturbed = [word for word in sweep[1:] if not word.startswith("run.root")]
    line = [sys.executable, "train.py", "configs/resnet50.yaml", *undisturbed]
    place = f"run.root={tmp_path / 'undisturbed'}"
    subprocess.run([*line, "seed=2", place], cwd=ROOT, check=True, capture_output=True)
    assert_same_run(runs[1].path, tmp_path / "undisturbed" / runs[1].path.name)


@pytest.mark.slow
def test_a_live_table_on_a_terminal(sweep):
    screen, end = pty.openpty()
    process = begin(sweep, stdout=end, stderr=end, stdin=end)
    os.close(end)
    seen = b""
    while True:
        try:
            seen += os.read(screen, 65536)
        except OSError:  # nobody has the other end any more
            break
    assert process.wait() == 0
    text = seen.decode()
    assert "plan of" in text
    for title in ("epoch", "images/s", "ETA", "restarts"):
        assert title in text
    assert "running" in text
    assert "2 of 2 runs finished, " in text


def test_the_plan_says_what_it_goes_by(tmp_path, main_of):
    paper = ROOT / "configs/sweeps/tables_2_3.yaml"
    code, out, err = main_of(main, paper, "--dry-run", f"run.root={tmp_path}")
    assert (code, len(out.splitlines())) == (0, 100)
    assert "100 of 100 runs to do" in err
    assert "GPU-hours by a published figure, as no epoch is measured yet: 357 images/s a GPU" in err
    assert "264 GB of checkpoints when all are finished" in err
    words = ["--only", "model.arch=resnet50", "--only", "seed=1", "--images-per-second", "1000"]
    err = main_of(main, paper, "--dry-run", *words, f"run.root={tmp_path}")[2]
    # 100 epochs of 1,281,167 images, and 50,000 forward passes, a third as long
    assert f"{4 * 100 * (1281167 + 50000 / 3) / 1000 / 3600:.0f} GPU-hours" in err
    assert "by --images-per-second 1000 (4 runs)" in err


@pytest.mark.parametrize("arch", NETWORKS)
def test_work_is_the_networks(arch):
    if arch in ARCHITECTURES and arch != "wrn38":
        published = torchvision.models.get_model_weights(arch)["IMAGENET1K_V1"].meta
        assert NETWORKS[arch].multiply_adds == pytest.approx(published["_ops"], abs=5e-4)
        assert NETWORKS[arch].parameters == published["num_params"]
        return
    with torch.device("meta"):
        model = ARCHITECTURES[arch]() if arch == "wrn38" else SCENE_ARCHITECTURES[arch]()
    counted = count_flops(model, (3, 224, 224)).forward / 2e9
    assert NETWORKS[arch].multiply_adds == pytest.approx(counted, abs=5e-4)
    assert NETWORKS[arch].parameters == sum(one.numel() for one in model.parameters())


@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_disk_is_the_networks(arch):
    for classes in (1000, 10):
        settings = [f"model.arch={arch}", f"model.num_classes={classes}"]
        config = load(ROOT / "configs/resnet50.yaml", settings)
        with torch.device("meta"):
            model = build_model(arch, "zero", classes)
        weights = sum(4 * one.numel() for one in model.parameters())
        assert disk(config).kept == (1 + 5 + 2) * weights  # best.pt, five epochs, last.pt
        assert disk(config).working == (1 + 5 + 1 + 3 * 2) * weights
