"""Run directories, the metrics log and the two numbers of a run."""

import json

import pytest

from configs.load import known_keys, load
from configs.schema import MEANING_BEFORE
from foundation.files import read_json, write_atomically, write_json
from records import metrics_log
from records.finished import finished_rows
from records.run_dir import RunDir
from records.score import SCORES
from records.summary import best, last5_avg, summarize
from tests.conftest import ROOT, TINY

TOP1 = SCORES["classification"]


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
    assert best(rows, TOP1)["epoch"] == 1
    assert last5_avg(rows, TOP1) == 100 * (410 + 420 + 300 + 301 + 302) / 2500
    assert summarize(rows, TOP1) == {
        "best": {"epoch": 1, "val_top1": 84.0},
        "last5_avg": last5_avg(rows, TOP1),
        "epochs": 7,
        "seconds": 14.0,
    }
    assert last5_avg(rows[:2], TOP1) == 82.0


def test_the_log_forgets_the_line_a_crash_cut_short(tmp_path):
    file = tmp_path / "metrics.jsonl"
    assert metrics_log.read(file) == []
    for epoch in range(3):
        metrics_log.append(file, row(epoch, 100 + epoch))
    with open(file, "a") as opened:
        opened.write('{"epoch": 3, "val_')
    assert [r["epoch"] for r in metrics_log.read(file)] == [0, 1, 2]
    # Checkpoints of older versions hold no rows.
    assert len(metrics_log.restore(file, 2, [])) == 2
    assert [r["val_correct1"] for r in metrics_log.read(file)] == [100, 101]
    with pytest.raises(ValueError, match="has 2 epochs, but the checkpoint was saved after 3"):
        metrics_log.restore(file, 3, [])
    assert len(metrics_log.read(file)) == 2
    # The others are what the file becomes, whatever has become of it.
    for content in ("", "not json\n", json.dumps(row(0, 7)) + "\n"):
        file.write_text(content)
        kept = metrics_log.restore(file, 3, [row(epoch, 100 + epoch) for epoch in range(3)])
        assert [r["val_correct1"] for r in kept] == [100, 101, 102]
        assert metrics_log.read(file) == kept
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


def test_a_start_that_was_broken_off_is_ours_and_other_files_are_not(tmp_path):
    run = RunDir(tmp_path / "run")
    (run.path / "checkpoints").mkdir(parents=True)
    (run.path / ".lock").touch()
    (run.path / ".config.yaml.4711").write_text("half")
    run.open_for(config())
    assert sorted(path.name for path in run.path.iterdir()) == [
        ".lock",
        "checkpoints",
        "config.yaml",
    ]
    for place in ("checkpoints/last.pt", ".config.yaml", "metrics.jsonl", "notes/x"):
        foreign = RunDir(tmp_path / place.replace("/", "_"))
        (foreign.path / place).parent.mkdir(parents=True, exist_ok=True)
        (foreign.path / place).write_text("mine")
        with pytest.raises(ValueError, match="exists and is not a run directory"):
            foreign.open_for(config())
        assert [file.name for file in foreign.path.rglob("*") if file.is_file()] == [
            place.rpartition("/")[2]
        ]


def test_what_killed_commands_left_goes_when_the_run_is_opened(tmp_path):
    run = RunDir(tmp_path / "run")
    run.open_for(config())
    left = [".status.json.17", ".metrics.jsonl.17", "checkpoints/.last.pt.17"]
    left += ["checkpoints/.epoch_012.pt.17", "eval/.zero.npz.9"]
    kept = ["notes.txt", ".hidden", "checkpoints/last.pt", "eval/zero.json", ".notes.txt.17"]
    (run.path / "eval").mkdir()
    for name in left + kept:
        (run.path / name).write_text("x")
    with run.lock(), run.lock_evaluations():
        pass
    assert not any((run.path / name).exists() for name in left)
    assert all((run.path / name).exists() for name in kept)


def test_a_run_is_running_while_somebody_holds_it(tmp_path):
    run = RunDir(tmp_path / "run")
    run.open_for(config())
    assert run.state() == {}
    with run.lock():
        assert run.state() == {"status": "running"}
        run.set_status("running")
        assert run.state() == {"status": "running"}
    assert run.state() == {"status": "interrupted", "reason": "its process is gone"}
    run.set_status("failed", "disk full")
    assert run.state() == {"status": "failed", "reason": "disk full"}
    run.set_status("finished")
    assert run.state() == {"status": "interrupted", "reason": "summary.json is missing"}


def write_finished(path, rows):
    run = RunDir(path)
    run.open_for(config(f"train.epochs={len(rows)}"))
    for one in rows:
        metrics_log.append(run.metrics_file, one)
    write_json(run.summary_file, summarize(rows, TOP1))
    run.set_status("finished")
    return run


def test_the_log_of_a_finished_run_is_whole_or_refused(tmp_path):
    run = write_finished(tmp_path / "run", [row(i, 100 + i) for i in range(7)])
    good, summary = run.metrics_file.read_bytes(), run.summary_file.read_bytes()
    assert len(finished_rows(run, 7, TOP1)) == 7
    first = good.splitlines(keepends=True)
    damages = {
        "has 6 whole rows, though the run finished 7 epochs": [good[:-1], good[:-30]],
        "has 0 whole rows": [b""],
        "has 8 whole rows": [good + json.dumps(row(7, 1)).encode() + b"\n"],
        "a line is not JSON": [good[:9] + b"\xff" + good[10:], b"x\n"],
        "the epochs are not 0, 1, 2": [b"[]\n", first[1]],
        "val_top1 20.0 is not 400 of 500 images": [good.replace(b'1": 100,', b'1": 400,')],
        "val_top1 80.0 is not 100 of 500 images": [good.replace(b"20.0", b"80.0")],
        "val_count is not the same": [
            good.replace(b"20.0,", b"25.0,", 1).replace(b"500", b"400", 1)
        ],
        "has no counts": [good.replace(b"val_count", b"val_sum", 1)],
    }
    for message, contents in damages.items():
        for content in contents:
            assert content != good
            run.metrics_file.write_bytes(content)
            with pytest.raises(ValueError, match=f"^{run.metrics_file}: .*{message}"):
                finished_rows(run, 7, TOP1)
    run.metrics_file.write_bytes(good)
    for old, new in ((b"21.2", b"31.2"), (b'"epoch": 6', b'"epoch": 5'), (b"epochs", b"steps"),
                     (b'"best"', b'"top"'), (b"last5_avg", b"mean")):  # fmt: skip
        run.summary_file.write_bytes(summary.replace(old, new))
        assert summary != run.summary_file.read_bytes()
        with pytest.raises(ValueError, match=f"^{run.summary_file}: "):
            finished_rows(run, 7, TOP1)
    run.summary_file.write_bytes(summary)
    # Another, consistent history is not what the run ended with either.
    run.metrics_file.write_text("".join(json.dumps(row(i, 90 + i)) + "\n" for i in range(7)))
    with pytest.raises(ValueError, match="best is .* by metrics.jsonl .* restore the one"):
        finished_rows(run, 7, TOP1)
    run.metrics_file.unlink()
    with pytest.raises(ValueError, match="metrics.jsonl: missing, though the run is finished"):
        finished_rows(run, 7, TOP1)


# The keys of the first version that wrote run directories.
FIRST = {
    "model": "arch padding num_classes",
    "data": "root backend image_size eval_resize crop_area crop_aspect flip global_batch_size "
    "workers synthetic_size",
    "optim": "lr milestones gamma momentum weight_decay",
    "train": "epochs precision compile channels_last deterministic checkpoint_steps",
    "recipe": "global_batch_size bn_batch_size",
    "run": "root name",
}


def test_every_younger_key_says_what_older_runs_meant(tmp_path):
    first = {f"{section}.{key}" for section, keys in FIRST.items() for key in keys.split()}
    assert set(known_keys("classification")) - first - {"seed"} == set(MEANING_BEFORE)
    run = RunDir(tmp_path / "run")
    run.open_for(config("data.decode=cpu"))
    whole = run.config_file.read_text()
    lines = [line for line in whole.splitlines() if line.split(":")[0].strip() in
             {key.rpartition(".")[2] for key in MEANING_BEFORE}]  # fmt: skip
    assert len(lines) == len(MEANING_BEFORE)
    run.config_file.write_text(
        "".join(f"{one}\n" for one in whole.splitlines() if one not in lines)
    )
    assert run.config() == config("data.decode=cpu")
    assert run.config(["data.decode=gpu"]).data.decode == "gpu"
    run.open_for(config())
    with pytest.raises(ValueError, match="data.decode cpu -> gpu"):
        run.open_for(config("data.decode=gpu"))
    with pytest.raises(ValueError, match="data.decode: missing; set it in the file"):
        load(run.config_file)  # people write every key


def test_a_key_that_will_be_added(tmp_path, monkeypatch):
    """A directory written before a key existed reads as what the key's entry says."""
    run = RunDir(tmp_path / "run")
    run.open_for(config())
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace("  gamma: 0.1\n", ""))
    with pytest.raises(ValueError, match="optim.gamma: missing"):
        run.config()
    monkeypatch.setitem(MEANING_BEFORE, "optim.gamma", 0.1)
    assert run.config() == config()
    run.config_file.write_text(text + "  tags: [a]\nlabels: {smooth: 0.1}\n")
    with pytest.raises(ValueError, match="unknown to this one") as caught:
        run.config()
    assert str(caught.value) == (
        f"{run.config_file}: recorded by another version, with settings unknown to this one "
        f"(run.tags, labels.smooth); use that version"
    )
