"""evaluate.py as a user runs it, on any number of processes."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18

import evaluate
from data.interface import MEAN, STD
from padding import convert_padding
from records.run_dir import RunDir
from tests.conftest import ROOT, TINY, write_images


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory, command):
    """A finished run of a few real steps, zero padding."""
    root = tmp_path_factory.mktemp("runs")
    settings = ["data.global_batch_size=4", "train.epochs=6", "optim.lr=0.0005"]
    command("train.py", "configs/resnet50.yaml", *TINY, "model.arch=resnet18",
            f"data.root={images}", f"run.root={root}", *settings)  # fmt: skip
    return root / "resnet18_zero_seed1"


@pytest.fixture
def run(trained, tmp_path):
    """A copy that a test may write to."""
    shutil.copytree(trained, tmp_path / "run")
    return tmp_path / "run"


def results(run, padding):
    with np.load(run / "eval" / f"{padding}.npz") as arrays:
        return json.loads((run / "eval" / f"{padding}.json").read_text()), dict(arrays)


def plain_evaluation(images, run, padding):
    """What anyone would write with torchvision alone."""
    model = resnet18(num_classes=3)
    saved = torch.load(run / "checkpoints" / "best.pt", weights_only=True)
    model.load_state_dict(saved["model"])
    view = transforms.Compose(
        [
            transforms.Resize(36),
            transforms.CenterCrop(32),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    data = ImageFolder(images / "val", view)
    with torch.no_grad():
        logits = convert_padding(model, padding).eval()(torch.stack([image for image, _ in data]))
    return logits.argmax(1).numpy(), np.array(data.targets)


@pytest.mark.parametrize("world", [1, 2, pytest.param(3, marks=pytest.mark.slow), 4])
def test_exact_on_any_number_of_processes(run, images, command, world):
    """17 images over 1 to 4 processes: none twice, none missing, always the same counts."""
    command("evaluate.py", run, "data.global_batch_size=12", nproc=world)
    for padding in ("zero", "partial"):
        result, arrays = results(run, padding)
        predictions, labels = plain_evaluation(images, run, padding)
        assert arrays["index"].tolist() == list(range(17))
        assert np.array_equal(arrays["label"], labels)
        assert arrays["classes"].tolist() == ImageFolder(images / "val").classes
        assert np.array_equal(arrays["prediction"], predictions)
        assert (result["padding"], result["checkpoint"]) == (padding, "best")
        assert (result["correct1"], result["count"]) == ((predictions == labels).sum(), 17)
        assert result["top1"] == 100 * result["correct1"] / 17


def test_more_processes_than_images(run, tmp_path, command):
    """Two images over three processes, one of which has nothing to do."""
    for split in ("train", "val"):
        for label, count in (("a", 1), ("b", 1), ("c", 1)):
            write_images(tmp_path / "set" / split / label, [(40, 40)] * count, seed=1)
    command("evaluate.py", run, f"data.root={tmp_path / 'set'}", "data.global_batch_size=4",
            "--padding", "zero", nproc=4)  # fmt: skip
    assert results(run, "zero")[0]["count"] == 3


def test_own_padding_gives_the_number_of_the_training_log(run, main_of):
    code, out, err = main_of(evaluate.main, run, "--padding", "zero")
    assert (code, err) == (0, "")
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = max(rows, key=lambda row: row["val_top1"])
    result, _ = results(run, "zero")
    assert (result["correct1"], result["epoch"]) == (best["val_correct1"], best["epoch"])
    assert (
        f"evaluated with zero (best, epoch {best['epoch'] + 1}): top-1 {result['top1']:.3f}" in out
    )
    assert not (run / "eval" / "partial.json").exists()


def test_several_runs_and_other_checkpoints(run, trained, tmp_path, main_of):
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    assert (
        main_of(evaluate.main, run, other, "--padding", "replicate", "--checkpoint", "last")[0] == 0
    )
    for one in (run, other):
        result, _ = results(one, "replicate")
        assert (result["checkpoint"], result["epoch"]) == ("last", 5)
    file = run / "checkpoints" / "epoch_003.pt"
    assert main_of(evaluate.main, run, "--padding", "zero", "--checkpoint", file)[0] == 0
    assert results(run, "zero")[0]["epoch"] == 3
    code, _, err = main_of(evaluate.main, run, other, "--checkpoint", file)
    assert (code, "belongs to one run" in err) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--padding", "mirror"], "--padding mirror: unknown; choose from zero, partial"),
        (["--padding", "reflect"], "layer layer4.0.conv2: reflect padding by 1 x 1 needs"),
        (["optim.lr=3"], "'optim.lr=3': evaluation follows the run's config.yaml; only data."),
        (["data.root=/nowhere"], "/nowhere: there is no such folder"),
        (["--checkpoint", "/none.pt"], "/none.pt: there is no such checkpoint"),
        (["--save-predictions"], "--save-predictions is for segmentation; a classification's"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(run, main_of, arguments, message):
    code, _, err = main_of(evaluate.main, run, *arguments)
    assert code == 2
    assert err.startswith("error: ")
    assert len(err.splitlines()) == 1
    assert message in err
    assert not (run / "eval").exists()


def test_what_is_no_run_of_ours(run, tmp_path, main_of):
    code, _, err = main_of(evaluate.main, tmp_path)
    assert (code, "not a run directory (it has no config.yaml)" in err) == (2, True)

    best = run / "checkpoints" / "best.pt"
    best.write_bytes(best.read_bytes()[:-1000])
    code, _, err = main_of(evaluate.main, run)
    assert (code, "best.pt: half a checkpoint or none" in err) == (2, True)

    file = RunDir(run).config_file
    file.write_text(file.read_text().replace("arch: resnet18", "arch: vgg16_bn"))
    code, _, err = main_of(evaluate.main, run, "--checkpoint", "last")
    assert code == 2
    assert "the checkpoint is of another network than config.yaml says" in err


def test_what_fails_does_not_stop_the_rest(run, trained, tmp_path, main_of):
    good, damaged, closed = (tmp_path / name for name in ("good", "damaged", "closed"))
    for copy in (good, damaged, closed):
        shutil.copytree(trained, copy)
    best = damaged / "checkpoints" / "best.pt"
    best.write_bytes(best.read_bytes()[:-1])
    (closed / "eval").write_text("in the way")
    none, other = tmp_path / "none", tmp_path / "unreadable"
    shutil.copytree(trained, other)
    (other / "config.yaml").write_text("model: [\n")
    code, out, err = main_of(
        evaluate.main, run, closed, damaged, none, other, good, "--padding", "reflect", "partial"
    )
    assert code == 2
    assert out.count("evaluated with partial") == 2
    for one in (run, good):
        assert [file.name for file in (one / "eval").glob("*.json")] == ["partial.json"]
    before, after = err.split("error: 7 evaluations failed:\n")
    failed = after.splitlines()
    reflect = "resnet18 with 32-px images: layer layer4.0.conv2: reflect padding"
    for line, start in zip(
        failed,
        [
            f"  {run}, reflect: {reflect}",
            f"  {closed}/eval: cannot be written (Not a directory); make room",
            f"  {damaged}, reflect: {reflect}",
            f"  {none}: not a run directory",
            f"  {other}/config.yaml:2:1: not valid YAML",
            f"  {good}, reflect: {reflect}",
            f"  {best}: half a checkpoint or none",
        ],
        strict=True,
    ):
        assert line.startswith(start)
    # What could be known before the work was said before it.
    assert [f"will be left out: {line.strip()}" for line in failed[:6]] == before.splitlines()


def test_a_folder_without_room_is_known_before_the_work(run):
    tiny = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    mount = f"mkdir {run}/eval; mount -t tmpfs -o size=4k tmpfs {run}/eval"
    if subprocess.run([*tiny, f"{mount}; umount {run}/eval; rmdir {run}/eval"]).returncode:
        pytest.skip("mounting is not allowed here")
    done = subprocess.run(
        [*tiny, f'{mount}; exec "$@"', "sh", sys.executable, "evaluate.py", run],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"error: {run}/eval: cannot be written (No space left on device)")
    assert len(done.stderr.splitlines()) == 1


def test_an_image_that_one_process_cannot_read_stops_no_other_run(run, trained, images, tmp_path):
    """The processes stay in step: none waits for the sum of one that met the bad file."""
    root = tmp_path / "set"
    shutil.copytree(images, root)
    settings = [f"data.root={root}", "data.global_batch_size=4", "--padding", "zero", "partial"]
    first = subprocess.run(
        [sys.executable, "evaluate.py", run, *settings], cwd=ROOT, capture_output=True, text=True
    )
    assert first.returncode == 0, first.stderr
    bad = root / "val" / "class 2 é" / "004.JPEG"  # the last: of the second process alone
    bad.write_bytes(bad.read_bytes()[:-300])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [*launcher, "--nproc-per-node=2", "evaluate.py", run, *settings],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr.count(f"{run}, zero: {bad}: cannot be decoded") == 1
    assert done.stderr.count(f"{run}, partial: {bad}: cannot be decoded") == 1
    assert "error: 2 evaluations failed:" in done.stderr


def test_the_usage_line_works(run, main_of):
    code, out, _ = main_of(evaluate.main, "--help")
    usage = " ".join(out.partition("\n\n")[0].split())
    assert usage == (
        "usage: command RUN_DIR [RUN_DIR ...] [--padding SCHEME [SCHEME ...]] "
        "[--checkpoint best|last|FILE] [--save-predictions] [key.sub=value ...]"
    )
    words = [str(run), "--padding", "zero", "--checkpoint", "last", "data.workers=0"]
    assert main_of(evaluate.main, *words)[0] == 0
    assert results(run, "zero")[0]["checkpoint"] == "last"
    # Options first, as other commands print it.
    assert main_of(evaluate.main, "--padding", "replicate", run)[0] == 0
    assert results(run, "replicate")[0]["count"] == 17
    assert main_of(evaluate.main, "--padding", "zero")[2] == "error: no run directory given\n"
