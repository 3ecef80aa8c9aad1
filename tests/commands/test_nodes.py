"""Two nodes on loopback, each with its own command line, code and files."""

import os
import re
import shutil
import socket
import subprocess
import sys

import pytest
import torch

from tests.conftest import ROOT, TINY, free_port, rows_without_times

# Noise instead of images: nothing here depends on them.
QUICK = [*TINY, "model.arch=resnet18", "data.backend=synthetic", "data.synthetic_size=[12, 6]"]
QUICK += ["train.epochs=1"]


def two_nodes(*own, script="train.py", roots=(ROOT, ROOT), folders=(None, None)):
    """Start a process on each of two nodes with its `own` arguments; return [(code, output)]."""
    shared = {"WORLD_SIZE": "2", "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "OMP_NUM_THREADS": "1"}
    shared |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{free_port()}"}
    started = [
        subprocess.Popen(
            [sys.executable, str(root / script), *map(str, arguments)],
            cwd=folder or root,
            env=os.environ | shared | {"RANK": str(rank), "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank, (arguments, root, folder) in enumerate(zip(own, roots, folders, strict=True))
    ]
    outputs = [process.communicate(timeout=240)[0] for process in started]
    return [(process.returncode, text) for process, text in zip(started, outputs, strict=True)]


def assert_refused(nodes, *texts):
    """Both nodes say the same in one line."""
    for code, output in nodes:
        [line] = [line for line in output.splitlines() if line.startswith("error: ")]
        assert code == 2
        assert "Traceback" not in output
        for text in texts:
            assert text in line


def test_other_settings_are_refused_key_by_key(tmp_path):
    common = [ROOT / "configs/resnet50.yaml", *QUICK, f"run.root={tmp_path / 'runs'}"]
    nodes = two_nodes(
        [*common, "data.workers=0"],
        [*common, "seed=2", "optim.lr=0.5", "model.padding=partial", "data.workers=1"],
    )
    host = socket.gethostname()
    assert_refused(
        nodes,
        "the processes disagree: ",
        f"seed is 1 on rank 0 ({host}), 2 on rank 1 ({host})",
        "optim.lr is 0.001 on rank 0",
        "model.padding is zero on rank 0",
    )
    assert "data.workers" not in nodes[0][1]  # a node's own business
    assert not (tmp_path / "runs").exists()


def test_other_data_are_refused(images, tmp_path):
    root = tmp_path / "set"
    shutil.copytree(images, root)
    (root / "val" / "class 0 é" / "000.JPEG").unlink()
    common = [ROOT / "configs/resnet50.yaml", *TINY, f"run.root={tmp_path / 'runs'}"]
    nodes = two_nodes([*common, f"data.root={images}"], [*common, f"data.root={root}"])
    assert_refused(nodes, "the processes disagree: the data set's fingerprint is ")
    assert not (tmp_path / "runs").exists()


def test_other_code_is_refused(tmp_path):
    other = tmp_path / "checkout"
    ignored = shutil.ignore_patterns(".*", "tests", "benchmarks", "demo", "runs", "__pycache__")
    shutil.copytree(ROOT, other, ignore=ignored)
    with open(other / "training" / "schedule.py", "a") as file:
        file.write("# mine\n")
    arguments = [ROOT / "configs/resnet50.yaml", *QUICK, f"run.root={tmp_path / 'runs'}"]
    nodes = two_nodes(arguments, arguments, roots=(ROOT, other))
    assert_refused(nodes, "the processes disagree: ", "source files is ")
    assert not (tmp_path / "runs").exists()


def test_nodes_begin_with_one_file_of_weights_or_not_at_all(tmp_path):
    arguments = [ROOT / "configs/resnet50.yaml", *QUICK, f"run.root={tmp_path / 'runs'}"]
    arguments += ["model.weights=mine.pt"]
    places = tmp_path / "a", tmp_path / "b"
    for place in places:
        place.mkdir()
    torch.save({"weight": torch.zeros(2)}, places[0] / "mine.pt")
    nodes = two_nodes(arguments, arguments, folders=places)
    assert_refused(nodes, "error: mine.pt: there is no such file; set model.weights to ")
    torch.save({"weight": torch.ones(2)}, places[1] / "mine.pt")
    nodes = two_nodes(arguments, arguments, folders=places)
    assert_refused(nodes, "the processes disagree: mine.pt is sha256 ", "every node needs the same")
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def interrupted(tmp_path, command):
    """A folder with runs/name, one of its two epochs done."""
    settings = [*QUICK, "run.name=name", f"run.root={tmp_path / 'a' / 'runs'}"]
    command("train.py", ROOT / "configs/resnet50.yaml", *settings)
    run = tmp_path / "a" / "runs" / "name"
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("epochs: 1", "epochs: 2"))
    (run / "summary.json").unlink()
    return run


def test_nodes_resume_from_one_state_or_not_at_all(interrupted, tmp_path):
    (tmp_path / "b").mkdir()
    arguments = [ROOT / "configs/resnet50.yaml", *QUICK, "train.epochs=2"]
    arguments += ["run.root=runs", "run.name=name"]
    places = tmp_path / "a", tmp_path / "b"
    log = (interrupted / "metrics.jsonl").read_bytes()

    def last_pt_is(seen):
        nodes = two_nodes(arguments, arguments, folders=places)
        assert_refused(nodes, "checkpoints/last.pt is sha256 ", "a folder that all nodes share")
        assert re.search(rf"{seen} on rank 1", nodes[1][1])
        assert (interrupted / "metrics.jsonl").read_bytes() == log

    last_pt_is("missing")
    shutil.copytree(interrupted, tmp_path / "b" / "runs" / "name")
    shutil.copy(interrupted / "checkpoints/best.pt", tmp_path / "b/runs/name/checkpoints/last.pt")
    last_pt_is("sha256 [0-9a-f]{16}")
    shutil.copy(interrupted / "checkpoints/last.pt", tmp_path / "b/runs/name/checkpoints/last.pt")
    assert [code for code, _ in two_nodes(arguments, arguments, folders=places)] == [0, 0]
    assert len(rows_without_times(interrupted)) == 2


@pytest.mark.slow
def test_evaluation_is_one_on_all_nodes(interrupted, tmp_path):
    nodes = two_nodes(
        [interrupted, "--padding", "zero"], [interrupted, "--padding", "partial"],
        script="evaluate.py",
    )  # fmt: skip
    assert_refused(nodes, "the processes disagree: --padding is ('zero',) on rank 0")
    other = tmp_path / "b" / "runs" / "name"
    shutil.copytree(interrupted, other)
    shutil.copy(other / "checkpoints/last.pt", other / "checkpoints/best.pt")
    arguments = ["runs/name", "--padding", "zero"]
    nodes = two_nodes(
        arguments, arguments, script="evaluate.py", folders=(tmp_path / "a", tmp_path / "b")
    )
    assert_refused(nodes, "checkpoints/best.pt is ")
    assert not (interrupted / "eval").exists()
