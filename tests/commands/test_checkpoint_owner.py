"""Files of weights and checkpoints by their paths: which run they are of, if of any."""

import pytest

import evaluate
import train
from commands import parts
from configs.load import load
from data import street_scenes
from foundation.errors import UserError, run_command
from launch import sweep
from records.run_dir import RunDir
from tests.conftest import ROOT

SCENES = ROOT / "configs" / "demo_segmentation.yaml"
IMAGES = ROOT / "configs" / "demo.yaml"
NOBODY = "~nosuchuser/x"


def begun(path, *settings, config=SCENES):
    """Make a run directory; return a checkpoint in it that nobody reads."""
    run = RunDir(path)
    run.open_for(load(config, settings))
    (run.checkpoints / "best.pt").touch()
    return run.checkpoints / "best.pt"


def check(file):
    parts.check_weights_file(load(SCENES, [f"model.backbone_weights={file}"]))


@pytest.mark.parametrize("folder", ["weights", "checkpoints"])
@pytest.mark.parametrize("text", ["lr: 0.1\n", "- a\n- b\n", "model: [\n", "model: {padding\n"])
def test_another_programs_weights_are_no_runs(tmp_path, folder, text):
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / folder).mkdir()
    check(tmp_path / folder / "tiny.pth")


def test_paths_that_lead_nowhere_are_no_runs(tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for file in (tmp_path / "loop", NOBODY):
        check(file)


def test_a_runs_own_padding_counts_wherever_the_link_lies(tmp_path):
    check(begun(tmp_path / "zero", "model.padding=zero", config=IMAGES))
    (tmp_path / "link.pt").symlink_to(begun(tmp_path / "run", "model.padding=partial"))
    for file in (tmp_path / "run" / "checkpoints" / "best.pt", tmp_path / "link.pt"):
        with pytest.raises(UserError, match="of a run with partial padding; set model.backbone"):
            check(file)


def test_an_unknown_home_is_one_line(tmp_path, main_of):
    told = f"run.root={NOBODY}: this home folder is unknown; give the whole path"
    for config in (SCENES, IMAGES):
        code, _, err = main_of(train.main, config, f"run.root={NOBODY}")
        assert (code, err) == (2, f"error: {told}\n")
    grid = tmp_path / "sweep.yaml"
    grid.write_text(f"configs: [{SCENES}]\nnproc_per_node: 1\n")
    line = (lambda: run_command(sweep.main), grid, "--dry-run")
    assert main_of(*line, f"run.root={NOBODY}")[::2] == (2, f"error: {told}\n")
    line = (lambda: run_command(sweep.main), grid, f"run.root={tmp_path / 'runs'}")
    code, _, err = main_of(*line, f"data.root={NOBODY}")
    assert (code, err) == (2, f"error: {told.replace('run.root', 'data.root')}\n")
    code, _, err = main_of(street_scenes.main, NOBODY)
    assert code == 2
    assert err.endswith(f"error: argument out: {told.removeprefix('run.root=')}\n")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (["data.split=cv1"], "data.split cv1, not cv0"),
        (["model.arch=deeplabv3plus_resnet50"], "model.arch deeplabv3plus_resnet50, not deeplabv3"),
        (None, "task classification, not segmentation"),
    ],
)
def test_a_checkpoint_of_another_subject_is_refused(tmp_path, main_of, settings, told):
    begun(tmp_path / "run", "data.split=cv0")
    config = SCENES if settings else IMAGES
    file = begun(tmp_path / "other", *(settings or []), config=config)
    (tmp_path / "link.pt").symlink_to(file)
    for given in (file, tmp_path / "link.pt"):
        words = [tmp_path / "run", "--padding", "zero", "--checkpoint", given]
        code, _, err = main_of(evaluate.main, *words)
        assert code == 2
        assert f"{given}: of a run with {told}" in err
        assert f"evaluate the run that it lies in, with --checkpoint {given}\n" in err
        assert len(err.splitlines()) == 1
    assert not (tmp_path / "run" / "eval").exists()


def test_a_checkpoint_of_the_same_subject_is_read(tmp_path, main_of):
    """And found to be none here: another seed's or padding's may be tried on this data."""
    begun(tmp_path / "run")
    file = begun(tmp_path / "other", "seed=7", "model.padding=partial")
    words = [tmp_path / "run", "--checkpoint", file, f"data.root={tmp_path}"]
    code, _, err = main_of(evaluate.main, *words)
    assert code == 2
    assert "of a run with" not in err
