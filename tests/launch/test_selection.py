"""Parts of a sweep, their order, and runs that are tried again."""

import itertools

import pytest

from foundation.errors import run_command
from launch.expand import expand
from launch.sweep import main
from records.run_dir import RunDir
from tests.conftest import ROOT, TINY

PAPER = ROOT / "configs/sweeps/tables_2_3.yaml"


def names(out):
    """Return (network's file, padding, seed) of every printed command."""
    lines = [line.split() for line in out.splitlines()]
    assert all(any(word.endswith("train.py") for word in line) for line in lines)
    options = [dict(word.split("=", 1) for word in line if "=" in word) for line in lines]
    files = [next(word for word in line if word.endswith(".yaml")) for line in lines]
    return [
        (file.rpartition("/")[2], one["model.padding"], int(one["seed"]))
        for file, one in zip(files, options, strict=True)
    ]


def test_only_and_shards(main_of):
    code, out, _ = main_of(main, PAPER, "--dry-run")
    everything = names(out)
    assert (code, len(everything), len(set(everything))) == (0, 100, 100)
    conditions = ["seed=3", "model.padding=zero", "model.padding=partial"]
    options = itertools.chain(*(("--only", condition) for condition in conditions))
    out = main_of(main, PAPER, "--dry-run", *options)[1]
    assert names(out) == [n for n in everything if n[1] in ("zero", "partial") and n[2] == 3]
    parts = [
        names(main_of(main, PAPER, "--dry-run", "--shard", f"{number}/7")[1])
        for number in range(1, 8)
    ]
    assert [run for runs in itertools.zip_longest(*parts) for run in runs if run] == everything
    assert max(map(len, parts)) - min(map(len, parts)) == 1


def test_a_networks_zero_and_partial_rows_come_first_and_whole(tmp_path):
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        f"configs: [{ROOT}/configs/vgg16_bn.yaml, {ROOT}/configs/resnet50.yaml]\n"
        "grid:\n  seed: [1, 2]\n  model.padding: [reflect, partial, zero]\n  optim.lr: [0.1, 0.2]\n"
        "nproc_per_node: 8\n"
    )
    runs = [run.config for run in expand(sweep)[0]]
    order = [(one.model.arch, one.optim.lr, one.model.padding, one.seed) for one in runs]
    rows = ("zero", "partial", "reflect")
    expected = itertools.product(("vgg16_bn", "resnet50"), (0.1, 0.2), rows, (1, 2))
    assert order == list(expected)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--only", "sed=3"], "--only 'sed=3': sed: unknown key; did you mean 'seed'?"),
        (["--only", "seed"], "'seed': not an override; write key.sub=value"),
        (["--only", "seed=9"], "--only seed=9: no run of the sweep is so; it has seed: 1, 2, 3"),
        (["--shard", "0/4"], "--shard 0/4: expected i/n, for example 1/4 to 4/4"),
        (["--shard", "5/4"], "--shard 5/4: expected i/n"),
        (["--shard", "half"], "--shard half: expected i/n"),
        (["--retries", "-1"], "--retries: -1: expected 0 or more"),
    ],
)
def test_mistakes(arguments, line, main_of):
    code, _, err = main_of(lambda: run_command(main), PAPER, "--dry-run", *arguments)
    assert code == 2
    assert line in err


def test_a_run_that_fails_is_tried_again_and_then_left(images, tmp_path, main_of):
    (tmp_path / "run.yaml").write_text(
        f"base: {ROOT / 'configs/resnet50.yaml'}\nmodel: {{arch: resnet18}}\n"
    )
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "configs: [run.yaml]\ngrid:\n  optim.lr: [1.0e+30, 1.0e-30]\nnproc_per_node: 1\n"
    )
    settings = [*TINY[:6], *TINY[7:], f"data.root={images}", f"run.root={tmp_path / 'runs'}"]
    settings += ["train.epochs=1", "model.padding=zero"]
    code, out, err = main_of(main, sweep, "--retries", "1", *settings)
    assert code == 1
    assert out.count("trying again (1 left)") == 1
    assert "1 run did not finish" in err
    states = {run.name: RunDir(run).status()["status"] for run in (tmp_path / "runs").iterdir()}
    assert sorted(states.values()) == ["failed", "finished"]
