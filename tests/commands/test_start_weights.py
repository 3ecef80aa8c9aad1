"""`model.weights` as a user gives it: what a run begins with, and what it never opens again."""

import hashlib
import json
import shutil
import signal

import pytest
import torch
import torchvision
from torch import nn

import evaluate
import train
from commands import train_run
from configs.load import load
from records.run_dir import RunDir
from tests.conftest import ROOT, TINY, rows_without_times
from training.seeding import seed_weights

RESNET = ROOT / "configs/resnet50.yaml"
NAME = "resnet18_partial_seed1"
# Noise instead of images: nothing here depends on them.
QUICK = [*TINY, "data.backend=synthetic", "data.synthetic_size=[12, 6]", "train.epochs=1"]
QUICK += ["model.arch=resnet18", "model.padding=partial"]


@pytest.fixture(autouse=True)
def signals():
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def begin(tmp_path, main_of):
    """Train in tmp_path/place and return (code, out, err) and the run."""

    def call(place, *overrides):
        root = tmp_path / place
        answer = main_of(train.main, RESNET, *QUICK, f"run.root={root}", *overrides)
        return *answer, root / NAME

    return call


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A file as torchvision's: the trunk that seed 1 gives, under another number of classes."""
    seed_weights(1)
    model = torchvision.models.resnet18(weights=None, num_classes=3)
    model.fc = nn.Linear(512, 5)
    file = tmp_path_factory.mktemp("weights") / "start.pth"
    torch.save(model.state_dict(), file)
    return file


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run of zero padding, as one has it who then wants to change to partial."""
    root = tmp_path_factory.mktemp("trained")
    train_run.train_run(load(RESNET, [*QUICK, "model.padding=zero", f"run.root={root}"]))
    return root / "resnet18_zero_seed1"


def parameters_of(file):
    model = torch.load(file, weights_only=True)["model"]
    return {key: value for key, value in model.items() if "running" not in key}


def test_the_seeds_own_weights_from_a_file_train_to_the_same_bits(
    begin, start, tmp_path, monkeypatch
):
    """Nothing but the weights comes from the file, and a replaced last layer from the seed."""
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copy(start, tmp_path / "start.pth")
    *_, fresh = begin("fresh")
    code, out, err, run = begin("file", "model.weights=~/start.pth")
    assert code == 0, err
    digest = hashlib.sha256(start.read_bytes()).hexdigest()
    assert (
        f"weights from {tmp_path}/start.pth (sha256 {digest[:8]}...; last layer replaced, "
        f"fc: 5 -> 3 classes)\n"
    ) in out
    assert json.loads((run / "environment.json").read_text())["weights"] == {
        "file": f"{tmp_path}/start.pth",
        "sha256": digest,
        "kind": "a state_dict",
        "replaced": "fc: 5 -> 3 classes",
    }
    assert RunDir(run).config().model.weights == "~/start.pth"
    assert rows_without_times(run) == rows_without_times(fresh)
    one, other = (
        torch.load(path / "checkpoints" / "last.pt", weights_only=True) for path in (run, fresh)
    )
    assert all(torch.equal(one["model"][key], other["model"][key]) for key in other["model"])
    assert "weights" not in json.loads((fresh / "environment.json").read_text())


@pytest.mark.parametrize("name", ["best.pt", "last.pt", "epoch_000.pt"])
def test_another_runs_checkpoints(begin, trained, monkeypatch, name):
    """At a rate that moves nothing, the run ends with the weights that it began with."""
    monkeypatch.chdir(trained)
    code, out, err, run = begin("runs", f"model.weights=checkpoints/{name}", "optim.lr=1e-30")
    assert code == 0, err
    file = trained / "checkpoints" / name
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert f"weights from {file} (sha256 {digest[:8]}...)\n" in out
    facts = json.loads((run / "environment.json").read_text())["weights"]
    assert (facts["kind"], facts["replaced"]) == ("a run's checkpoint", None)
    before = parameters_of(file)
    for key, value in parameters_of(run / "checkpoints" / "last.pt").items():
        if "num_batches" not in key:
            torch.testing.assert_close(value, before[key], rtol=0, atol=1e-20, msg=key)


def go_back(run, epochs):
    """Make a finished run one that was stopped after its only epoch of several."""
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("epochs: 1", f"epochs: {epochs}"))
    (run / "summary.json").unlink()


def test_resuming_never_opens_the_file(begin, start, tmp_path, main_of):
    file = tmp_path / "gone.pth"
    shutil.copy(start, file)
    weights = f"model.weights={file}"
    *_, straight = begin("straight", weights, "train.epochs=2")
    *_, run = begin("stopped", weights)
    go_back(run, 2)
    file.unlink()
    code, out, err, _ = begin("stopped", weights, "train.epochs=2")
    assert code == 0, err
    assert "resumed after epoch 1" in out
    assert "weights from" not in out
    assert rows_without_times(run) == rows_without_times(straight)
    environment = json.loads((run / "environment.json").read_text())
    assert environment["weights"]["sha256"] == hashlib.sha256(start.read_bytes()).hexdigest()
    assert ["weights" in session for session in environment["resumed"]] == [False]

    code, out, _, _ = begin("stopped", weights, "train.epochs=2")  # finished meanwhile
    assert (code, "finished already" in out) == (0, True)
    code, _, err = main_of(evaluate.main, run, "--padding", "zero")
    assert code == 0, err
    for other in (f"{tmp_path}/elsewhere.pth", "null"):
        code, _, err, _ = begin("stopped", f"model.weights={other}", "train.epochs=2")
        assert code == 2
        assert f"another recipe (model.weights {file} -> {other}); give this one another" in err


def test_a_run_without_a_checkpoint_begins_with_the_same_file_or_not_at_all(begin, start, tmp_path):
    file = tmp_path / "mine.pth"
    shutil.copy(start, file)
    *_, run = begin("runs", f"model.weights={file}")
    rows = rows_without_times(run)
    (run / "summary.json").unlink()
    for left in (run / "metrics.jsonl", *(run / "checkpoints").iterdir()):
        left.unlink()
    weights = torch.load(file, weights_only=True)
    weights["bn1.bias"] += 1
    torch.save(weights, file)
    code, _, err, _ = begin("runs", f"model.weights={file}")
    assert code == 2
    assert "the file of model.weights has changed since the run began (sha256 " in err
    assert "; restore it or start another run" in err
    shutil.copy(start, file)
    assert begin("runs", f"model.weights={file}")[0] == 0
    assert rows_without_times(run) == rows


def test_a_checkpoint_that_goes_while_the_command_starts(begin, start, monkeypatch):
    """The run must not begin with fresh weights then."""
    *_, run = begin("runs", f"model.weights={start}")
    go_back(run, 2)
    open_for = RunDir.open_for

    def after_someone_deleted_the_run(self, config):
        shutil.rmtree(run)
        open_for(self, config)

    monkeypatch.setattr(RunDir, "open_for", after_someone_deleted_the_run)
    code, _, err, _ = begin("runs", f"model.weights={start}", "train.epochs=2")
    message = f"error: {run}: its checkpoint has just gone; give the command again\n"
    assert (code, err) == (2, message)
    assert not (run / "metrics.jsonl").exists()


def damaged(file, content, start, trained):
    """Write what is no file of weights."""
    match content:
        case "missing":
            return
        case "folder":
            file.mkdir()
        case "text":
            file.write_text("resnet50\nmine\n")
        case "empty":
            file.touch()
        case "half":
            file.write_bytes(start.read_bytes()[: start.stat().st_size // 2])
        case "half, of an old form":
            model = torchvision.models.resnet18(weights=None, num_classes=3)
            torch.save(model.state_dict(), file, _use_new_zipfile_serialization=False)
            file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
        case "bit" | "bit of a run's":
            source = start if content == "bit" else trained / "checkpoints" / "best.pt"
            changed = bytearray(source.read_bytes())
            changed[len(changed) // 2] ^= 1
            file.write_bytes(changed)
        case "whole model":
            torch.save(nn.Linear(2, 2), file)
        case "another network":
            torch.save(torchvision.models.squeezenet1_1(weights=None).state_dict(), file)
        case "a list":
            torch.save([1, 2], file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("missing", "there is no such file; set model.weights to "),
        ("folder", "is a folder; set model.weights to "),
        ("text", "half a file of weights or none ("),
        ("empty", "half a file of weights or none (EOFError); set model.weights to "),
        ("half", "half a file of weights or none (ValueError: its end is not a checkpoint's); "),
        ("half, of an old form", "half a file of weights or none ("),
        ("bit", "half a file of weights or none (ValueError: checksum of "),
        ("bit of a run's", "half a file of weights or none (ValueError: its digest is another); "),
        ("whole model", "holds torch.nn.modules.linear.Linear, and not tensors and plain values"),
        ("another network", "not weights of this network: it lacks conv1.weight and "),
        ("a list", "not weights of this network: it holds no weights but a list; set model.arch"),
    ],
)
def test_what_is_no_file_of_weights_is_one_line_and_touches_nothing(
    begin, start, trained, tmp_path, content, message
):
    file = tmp_path / "weights.pt"
    damaged(file, content, start, trained)
    code, out, err, run = begin("runs", f"model.weights={file}")
    assert (code, out) == (2, "")
    assert err.startswith(f"error: {file}: {message}")
    assert len(err.splitlines()) == 1
    assert not run.parent.exists()


def test_two_processes_begin_with_one_file(start, tmp_path, command):
    settings = [*QUICK, f"run.root={tmp_path / 'runs'}", "recipe.bn_batch_size=6"]
    done = command("train.py", RESNET, *settings, f"model.weights={start}", nproc=2)
    assert done.stdout.count(f"weights from {start} (sha256 ") == 1
