"""What results/measured/ shows is what its runs give."""

import re
import shlex
import sys
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

import evaluate
from foundation.files import read_json
from results.__main__ import main
from results.collect import collect
from results.predictions import predictions
from tests.conftest import ROOT

STUDY = ROOT / "results" / "measured" / "cifar10_cpu"
RUNS = sorted((STUDY / "runs").iterdir())


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The study's tables, claims and figures, made anew by the commands of its README."""
    out, before = tmp_path_factory.mktemp("study"), sys.argv
    try:
        for command in readme_commands("results"):
            *words, told = command
            assert told.startswith("results/measured/cifar10_cpu/"), told
            sys.argv = ["results", *words, str(out / told.rpartition("/")[2])]
            with pytest.MonkeyPatch.context() as patch:
                patch.chdir(ROOT)
                main()
    finally:
        sys.argv = before
    return out


def readme_commands(word):
    """Return what follows `word` in the README's commands."""
    lines = re.findall(r"^    (python .*)$", (STUDY / "README.md").read_text(), re.M)
    found = [shlex.split(line) for line in lines]
    return [words[words.index(word) + 1 :] for words in found if word in words]


def test_the_studys_tables_are_its_runs(made):
    names = {file.name for file in (STUDY / "tables").iterdir()}
    assert names == {file.name for file in (made / "tables").iterdir()}
    for name in names:
        assert (STUDY / "tables" / name).read_text() == (made / "tables" / name).read_text(), name


def test_readme_shows_the_studys_table(made):
    readme = (ROOT / "README.md").read_text()
    table = (made / "tables" / "table_2_best.md").read_text()
    rows = [line for line in table.splitlines() if line.startswith("| resnet18")]
    assert len(rows) >= 2
    shown = [re.split(r"\s*\|\s*", line) for line in readme.splitlines() if "| resnet18_" in line]
    for row in rows:
        cells = [cell for cell in re.split(r"\s*\|\s*", row) if cell]
        [found] = [line for line in shown if line[1] == cells[0]]
        assert [cell for cell in found if cell] == cells


def test_readme_says_what_the_study_shows(made):
    """Both measures: best epochs do not tell the paddings apart, the last five do."""
    cells = {}
    for name in ("table_2_best", "table_3_last5_avg"):
        lines = (made / "tables" / f"{name}.md").read_text().splitlines()
        heading, *rows = (re.split(r"\s*\|\s*", line)[1:-1] for line in lines if "|" in line)
        cells[name[:7]] = {row[0]: dict(zip(heading, row, strict=True)) for row in rows}
    best, last = cells["table_2"], cells["table_3"]
    p = {key: [float(one[f"resnet18_{key}"]["p"]) for one in (best, last)]
         for key in ("partial", "ref")}  # fmt: skip
    text = " ".join((ROOT / "README.md").read_text().split())
    assert f"by their best epochs (p = {p['partial'][0]:.2f})" in text
    apart = float(last["resnet18_partial"]["diff"].split()[0])
    assert f"({apart:.1f} points, p = {p['partial'][1]:.3f})" in text
    assert f"is lower by both (p = {p['ref'][0]:.3f} and {p['ref'][1]:.3f})" in text


def test_the_studys_figures_are_its_runs(made):
    names = {file.name for file in (made / "figures").iterdir()}
    kept = {file.name for file in (STUDY / "figures").iterdir()}
    # Fig. 4 shows images, which are not here.
    assert kept - names == {"fig_4_resnet18.svg", "fig_4_resnet18.png"}
    assert names <= kept
    assert len(names) == 12
    for name in names:
        kept, anew = (folder / "figures" / name for folder in (STUDY, made))
        if name.endswith(".png"):
            one, other = (pixels(file) for file in (kept, anew))
            assert one.shape == other.shape, name
            assert np.abs(one - other).mean() < 0.5, name  # of 255
        else:
            assert words_of(kept) == words_of(anew), name
            (one, at), (other, there) = (marks(file) for file in (kept, anew))
            assert one == other, name
            np.testing.assert_allclose(at, there, atol=0.1, err_msg=name)  # pt


def test_fig_4_is_a_picture():
    svg = STUDY / "figures" / "fig_4_resnet18.svg"
    drawn = list(ElementTree.parse(svg).iter("{http://www.w3.org/2000/svg}image"))  # noqa: S314
    assert drawn
    assert any("images" in line for line in words_of(svg))
    assert pixels(svg.with_suffix(".png")).std() > 20


def pixels(png):
    with Image.open(png) as file:
        return np.asarray(file.convert("RGB"), dtype=float)


def words_of(svg):
    """Return a figure's lines of text, which Matplotlib notes beside their outlines."""
    return re.findall(r"<!-- (.*?) -->", svg.read_text(encoding="utf-8"), re.S)


def marks(svg):
    """Return what an SVG draws, and at which numbers.

    Without letters' outlines, embedded pixels and names made of digests: libraries' other versions
    have others of the same look.
    """
    text = re.sub(r'base64,[^"]*|<path id="DejaVuSans[^>]*>', "", svg.read_text(encoding="utf-8"))
    text = re.sub(r"\b[a-z]*[0-9a-f]{10}\b", "name", text)
    number = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
    return re.sub(number, "", text), np.array(re.findall(number, text), dtype=float)


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_each_run_names_its_commit(run):
    kept = {file.name for file in run.iterdir()}
    assert kept >= {"config.yaml", "environment.json", "metrics.jsonl", "summary.json", "eval"}
    assert re.fullmatch(r"[0-9a-f]{40}", read_json(run / "environment.json")["git_commit"])


def test_each_run_was_evaluated_as_the_readme_says(monkeypatch):
    asked = []
    monkeypatch.setattr("commands.evaluate_runs.evaluate_runs", lambda *job: asked.append(job))
    [words] = readme_commands("evaluate.py")
    monkeypatch.setattr(sys, "argv", ["evaluate.py", *words])
    evaluate.main()
    [(_, which, paddings, overrides, _)] = asked
    assert (which, paddings, overrides) == ("best", [], [])  # each run's own, zero and partial
    runs = collect(STUDY / "runs")
    assert len(runs) == len(RUNS)
    for run in runs:
        assert run.evaluations.keys() == {run.padding, "zero", "partial"}
        for padding in run.evaluations:  # counts and images are held against each other
            assert len(predictions(run, padding).label) == run.val_count
