"""What results/measured/ shows is what its runs give."""

import re

import pytest

from results.__main__ import main
from tests.conftest import ROOT

STUDY = ROOT / "results" / "measured" / "cifar10_cpu"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The study's tables and claims, made anew."""
    import sys

    out, before = tmp_path_factory.mktemp("tables"), sys.argv
    try:
        for command in ("tables", "claims"):
            sys.argv = ["results", command, "--runs", f"{STUDY / 'runs'}", "--out", f"{out}"]
            main()
    finally:
        sys.argv = before
    return out


def test_the_studys_tables_are_its_runs(made):
    names = {file.name for file in (STUDY / "tables").iterdir()}
    assert names == {file.name for file in made.iterdir()}
    for name in names:
        assert (STUDY / "tables" / name).read_text() == (made / name).read_text(), name


def test_readme_shows_the_studys_table(made):
    readme = (ROOT / "README.md").read_text()
    table = (made / "table_2_best.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| resnet18")]
    assert len(rows) >= 2
    shown = [re.split(r"\s*\|\s*", line) for line in readme.splitlines() if "| resnet18_" in line]
    for row in rows:
        cells = [cell for cell in re.split(r"\s*\|\s*", row) if cell]
        [found] = [line for line in shown if line[1] == cells[0]]
        assert [cell for cell in found if cell] == cells


def test_the_studys_figures_are_there():
    for name in ("fig_1_best", "fig_3_resnet18", "where_resnet18"):
        for ending in (".svg", ".png"):
            assert (STUDY / "figures" / f"{name}{ending}").is_file()


def test_each_run_was_evaluated_and_names_its_commit():
    for run in (STUDY / "runs").iterdir():
        kept = {file.name for file in run.iterdir()}
        assert kept >= {"config.yaml", "environment.json", "metrics.jsonl", "summary.json", "eval"}
