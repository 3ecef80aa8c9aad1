"""Tables show every finished run, believe its counts, and say what is not the paper's."""

import json
import subprocess
import sys
from typing import get_args

import pytest

import results.__main__
from configs.classification_keys import Arch
from configs.fields import Padding
from configs.load import load
from configs.schema import MEANING_BEFORE
from foundation.errors import run_command
from foundation.files import write_json
from models import ARCHITECTURES
from padding import SCHEMES
from records import metrics_log
from records.score import SCORES
from records.summary import summarize
from results import printed
from results.collect import collect
from results.departures import differing, not_imagenet
from results.tables.accuracy import accuracy_table
from results.tables.cross import cross_table
from tests.conftest import ROOT
from tests.results.test_results import cells_of, write_evaluation, write_run


def tables(*arguments):
    def main():
        run_command(results.__main__.main)

    return (main, "tables", *arguments)


def change(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def test_one_list_of_schemes_and_one_of_networks():
    assert set(SCHEMES) == set(get_args(Padding)) >= set(printed.PADDINGS)
    assert set(ARCHITECTURES) == set(get_args(Arch)) >= set(printed.ARCHITECTURES)
    assert {row["Network"] for row in printed.table(2)} == {
        printed.network(arch, padding)
        for arch in printed.ARCHITECTURES
        for padding in printed.PADDINGS
    }


def test_every_finished_run_is_shown_the_papers_first(tmp_path):
    """Networks and paddings that this version does not know, too."""
    known = [("resnet50", "zero"), ("vgg16_bn", "partial"), ("resnet50", "partial")]
    for arch, padding in known:
        write_run(tmp_path, arch, padding, 1, 76, 75)
    for arch, padding in (("resnet50", "circular"), ("convnext_tiny", "zero")):
        run = write_run(tmp_path, "resnet50", "zero", 1, 70, 69, [f"run.name={arch}_{padding}"])
        change(run.config_file, "arch: resnet50", f"arch: {arch}")
        change(run.config_file, "padding: zero", f"padding: {padding}")
    write_evaluation(run, "zero", 70)
    write_evaluation(run, "circular", 71)
    write_evaluation(run, "partial", 72)
    runs = collect(tmp_path)
    rows = cells_of(accuracy_table(runs, "best", 5, "sample"))
    assert [row["Network"] for row in rows] == [
        *("vgg16BN_partial", "resnet50_zero", "resnet50_partial"),
        *("resnet50_circular", "convnext_tiny_zero"),
    ]
    assert (rows[3]["1_best"], rows[3]["diff"]) == ("70.000", "-6.000 (1/5 seeds)")
    assert (rows[4]["paper average"], rows[4]["PT_official"]) == ("", "")
    assert (
        "17 of the paper's 20 rows have no runs here."
        in accuracy_table(runs, "best", 5, "sample").notes
    )
    assert [row[:2] for row in cross_table(runs, 5).rows] == [
        ("convnext_tiny_zero", f"convnext_tiny_{used}") for used in ("zero", "partial", "circular")
    ]


def test_networks_of_several_data_sets_or_recipes_are_said(tmp_path):
    for arch, fingerprint in (("resnet50", "a" * 20), ("vgg16_bn", "b" * 20), ("vgg19_bn", None)):
        overrides = ["optim.lr=0.2"] * (arch == "vgg16_bn")
        run = write_run(tmp_path, arch, "zero", 1, 76, 75, overrides)
        if fingerprint:
            write_json(run.environment_file, {"data_fingerprint": fingerprint})
    [note] = differing(collect(tmp_path))
    told = f"data set {'a' * 12} (resnet50), {'b' * 12} (vgg16_bn); optim.lr 0.1 ("
    assert note.startswith(f"Recipes differ between networks: {told}")
    assert note in accuracy_table(collect(tmp_path), "best", 5, "sample").notes


def test_a_named_folder_of_benchmarks_is_there(tmp_path, main_of):
    write_run(tmp_path / "runs", "resnet50", "zero", 1, 76, 75)
    runs, gone = tmp_path / "runs", tmp_path / "gone"
    for command in ("tables", "report"):
        arguments = (command, "--runs", runs, "--benchmarks", gone)
        code, _, err = main_of(lambda: run_command(results.__main__.main), *arguments)
        assert (code, err) == (2, f"error: --benchmarks {gone}: there is no such folder\n")
    assert main_of(*tables("--runs", runs))[0] == 0  # RUNS/benchmarks need not be there


def test_a_cut_log_or_counts_at_odds_are_refused_by_name(tmp_path, main_of):
    write_run(tmp_path, "resnet50", "partial", 1, 77, 76)
    run = write_run(tmp_path, "resnet50", "zero", 1, 76, 75)
    log = run.metrics_file.read_bytes()
    for damage, message in (
        (log[:-30], "has 99 whole rows, though the run finished 100 epochs"),
        (b"".join(log.splitlines(keepends=True)[:40]), "has 40 whole rows"),
        (log.replace(b"152000", b"608000", 1), "val_top1 76.0 is not 608000 of 200000 images"),
        (log.replace(b"200000", b"50000", 1), "val_top1 76.0 is not 152000 of 50000 images"),
        (log.replace(b"76.0", b"NaN", 1), "val_top1 nan is not 152000 of 200000"),
        (log.replace(b"76.0", b'"76"', 1), "val_top1 76 is not 152000 of 200000"),
    ):
        assert damage != log
        run.metrics_file.write_bytes(damage)
        code, out, err = main_of(*tables("--runs", tmp_path))
        assert (code, out) == (2, "")
        assert err.startswith(f"error: {run.metrics_file}: ")
        assert message in err
        assert len(err.splitlines()) == 1
    run.metrics_file.write_bytes(log)
    assert main_of(*tables("--runs", tmp_path))[0] == 0
    for changes in ({"top1": 71.0}, {"correct1": None}, {"top1": "70"}, {"correct1": 7.5}):
        write_evaluation(run, "zero", 70)
        file = run.evaluations / "zero.json"
        write_json(file, json.loads(file.read_text()) | changes)
        code, _, err = main_of(*tables("--runs", tmp_path))
        assert code == 2
        assert f"zero.json: top1 {changes.get('top1', 70.0)} is not " in err
    (run.evaluations / "zero.json").write_text("[]")
    code, _, err = main_of(*tables("--runs", tmp_path))
    assert (code, f"{run.evaluations}/zero.json: not a table of names" in err) == (2, True)


@pytest.mark.parametrize("key", ["model.arch", "seed", "train.epochs", "model.padding"])
def test_a_configuration_without_what_tables_need_is_refused_by_name(tmp_path, main_of, key):
    run = write_run(tmp_path, "resnet50", "zero", 1, 76, 75)
    leaf = key.rpartition(".")[2]
    lines = run.config_file.read_text().splitlines()
    kept = [line for line in lines if not line.strip().startswith(f"{leaf}:")]
    assert len(kept) == len(lines) - 1
    run.config_file.write_text("\n".join(kept))
    code, _, err = main_of(*tables("--runs", tmp_path))
    assert (code, err) == (
        2,
        f"error: {run.config_file}: {key} is missing or damaged; restore the file\n",
    )


def test_runs_of_before_and_after_a_key_stand_in_one_table(tmp_path, monkeypatch):
    old = write_run(tmp_path, "resnet50", "zero", 1, 76, 75)
    write_run(tmp_path, "resnet50", "zero", 2, 76, 75)
    text = old.config_file.read_text()
    for line in ("  exclude: null\n", "  decode: cpu\n", "  gamma: 0.1\n"):
        assert line in text
        text = text.replace(line, "")
    old.config_file.write_text(text)
    with pytest.raises(ValueError, match=r"different recipes \(optim.gamma: "):
        collect(tmp_path)
    monkeypatch.setitem(MEANING_BEFORE, "optim.gamma", 0.1)
    assert len(collect(tmp_path)) == 2


def short_run(root, count, *overrides):
    """A finished run of the given validation images, by the paper's recipe but for `overrides`."""
    run = write_run(root, "resnet50", "zero", 1, 76, 75, overrides)
    rows = metrics_log.read(run.metrics_file)[: load(run.config_file).train.epochs]
    rows = [
        row | {"val_top1": 50.0, "val_correct1": count // 2, "val_count": count} for row in rows
    ]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_json(run.summary_file, summarize(rows, SCORES["classification"]))
    return collect(root)


@pytest.mark.parametrize(
    ("count", "overrides", "notes"),
    [
        (50_000, [], []),
        (50_000, ["data.workers=1", "data.backend=torchvision", "train.compile=default"], []),
        (
            50_000,
            ["optim.lr=0.5", "train.epochs=1"],
            ["NOT ImageNet by the paper's recipe: optim.lr 0.5 (recipe: 0.1); train.epochs 1 "
             "(recipe: 100); the paper's columns are for their form."],
        ),
        (
            50_000,
            ["model.num_classes=10"],
            ["NOT ImageNet: model.num_classes 10 (recipe: 1000); the paper's columns are for "
             "their form."],
        ),
        (
            360,
            ["optim.milestones=[3]"],
            ["NOT ImageNet: evaluated on 360 images; optim.milestones [3] (recipe: [30, 60, 90]); "
             "the paper's columns are for their form."],
        ),
        (
            50_000,
            ["data.backend=synthetic"],
            ["NOT ImageNet: trained on noise (data.backend synthetic); the paper's columns are "
             "for their form."],
        ),
    ],
)  # fmt: skip
def test_what_is_not_the_papers_is_said(tmp_path, count, overrides, notes):
    runs = short_run(tmp_path, count, *overrides)
    assert list(not_imagenet(runs)) == notes
    for measure in ("best", "last5_avg"):
        table = accuracy_table(runs, measure, 5, "sample")
        assert [note for note in table.notes if "NOT ImageNet" in note] == notes


def test_it_ends_quietly_when_nobody_reads(tmp_path):
    write_run(tmp_path, "resnet50", "zero", 1, 76, 75)
    out = tmp_path / "tables"
    line = f"{sys.executable} -m results tables --runs {tmp_path} --out {out} | true"
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.stderr == ""
    assert len(list(out.iterdir())) == 3


@pytest.mark.parametrize("content", [{}, {"data_fingerprint": 3}, {"resumed": [1]}])
def test_a_damaged_environment_is_one_line(tmp_path, content, main_of):
    run = write_run(tmp_path, "resnet50", "zero", 1, 76, 75)
    write_json(run.environment_file, content)
    code, _, err = main_of(*tables("--runs", tmp_path))
    assert code == 2
    assert err == f"error: {run.environment_file}: lacks the data_fingerprint; restore the file\n"


def test_what_a_run_started_from_goes_by_its_digest_and_is_told(tmp_path):
    def start_from(seed, weights, digest):
        run = write_run(tmp_path, "resnet50", "zero", seed, 76, 75, [f"model.weights={weights}"])
        record(run, {"sha256": digest})
        return run

    def record(run, weights):
        write_json(run.environment_file, {"data_fingerprint": "one", "weights": weights})

    one, other = "0676ba61" + 56 * "0", 64 * "1"
    start_from(1, "~/resnet50.pth", one)
    run = start_from(2, "/home/me/resnet50.pth", one)
    [note] = not_imagenet(collect(tmp_path))
    assert "model.weights sha256 0676ba6100000000 (recipe: null)" in note
    for damage in ({}, "0676ba61", {"sha256": 7}):
        record(run, damage)
        with pytest.raises(ValueError, match="its weights lack the sha256; restore the file"):
            collect(tmp_path)
    record(run, {"sha256": one})
    start_from(3, "~/resnet50.pth", other)
    with pytest.raises(ValueError, match=r"different recipes \(model.weights: sha256 "):
        collect(tmp_path)
    for file in tmp_path.glob("*/environment.json"):
        file.unlink()
    with pytest.raises(
        ValueError, match=r"different recipes \(model.weights: ~/resnet50.pth and /"
    ):
        collect(tmp_path)
