"""Segmentation from train.py to evaluate.py on a tiny set: its length, bits, numbers, refusals."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import train
from configs.load import load
from data.store.labels import TO_TRAIN_IDS
from launch import sweep as sweep_command
from records import metrics_log
from records.iou import miou
from tests.commands.runs import assert_all_gone, assert_same_run, kill_all, start, wait_for
from tests.conftest import ROOT
from tests.data.streets import write_streets
from training.schedule import Length, lr_of

CONFIG = "configs/demo_segmentation.yaml"
NAME = "deeplabv3plus_wrn16_tiny_cv0_partial_seed1"
SETTINGS = [
    *("model.padding=partial", "data.crop_size=24", "data.uniform_tile=32", "data.workers=1"),
    *("data.global_batch_size=4", "recipe.global_batch_size=4", "recipe.bn_batch_size=4"),
    *("data.coarse_classes=[]", "eval.tile=32", "train.checkpoint_steps=1", "train.timeout=60"),
    "train.iterations=13",
]
STEPS = 9  # of an epoch: 36 images


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    return write_streets(tmp_path_factory.mktemp("streets"), each=2)


def launch(root, streets, *settings, nproc=2):
    settings = [*SETTINGS, f"data.root={streets}", f"run.root={root}", *settings]
    return start(*settings, nproc=nproc, config=CONFIG)


def finished(root, streets, *settings, nproc=2):
    process = launch(root, streets, *settings, nproc=nproc)
    output = process.communicate(timeout=300)[0]
    assert process.returncode == 0, output
    return root / NAME, output


@pytest.fixture(scope="module")
def straight(streets, tmp_path_factory):
    """Return a run that nothing disturbed."""
    return finished(tmp_path_factory.mktemp("straight"), streets)


def test_counted_in_iterations(straight):
    run, output = straight
    rows = metrics_log.read(run / "metrics.jsonl")
    assert [(row["epoch"], row["iteration"]) for row in rows] == [(0, STEPS), (1, 13)]
    # The rate of an epoch's last step: base (1 - i / T), i counted from 0.
    assert [row["lr"] for row in rows] == pytest.approx([0.1 * (1 - i / 13) for i in (8, 12)])
    for row in rows:
        assert row["val_count"] == 6
        assert row["val_miou"] == miou(row["confusion"])
        assert sum(map(sum, row["confusion"])) <= 6 * 64 * 32
    assert "finished, best" in output
    assert "mIoU" in output
    summary = json.loads((run / "summary.json").read_text())
    assert summary["best"]["val_miou"] == max(row["val_miou"] for row in rows)


def test_rate_is_that_of_torchs_schedule():
    """torch's own polynomial schedule, iteration by iteration."""
    config = load(ROOT / CONFIG, SETTINGS)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=config.optim.lr)
    theirs = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=13, power=1.0)
    for iteration in range(13):
        ours = lr_of(config, *divmod(iteration, STEPS), Length(STEPS, 13))
        assert ours == pytest.approx(theirs.get_last_lr()[0])
        optimizer.step()
        theirs.step()


@pytest.mark.parametrize(
    "after",
    [
        pytest.param(3, id="in the first epoch"),
        pytest.param(11, id="in the cut epoch", marks=pytest.mark.slow),
    ],
)
def test_killed_and_resumed_it_ends_bit_equal(straight, streets, tmp_path, after):
    process = launch(tmp_path, streets)
    state = tmp_path / NAME / "progress.json"
    wait_for(tmp_path / NAME / "checkpoints" / "last.pt", process)
    while process.poll() is None:
        saved = torch.load(tmp_path / NAME / "checkpoints" / "last.pt", weights_only=True)
        if saved["epochs_done"] * STEPS + saved["step"] >= after:
            break
    kill_all(tmp_path)
    process.communicate()
    assert_all_gone(tmp_path)
    run, output = finished(tmp_path, streets)
    assert "resumed after epoch" in output or "finished already" in output
    assert not state.exists()
    assert_same_run(run, straight[0])


def test_evaluated_by_any_number_of_processes_alike(straight, streets, command):
    run = straight[0]
    found = []
    for nproc in (1, 3):  # which need not divide the training's batch
        words = [run, "--padding", "partial", "zero", "--save-predictions"]
        done = command("evaluate.py", *words, f"data.root={streets}", nproc=nproc)
        assert f"{run}: trained with partial, evaluated with zero (best, epoch" in done.stdout
        files = sorted(file for file in (run / "eval").rglob("*.*") if file.suffix != ".lock")
        found.append({file: file.read_bytes() for file in files})
    assert found[0] == found[1]
    said = json.loads((run / "eval" / "partial.json").read_text())
    best = max(metrics_log.read(run / "metrics.jsonl"), key=lambda row: row["val_miou"])
    assert said["modes"]["regular"]["confusion"] == best["confusion"]
    assert (said["split"], said["count"], said["tile"]) == ("cv0", 6, 32)
    images = list((run / "eval" / "predictions" / "partial" / "tile_1_3").glob("*.png"))
    assert len(images) == 6
    assert Image.open(images[0]).size == (64, 32)


def test_another_split_is_refused(straight, streets, command):
    words = [straight[0], f"data.root={streets}", "data.split=cv1"]
    done = command("evaluate.py", *words, check=False)
    assert done.returncode == 2
    assert "'data.split=cv1': evaluation follows the run's config.yaml" in done.stderr


REFUSED = {
    "one image": (
        ("train.sync_bn=false", "data.global_batch_size=1"),
        "leaves BN one image, and the image pool (model.image_pool) one number of it",
    ),
    "no weights": (("model.backbone_weights=none.pth",), "none.pth: there is no such file; set"),
    "small crop": (
        ("model.padding=reflect", "data.crop_size=8"),
        "data.crop_size: 8 x 8 px: layer",
    ),
    "small tile": (("model.padding=reflect", "data.crop_size=48", "eval.tile=8"), "eval.tile: 8"),
    "no centroid": (("data.uniform_tile=64", "data.uniform_share=1.0"), "lower data.unif"),
    "colours": (("data.root=colours",), "colours"),
    "train ids": (("data.root=train_ids",), "no file holds a label id above 18, as if all held"),
    "one number a channel": (
        *[("data.global_batch_size=1", "model.image_pool=false", "data.crop_size=8")],
        "leaves BN one image, and the last map one number of it; give it two images or more",
    ),
    "small images": (
        ("model.padding=reflect", "data.crop_size=48", "eval.tile=48"),
        "validation image frankfurt_000000_000000 of data.root: 32 x 64 px",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_before_the_run(case, streets, tmp_path, main_of, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if case == "colours":
        shutil.copytree(streets, tmp_path / "colours")
        file = next((tmp_path / "colours" / "gtFine").rglob("*_labelIds.png"))
        Image.new("RGB", (64, 32)).save(file)
    if case == "train ids":
        shutil.copytree(streets, tmp_path / "train_ids")
        for file in (tmp_path / "train_ids" / "gtFine").rglob("*_labelIds.png"):
            Image.fromarray(TO_TRAIN_IDS[np.array(Image.open(file))] % 19).save(file)
    settings, message = REFUSED[case]
    words = [f"data.root={streets}", "run.root=runs", *SETTINGS, *settings]
    code, _, err = main_of(train.main, ROOT / CONFIG, *words)
    assert code == 2
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


def test_trunk_of_a_run_with_another_padding_is_refused(straight, streets, tmp_path, main_of):
    weights = straight[0] / "checkpoints" / "best.pt"
    (tmp_path / "link.pt").symlink_to(weights)
    for file in (weights, tmp_path / "link.pt"):
        words = [f"data.root={streets}", f"run.root={tmp_path}", *SETTINGS]
        code, _, err = main_of(train.main, ROOT / CONFIG, *words, f"model.backbone_weights={file}")
        assert code == 2
        told = "of a run with partial padding; set model.backbone_weights to a run with zero"
        assert told in err


def test_a_run_of_another_task_in_its_place(straight, streets, main_of):
    run = straight[0]
    words = [f"run.root={run.parent}", f"run.name={run.name}"]
    images = ["data.backend=synthetic", "data.synthetic_size=[8,8]", "data.global_batch_size=8"]
    code, _, err = main_of(train.main, ROOT / "configs/demo.yaml", *images, *words)
    assert code == 2
    assert "holds a run of another recipe (task segmentation -> classification)" in err


def test_the_ledger_tells_miou(straight, streets, tmp_path, main_of):
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(f"configs: [{ROOT / CONFIG}]\nnproc_per_node: 2\n")
    words = [*SETTINGS, f"data.root={streets}", f"run.root={straight[0].parent}"]
    code, out, _ = main_of(sweep_command.main, sweep, "--status", *words)
    assert code == 0
    assert "13/13 iterations" in out
    assert "(mIoU)" in out
