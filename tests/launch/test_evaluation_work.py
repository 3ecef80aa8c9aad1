"""What launch.evaluate asks of segmentation runs, and when it is there."""

import pytest

from foundation.errors import run_command
from foundation.files import write_json
from launch import evaluate
from launch.expand import expand
from launch.slurm import load_works, write_submission
from launch.work import evaluation
from records.run_dir import evaluation_name
from tests.conftest import ROOT


@pytest.fixture
def sweep(tmp_path):
    file = tmp_path / "sweep.yaml"
    config = ROOT / "configs" / "demo_segmentation.yaml"
    file.write_text(f"configs: [{config}]\nnproc_per_node: 1\n")
    return file


def planned(sweep, *settings):
    [run], _ = expand(sweep, [f"run.root={sweep.parent / 'runs'}", *settings])
    return run


def write(run, **changes):
    """Write an evaluation as evaluate.py does."""
    content = {"padding": "zero", "checkpoint": "best", "tile": 64, "flip": False} | changes
    run.evaluations.mkdir(parents=True, exist_ok=True)
    write_json(run.evaluations / f"{evaluation_name('zero', content['flip'])}.json", content)


def test_an_evaluation_with_other_tiles_or_flips_is_made_again(sweep):
    run = planned(sweep, "eval.tile=48", "eval.flip=true")
    work = evaluation(run, ("zero",), ("eval.flip=true", "data.workers=0"))
    assert work.script[2:] == ("data.workers=0", "eval.tile=48", "eval.flip=true")
    for changes, state in (
        ({"tile": 48, "flip": False}, "failed"),
        ({"tile": 48, "flip": True}, "finished"),
        ({"tile": 64, "flip": True}, "failed"),
        ({"tile": 48, "flip": True, "checkpoint": "last"}, "failed"),
    ):
        write(run.directory, **changes)
        assert work.standing().state == state, changes
        assert work.words()[-1] == ("zero" if state == "failed" else "--padding")


def test_predictions_that_are_missing_are_made(sweep):
    run = planned(sweep)
    write(run.directory)
    assert evaluation(run, ("zero",)).standing().state == "finished"
    work = evaluation(run, ("zero",), save_predictions=True)
    assert "--save-predictions" in work.words()
    assert work.standing().state == "failed"
    (run.directory.evaluations / "predictions" / "zero").mkdir(parents=True)
    assert work.standing().state == "finished"


def test_a_submission_remembers_what_was_asked(sweep, tmp_path):
    work = evaluation(planned(sweep, "eval.tile=48"), ("zero", "partial"), (), True)
    write_submission(tmp_path / "job", [work], {})
    assert load_works(tmp_path / "job" / "submission.json")[0] == [work]


def test_a_classifications_is_whatever_was_asked(tmp_path):
    file = tmp_path / "sweep.yaml"
    file.write_text(f"configs: [{ROOT / 'configs' / 'demo.yaml'}]\nnproc_per_node: 1\n")
    work = evaluation(planned(file), ("zero",), ("data.workers=0",))
    assert work.script[2:] == ("data.workers=0",)
    write(planned(file).directory)
    assert work.standing().state == "finished"


def test_predictions_are_of_segmentation(sweep, main_of):
    words = (f"run.root={sweep.parent / 'runs'}", "--save-predictions", "--dry-run")
    code, _, err = main_of(lambda: run_command(evaluate.main), sweep, *words)
    assert code == 0, err
    assert "0 of 0 finished runs to evaluate" in err
    sweep.write_text(f"configs: [{ROOT / 'configs' / 'demo.yaml'}]\nnproc_per_node: 1\n")
    code, _, err = main_of(lambda: run_command(evaluate.main), sweep, *words)
    assert code == 2
    assert err.startswith("error: --save-predictions is for segmentation, and the sweep has other")
    assert len(err.splitlines()) == 1
