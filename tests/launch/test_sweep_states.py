"""What a sweep makes of the directories that it finds; nothing is trained here."""

import hashlib
import json
import shlex
import subprocess
import sys

import pytest

import launch.attempts
import launch.sweep
from configs.load import dump, load
from configs.yaml_source import parse_override
from foundation.errors import run_command
from foundation.files import write_json
from launch.expand import expand
from launch.work import training
from records import metrics_log
from records.score import SCORES
from records.summary import summarize
from tests.conftest import ROOT, TINY


@pytest.fixture
def sweep(tmp_path):
    """Write a sweep file with this grid; its runs need no images and lie in tmp_path/runs."""

    settings = [*TINY, "data.backend=synthetic", f"run.root={tmp_path / 'runs'}", "run.name=x"]
    text = dump(load(ROOT / "configs/resnet50.yaml", settings))
    (tmp_path / "run.yaml").write_text(text.replace("name: x\n", "name: null\n"))

    def write(grid):
        file = tmp_path / "sweep.yaml"
        file.write_text(f"configs: [run.yaml]\nnproc_per_node: 1\ngrid:\n  {grid}\n")
        return [file]

    return write


def main():
    run_command(launch.sweep.main)


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()[:6]


def finish(arguments):
    """Make every run of the sweep a finished one."""
    for planned in expand(arguments[0], arguments[1:])[0]:
        run = planned.directory
        run.open_for(planned.config)
        rows = [
            {"epoch": epoch, "val_top1": 50.0 + epoch, "val_correct1": 50 + epoch, "val_count": 100}
            for epoch in range(planned.config.train.epochs)
        ]
        for row in rows:
            metrics_log.append(run.metrics_file, row)
        write_json(run.summary_file, summarize(rows, SCORES["classification"]))
        run.set_status("finished")


@pytest.fixture
def commands(monkeypatch):
    """The commands that the sweep starts, each replaced by what the test puts into `do`."""
    started = []

    class Started:
        do = staticmethod(lambda: None)

        def __init__(self, command, **_):
            started.append(command)
            Started.do()

        def poll(self):
            return 0

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # nobody asks the driver
    monkeypatch.setattr(launch.attempts.subprocess, "Popen", Started)
    return started, Started


def test_finished_runs_of_another_recipe_are_a_mistake(sweep, tmp_path, main_of, commands):
    arguments = sweep("seed: [1, 2]")
    finish(arguments)
    code, out, err = main_of(main, *arguments)
    assert (code, out.count("finished already"), err) == (0, 2, "")
    other = [*arguments, "optim.lr=0.002", "train.epochs=50"]
    code, out, err = main_of(main, *other)
    difference = "optim.lr 0.001 -> 0.002, train.epochs 2 -> 50"
    assert (code, out) == (2, "")
    assert err == (
        f"error: runs of another recipe are in the place of 2 of this sweep's; give it another "
        f"run.root: {tmp_path}/runs/resnet50_zero_seed1 ({difference}); "
        f"{tmp_path}/runs/resnet50_zero_seed2 ({difference})\n"
    )
    code, out, _ = main_of(main, *other, "--status")
    assert code == 0
    *lines, sums = out.splitlines()
    assert lines == [
        f"{tmp_path}/runs/resnet50_zero_seed1  another recipe: {difference}",
        f"{tmp_path}/runs/resnet50_zero_seed2  another recipe: {difference}",
    ]
    assert sums.startswith("0 of 2 runs finished, 2 another recipe, ")
    assert commands[0] == []


def test_one_damaged_file_spoils_one_line(sweep, tmp_path, main_of):
    arguments = sweep("seed: [1, 2, 3, 4, 5, 6, 7, 8]")
    finish(arguments)
    runs = [tmp_path / "runs" / f"resnet50_zero_seed{seed}" for seed in range(1, 9)]
    (runs[0] / "status.json").write_text("{")
    (runs[1] / "status.json").write_text("[]")
    (runs[2] / "summary.json").write_text('{"best": 3}')
    (runs[3] / "metrics.jsonl").write_bytes(b"\xff\n\n")
    (runs[4] / "config.yaml").write_text("a: [\n")
    (runs[5] / "config.yaml").write_text("seed: 6\n")
    (runs[6] / "metrics.jsonl").unlink()
    code, out, err = main_of(main, *arguments, "--status")
    assert (code, err) == (0, "")
    *lines, last = out.splitlines()
    assert len(lines) == 8
    for run, line in zip(runs[:7], lines[:7], strict=True):
        assert line.startswith(f"{run}  damaged: {run}/")
    assert lines[7] == f"{runs[7]}  finished  2/2 epochs  best 51.000  last5_avg 50.500"
    assert last.startswith("1 of 8 runs finished, 7 damaged, ")


def test_a_run_whose_process_is_gone_is_not_running(sweep, tmp_path, main_of):
    arguments = sweep("seed: [1]")
    [planned] = expand(arguments[0], arguments[1:])[0]
    run = planned.directory
    run.open_for(planned.config)
    with run.lock():
        run.set_status("running")
        assert f"{run.path}  running  0/2 epochs" in main_of(main, *arguments, "--status")[1]
    out = main_of(main, *arguments, "--status")[1]
    assert f"{run.path}  interrupted: its process is gone  0/2 epochs" in out


def test_what_another_sweep_trains_or_has_finished_is_no_failure(
    sweep, tmp_path, main_of, commands
):
    arguments = sweep("seed: [1, 2]")
    started, fake = commands
    first, second = (planned.directory for planned in expand(arguments[0], arguments[1:])[0])
    for planned in expand(arguments[0], arguments[1:])[0]:
        planned.directory.open_for(planned.config)
    with first.lock():
        # Of two commands that begin one run at a time the second is refused, and lives to see the
        # first one finish.
        fake.do = staticmethod(lambda: finish_one(second))
        code, out, err = main_of(main, *arguments)
    assert (code, err) == (0, "")
    assert f"[1/2] {first.path}: another command is training it" in out
    assert f"1 run is trained by another command: {first.path}" in out
    assert len(started) == 1
    fake.do = staticmethod(lambda: None)
    code, _, err = main_of(main, *arguments)  # nobody trains the first one any more
    assert code == 1
    assert f"1 run did not finish: {first.path} (not started)" in err


def finish_one(run):
    rows = [
        {"epoch": epoch, "val_top1": 50.0, "val_correct1": 1, "val_count": 2} for epoch in range(2)
    ]
    for row in rows:
        metrics_log.append(run.metrics_file, row)
    write_json(run.summary_file, summarize(rows, SCORES["classification"]))
    run.set_status("finished")


def test_a_folder_of_shards_will_do(sweep, tmp_path, main_of, commands):
    arguments = [*sweep("seed: [1]"), "data.backend=torchvision", f"data.root={tmp_path}"]
    code, _, err = main_of(main, *arguments)
    assert (code, f"{tmp_path}: has no train/ and val/; set data.root" in err) == (2, True)
    (tmp_path / "shards.json").write_text("{}")
    assert main_of(main, *arguments)[0] == 1  # the run was begun
    assert len(commands[0]) == 1


@pytest.mark.parametrize(
    ("grid", "names"),
    [
        ("optim.lr: [0.1, 0.02, 1e-05]", ["lr=0.1", "lr=0.02", "lr=1e-05"]),
        ("optim.milestones: [[30, 60], [], [3]]", ["milestones=30-60", "milestones=none",
                                                   "milestones=3"]),
        ("train.channels_last: [true, false]", ["channels_last=true", "channels_last=false"]),
        ("train.precision: [fp32, bf16]\n  seed: [1]", ["precision=fp32", "precision=bf16"]),
        (
            "data.global_batch_size: [12, 24]\n  recipe.global_batch_size: [24]",
            [
                "data-global_batch_size=12_recipe-global_batch_size=24",
                "data-global_batch_size=24_recipe-global_batch_size=24",
            ],
        ),
        (
            'data.root: [/a b, /a-b, "2024"]',  # a digest of what a file's name cannot hold
            [f"root=-a-b-{digest('/a b')}", f"root=-a-b-{digest('/a-b')}", "root=2024"],
        ),
        ("data.exclude: [null, x.txt]", ["exclude=null", "exclude=x.txt"]),
    ],
)  # fmt: skip
def test_a_grid_over_any_key_gives_names_of_their_own(sweep, grid, names, main_of):
    arguments = sweep(grid)
    runs, _ = expand(arguments[0], arguments[1:])
    assert [run.config.run.name for run in runs] == [f"resnet50_zero_seed1_{n}" for n in names]
    assert len(set(names)) == len(names)
    for run in runs:  # and train.py, given the command's words, makes the same of it
        words = shlex.split(shlex.join(training(run).command(1)))
        script = next(i for i, word in enumerate(words) if word.endswith("train.py"))
        assert load(words[script + 1], words[script + 2 :]) == run.config


def test_names_that_were_given_stay(sweep):
    arguments = sweep("optim.lr: [0.1]")
    [run] = expand(arguments[0], [*arguments[1:], "run.name=mine"])[0]
    assert run.config.run.name == "mine"
    arguments = sweep("run.name: [one, two]\n  optim.lr: [0.1]")
    assert [run.config.run.name for run in expand(arguments[0])[0]] == ["one", "two"]


@pytest.mark.parametrize(
    "value",
    ["/data/my set #2", "2024", "a: b", "true", "null", "~", "", " x ", "it's", 'say "x"', "1e-3",
     "[a, b]", "{a: b}", "- a", "&a", "*a", "!x", "%x", "@x", "`x", "a\\b", "é", "a\nb", "#", "😀",
     "\x85", "0x10", "-", "?", "plain"],
)  # fmt: skip
def test_values_reach_train_as_they_stand(tmp_path, value):
    (tmp_path / "run.yaml").write_text(f"base: {ROOT / 'configs/resnet50.yaml'}\n")
    file = tmp_path / "sweep.yaml"
    grid = (
        f"{{data.root: [{json.dumps(value)}]}}" if value != "😀" else f'{{data.root: ["{value}"]}}'
    )
    file.write_text(f"configs: [run.yaml]\nnproc_per_node: 1\ngrid: {grid}\n", encoding="utf-8")
    [run] = expand(file)[0]
    assert run.config.data.root == value
    word = next(word for word in training(run).command(1) if word.startswith("data.root="))
    assert parse_override(word)[1].value == value
    assert word == f"data.root={value}" or value != "plain"


@pytest.mark.parametrize("option", ["--status", "--dry-run", "--help"])
def test_it_ends_quietly_when_nobody_reads(option):
    line = f"{sys.executable} -m launch.sweep configs/sweeps/tables_2_3.yaml {option} | true"
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True)
    plan = option == "--dry-run"  # which goes there, so that the commands can be piped
    assert done.stderr.startswith("plan of ") if plan else done.stderr == ""
    assert "BrokenPipe" not in done.stderr
