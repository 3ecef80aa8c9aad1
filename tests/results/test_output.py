"""What the results' commands print and write: whole, in every locale, with its notes."""

import os
import subprocess
import sys

import pytest

from foundation.errors import run_command
from results.__main__ import main
from results.output import show
from results.render import Table
from tests.conftest import ROOT
from tests.results.test_results import write_run

TABLE = Table("one", "A title ±", 1, ("run", "±"), (("a", "1"),), ("NOT ImageNet.", "W: Welch."))


def command():
    run_command(main)


def test_a_csv_has_its_notes_beside_it_and_on_stderr(tmp_path, capfd):
    told = "A title ±\nNOT ImageNet.\nW: Welch.\n"
    show([TABLE], "csv", tmp_path / "out")
    assert capfd.readouterr() == ("run,±\na,1\n\n", told)
    assert {file.name: file.read_text() for file in (tmp_path / "out").iterdir()} == {
        "one.csv": "run,±\na,1\n",
        "one.notes.txt": told,
    }
    show([TABLE], "markdown", tmp_path / "marked")
    assert capfd.readouterr().err == ""
    assert [file.name for file in (tmp_path / "marked").iterdir()] == ["one.md"]


def test_failed_runs_and_departures_are_told_beside_a_csv(tmp_path, main_of):
    write_run(tmp_path, "resnet50", "zero", 1, 76, 75, ["optim.lr=0.5"])
    write_run(tmp_path, "resnet50", "zero", 2, 76, 75, ["optim.lr=0.5"], finish=False)
    out = tmp_path / "out"
    code, _, err = main_of(command, "tables", "--runs", tmp_path, "--format", "csv", "--out", out)
    assert code == 0
    notes = (out / "table_2_best.notes.txt").read_text()
    assert "NOT ImageNet: evaluated on 200,000 images; optim.lr 0.5" in notes
    assert "\n1 run is not finished and does not count.\n" in notes
    assert notes in err


def test_a_file_is_replaced_whole(tmp_path):
    file, before = tmp_path / "one.md", tmp_path / "before"
    file.write_text("before")
    os.link(file, before)
    show([TABLE], "markdown", tmp_path)
    assert before.read_text() == "before"
    assert file.read_bytes().decode("utf-8").startswith("**A title ±**")
    assert len(list(tmp_path.iterdir())) == 2


def test_a_place_that_cannot_be_written_is_one_line(tmp_path, main_of):
    (tmp_path / "file").touch()
    code, out, err = main_of(command, "claims", "--out", tmp_path / "file" / "below")
    assert (code, out, len(err.splitlines())) == (2, "", 1)
    assert f"{tmp_path}/file/below: cannot be written (" in err


def test_a_locale_without_the_characters(tmp_path):
    write_run(tmp_path / "runs", "resnet50", "zero", 1, 76, 75)
    done = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-m", "results", "tables", "--format", "csv"]
        + ["--runs", tmp_path / "runs", "--out", tmp_path / "é"],
        env=os.environ | {"LC_ALL": "C"},
        cwd=ROOT,
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert b",average,\\xb1,diff," in done.stdout
    text = (tmp_path / "é" / "table_2_best.csv").read_bytes().decode("utf-8")
    assert ",average,±,diff," in text


@pytest.mark.parametrize("margin", ["0", "-1", "nan", "inf"])
def test_a_margin_is_a_number_of_points(margin, main_of):
    code, _, err = main_of(command, "claims", f"--margin={margin}")
    assert (code, err) == (2, f"error: --margin {margin}: give a positive number of points\n")


def test_fig_2_needs_no_runs(tmp_path, main_of, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = main_of(command, "figures", "--out", "figures")
    assert (code, out) == (0, "fig_2_padding\n")
    assert err == "no folder runs: what needs runs is not drawn (--runs)\n"
    assert len(list((tmp_path / "figures").iterdir())) == 2
    # A folder that was named, or that holds no runs, is a mistake.
    (tmp_path / "runs").mkdir()
    for words in ([], ["--runs", "elsewhere"]):
        code, _, err = main_of(command, "figures", "--out", "figures", *words)
        assert code == 2
        assert "no run directories" in err
