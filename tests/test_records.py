"""Run directories, the metrics log and the two numbers of a run."""

import json

import pytest

from configs.load import load
from records import metrics_log
from records.run_dir import RunDir, read_json, write_atomically
from records.summary import best, last5_avg, summarize
from tests.conftest import ROOT, TINY


def row(epoch, correct, count=500):
    return {
        "epoch": epoch,
        "val_top1": 100 * correct / count,
        "val_correct1": correct,
        "val_count": count,
        "seconds": 2.0,
    }


def config(*overrides):
    return load(ROOT / "configs/resnet50.yaml", [*TINY, *overrides])


def test_best_is_the_earliest_maximum_and_last5_the_mean_of_five():
    rows = [row(i, correct) for i, correct in enumerate([400, 420, 410, 420, 300, 301, 302])]
    assert best(rows)["epoch"] == 1
    assert last5_avg(rows) == 100 * (410 + 420 + 300 + 301 + 302) / 2500
    assert summarize(rows) == {
        "best": {"epoch": 1, "val_top1": 84.0},
        "last5_avg": last5_avg(rows),
        "epochs": 7,
        "seconds": 14.0,
    }
    assert last5_avg(rows[:2]) == 82.0


def test_the_log_forgets_the_line_a_crash_cut_short(tmp_path):
    file = tmp_path / "metrics.jsonl"
    assert metrics_log.read(file) == []
    for epoch in range(3):
        metrics_log.append(file, row(epoch, 100 + epoch))
    with open(file, "a") as opened:
        opened.write('{"epoch": 3, "val_')
    assert [r["epoch"] for r in metrics_log.read(file)] == [0, 1, 2]
    assert len(metrics_log.truncate(file, 2)) == 2
    assert [r["val_correct1"] for r in metrics_log.read(file)] == [100, 101]
    with pytest.raises(ValueError, match="has 2 epochs, but the checkpoint was saved after 3"):
        metrics_log.truncate(file, 3)
    with pytest.raises(ValueError, match="has 2 epochs, but the last checkpoint is of epoch 0"):
        metrics_log.truncate(file, 0)
    assert len(metrics_log.read(file)) == 2
    file.write_text("not json\n")
    with pytest.raises(ValueError, match="a line is not JSON"):
        metrics_log.read(file)
    file.write_text(json.dumps(row(1, 5)) + "\n")
    with pytest.raises(ValueError, match="epochs are not 0, 1, 2"):
        metrics_log.read(file)


def test_a_directory_belongs_to_one_recipe(tmp_path):
    run = RunDir(tmp_path / "run")
    run.open_for(config())
    assert run.config() == config()
    before = run.config_file.read_bytes()
    run.open_for(config("data.workers=3", "data.root=/elsewhere", "run.root=/other"))
    with pytest.raises(ValueError, match=r"another recipe \(model.padding zero -> partial, optim"):
        run.open_for(config("model.padding=partial", "optim.lr=0.2"))
    assert run.config_file.read_bytes() == before

    foreign = RunDir(tmp_path / "foreign")
    foreign.path.mkdir()
    (foreign.path / "thesis.tex").write_text("mine")
    with pytest.raises(ValueError, match="exists and is not a run directory; move it away"):
        foreign.open_for(config())
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match="exists and is not a run directory"):
        RunDir(tmp_path / "file").open_for(config())
    with pytest.raises(ValueError, match="cannot create it"):
        RunDir(tmp_path / "file" / "run").open_for(config())
    with pytest.raises(ValueError, match="not a run directory"):
        foreign.config()


def test_one_command_at_a_time(tmp_path):
    run = RunDir(tmp_path / "run")
    run.open_for(config())
    with run.lock(), pytest.raises(ValueError, match="another command is training"), run.lock():
        pass
    with run.lock():
        pass


def test_the_first_end_of_a_run_is_believed(tmp_path):
    run = RunDir(tmp_path / "run")
    run.open_for(config())
    assert run.status() == {}
    run.set_status("running")
    assert run.end("failed", "disk full")
    assert not run.end("interrupted")
    assert run.status() == {"status": "failed", "reason": "disk full"}
    assert not run.is_finished()


def test_files_are_replaced_whole(tmp_path):
    file = tmp_path / "file"
    write_atomically(file, b"one")
    write_atomically(file, b"two")
    assert file.read_bytes() == b"two"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    with pytest.raises(ValueError, match="not readable JSON"):
        read_json(file)
