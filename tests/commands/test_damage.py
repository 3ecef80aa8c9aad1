"""No damage to a checkpoint ends a run that has another good one."""

import json
import shutil

import pytest

import train
from commands import train_run
from tests.commands.runs import CONFIG, NAME, SETTINGS, assert_same_run


@pytest.fixture(scope="module")
def settings(images):
    return [CONFIG, *SETTINGS, f"data.root={images}"]


@pytest.fixture(scope="module")
def undisturbed(settings, tmp_path_factory):
    """The run of a single process, and beside it itself just before its end."""
    root = tmp_path_factory.mktemp("undisturbed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["train.py", *settings, f"run.root={root}"])
        with patch.context() as unfinished:
            unfinished.setattr(train_run, "_finish", lambda *_: None)
            train.main()
        shutil.copytree(root / NAME, root / "unfinished")
        train.main()
    return root / NAME


@pytest.fixture
def run(undisturbed, tmp_path):
    """A copy of the run before its end."""
    shutil.copytree(undisturbed.parent / "unfinished", tmp_path / NAME)
    return tmp_path / NAME


def cut(part):
    return lambda content: content[: int(len(content) * part)]


def flipped(place):
    def flip(content):
        bad = bytearray(content)
        bad[int(len(bad) * place)] ^= 4
        return bytes(bad)

    return flip


def gone(_):
    return None


DAMAGES = {
    **{f"cut at {part}": cut(part) for part in (0, 0.3, 0.999999)},
    **{f"flipped at {place}": flipped(place) for place in (0, 0.5, 0.9999999)},
    "gone": gone,
}


def damage(file, how):
    content = how(file.read_bytes())
    file.unlink() if content is None else file.write_bytes(content)


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_last(undisturbed, settings, run, main_of, how):
    damage(run / "checkpoints" / "last.pt", how)
    code, out, err = main_of(train.main, *settings, f"run.root={run.parent}")
    assert code == 0, err
    assert f"warning: {run}/checkpoints/last.pt: " in err
    # Three steps an epoch; the last checkpoint within the second is of its second step.
    assert "going on from previous.pt, after epoch 1 and step 2; what came after is repeated" in err
    assert "resumed after epoch 1 and step 2 from previous.pt (restart 1)" in out
    assert_same_run(run, undisturbed)


@pytest.mark.parametrize("name", ["best.pt", "epoch_000.pt", "epoch_001.pt", "previous.pt"])
@pytest.mark.parametrize("how", [cut(0.5), flipped(0.4), gone], ids=["cut", "flipped", "gone"])
def test_others(undisturbed, settings, run, main_of, name, how):
    """They are what the run goes on without, or what can be made again."""
    damage(run / "checkpoints" / name, how)
    code, _, err = main_of(train.main, *settings, f"run.root={run.parent}")
    assert code == 0, err
    if name == "best.pt":
        assert_same_run(run, undisturbed)
    assert (run / "summary.json").read_text() == (undisturbed / "summary.json").read_text()


def test_best_and_its_epoch(undisturbed, settings, run, main_of):
    best = json.loads((undisturbed / "summary.json").read_text())["best"]["epoch"]
    for name in ("best.pt", f"epoch_{best:03}.pt"):
        damage(run / "checkpoints" / name, cut(0.5))
    code, _, err = main_of(train.main, *settings, f"run.root={run.parent}")
    assert code == 0
    assert f"{run}/checkpoints/best.pt: not the best epoch's weights, which are lost" in err


def test_all_that_training_could_go_on_from(settings, run, main_of):
    for name in ("last.pt", "previous.pt"):
        damage(run / "checkpoints" / name, cut(0.5))
    before = {file: file.read_bytes() for file in run.rglob("*.json*")}
    code, _, err = main_of(train.main, *settings, f"run.root={run.parent}")
    assert code == 2
    [line] = [line for line in err.splitlines() if line.startswith("error")]
    assert f"{run}/checkpoints/last.pt: half a checkpoint or none" in line
    assert f"{run}/checkpoints/previous.pt: half a checkpoint or none" in line
    assert line.endswith("restore a copy, or delete the run directory to start over")
    assert before == {file: file.read_bytes() for file in run.rglob("*.json*")}


@pytest.mark.parametrize("how", DAMAGES.values(), ids=DAMAGES)
def test_the_log(undisturbed, settings, run, main_of, how):
    """Its rows are in the checkpoint, too."""
    damage(run / "metrics.jsonl", how)
    code, _, err = main_of(train.main, *settings, f"run.root={run.parent}")
    assert code == 0, err
    assert_same_run(run, undisturbed)
