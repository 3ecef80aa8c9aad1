"""Claims on the printed runs, and on run directories made of them."""

import csv
import re
import shutil
import subprocess
from dataclasses import replace

import pytest
from matplotlib.text import Text

from foundation.errors import run_command
from results import printed
from results.__main__ import main
from results.collect import collect
from results.figures.curves import curves
from results.findings import POOLED
from results.render import Table, render
from results.section_4_1 import BEATS, ONE_RUN, SOONER, STEADIER, SUFFERS
from results.tables.claims import claims_table
from results.tables.epochs import epochs_table
from results.tables.errata import errata_table
from tests.conftest import ROOT
from tests.results.test_results import cells_of, papers_runs, set_curve, write_run  # noqa: F401


def rows(table):
    return {(row["claim"], row["network"]): row for row in cells_of(table)}


def test_verdicts_on_the_printed_runs():
    found = rows(claims_table([], "best", 0.25))
    verdicts = {arch: found[BEATS, arch]["paper: verdict"] for arch in printed.ARCHITECTURES}
    open_ = dict.fromkeys(("vgg16_bn", "resnet101", "resnet152"), "not decided")
    assert verdicts == open_ | dict.fromkeys(("vgg19_bn", "resnet50"), "supported")
    assert [found[BEATS, arch]["paper: p (Holm)"][:5] for arch in ("vgg19_bn", "resnet50")] == [
        *("0.037", "0.001")
    ]
    spreads = {found[STEADIER, arch]["paper: verdict"] for arch in printed.ARCHITECTURES}
    assert spreads == {"not decided"}
    assert found[BEATS, POOLED]["paper: verdict"] == "supported"
    assert found[SUFFERS, "resnet50"]["paper: verdict"] == "supported"
    assert found[BEATS, "vgg16_bn"]["paper: seeds"] == "10"
    assert not any(row["ours: verdict"] for row in found.values())
    assert not any(claim == SOONER for claim, _ in found)


def test_ours_beside_the_papers(papers_runs):  # noqa: F811
    found = rows(claims_table(collect(papers_runs), "best", 0.25))
    assert found[BEATS, "resnet50"]["ours: test"] == "paired t, n = 5"
    assert found[SUFFERS, "resnet50"]["ours: verdict"] == "supported"
    effects = [found[ONE_RUN, "resnet152"][f"{side}: effect"] for side in ("paper", "ours")]
    assert effects[0] == effects[1]  # one formula, whether or not seeds pair
    assert found[SOONER, "resnet50"]["ours: effect"].endswith("%")


def test_a_network_with_one_seed_is_left_out_of_what_is_pooled(tmp_path):
    for arch, seeds in (("vgg16_bn", 5), ("resnet50", 5), ("resnet101", 1)):
        for seed in range(1, seeds + 1):
            write_run(tmp_path, arch, "zero", seed, 76 + seed / 10, 75)
            write_run(tmp_path, arch, "partial", seed, 77 + (seed % 3) / 10, 75)
    found = rows(claims_table(collect(tmp_path), "best", 0.25))
    assert found[BEATS, POOLED]["ours: test"] == "paired t, n = 10, without resnet101"
    assert found[BEATS, POOLED]["ours: verdict"] == "supported"
    assert found[STEADIER, POOLED]["ours: test"] == "F, without resnet101"
    assert found[BEATS, "resnet101"]["ours: effect"] == "+1.000 points"


def test_what_the_page_says_of_reflect_and_replicate():
    found = rows(claims_table([], "best", 0.25))
    similar, within = (
        {key: row for key, row in found.items() if what in key[0]}
        for what in ("similar to zero or worse", "within the margin")
    )
    assert (len(similar), len(within)) == (10, 10)
    supported = [row for row in similar.values() if row["paper: verdict"] == "supported"]
    assert {row["network"] for row in supported} == {"resnet152"}
    p = [f"{float(row['paper: p (Holm)']):.3f}" for row in supported]
    text = " ".join((ROOT / "docs/results.md").read_text().split())
    assert f"is supported for ResNet-152 (p = {p[0]} and {p[1]}) and open for the other" in text
    assert {row["paper: verdict"] for row in (*similar.values(), *within.values())} == {
        *("supported", "not decided"),
    }
    assert {row["paper: verdict"] for row in within.values()} == {"not decided"}


def test_each_effect_has_the_seeds_that_find_it():
    for (claim, network), row in rows(claims_table([], "best", 0.25)).items():
        few = claim == ONE_RUN or row["paper: effect"].startswith("variance ratio 1.0")
        assert row["paper: seeds"].isdecimal() or few, (claim, network)


def test_our_own_effects_in_every_direction(tmp_path):
    """A study whose answer is known: partial better, reflect much worse, replicate the same."""
    for seed in (1, 2, 3, 4):
        base = 70 + seed / 10
        for padding, best in (
            *(("zero", base), ("partial", base - 2 - seed / 100)),
            *(("reflect", base - 1 - seed / 200), ("replicate", base + seed / 500)),
        ):
            write_run(tmp_path, "resnet50", padding, seed, best, best - 1)
    found = rows(claims_table(collect(tmp_path), "best", 0.25))
    assert found[BEATS, "resnet50"]["ours: verdict"] == "contradicted"
    verdicts = {
        re.match(r"\w+", claim)[0]: row["ours: verdict"]
        for (claim, network), row in found.items()
        if "similar" in claim and network == "resnet50"
    }
    assert verdicts == {"reflect": "supported", "replicate": "supported"}


def test_one_accuracy_a_network_wherever_epochs_are_counted(tmp_path):
    """Reflection padding, which gets less far, doesn't move the level of the claim's two."""
    for seed in (1, 2):
        for padding, best in (("zero", 76), ("partial", 77), ("reflect", 60)):
            write_run(tmp_path, "resnet50", padding, seed, best, 55)
    runs = collect(tmp_path)
    table = cells_of(epochs_table(runs))
    assert [row["accuracy"] for row in table] == ["75"] * 3
    assert [row["seeds that reach it"] for row in table] == ["2/2", "2/2", "0/2"]
    found = rows(claims_table(runs, "best", 0.25))
    assert found[SOONER, "resnet50"]["ours: effect"].endswith("epochs sooner at 75 %")
    assert "75 % after" in " ".join(text.get_text() for text in curves(runs).findobj(Text))


def test_every_printed_stdev_is_one_of_the_two_formulas():
    cells = cells_of(errata_table())
    assert len(cells) == 40
    for row in cells:
        expected = "sqrt(SS/4)" if row["Network"].endswith(("ref", "rep")) else "sqrt(SS/6)"
        assert row["printed is"] == expected


def test_command_line(papers_runs, tmp_path, main_of):  # noqa: F811
    out = tmp_path / "out"
    assert main_of(main, "claims", "--format", "csv", "--out", out)[0] == 0
    with open(out / "errata_stdev.csv") as file:
        assert len(list(csv.DictReader(file))) == 40
    code, text, _ = main_of(main, "claims", "--runs", papers_runs, "--measure", "last5_avg")
    assert code == 0
    assert "claims, on its own printed runs and on ours (last5_avg top-1)" in text

    def run():
        run_command(main)

    code, text, _ = main_of(main, "claims", "--runs", papers_runs, "--accuracy", "74.9")
    assert code == 0
    rows_ = [line.split("|") for line in text.splitlines() if line.startswith("| resnet50_")]
    assert {cells[2].strip() for cells in rows_ if len(cells) == 9} == {"74.9"}
    for accuracy in ("749", "nan", "-1", "high"):
        code, _, told = main_of(run, "claims", "--accuracy", accuracy)
        assert code == 2
        assert f"{accuracy}: an accuracy is from 0 to 100 percent" in told
    code, _, told = main_of(run, "tables", "--seeds", "0")
    assert code == 2
    assert "a row needs one run at least" in told


@pytest.mark.skipif(not shutil.which("pdflatex"), reason="pdflatex: not installed (texlive)")
def test_latex_compiles_and_fits_the_page(papers_runs, tmp_path, main_of):  # noqa: F811
    for words in (("tables", "--runs", papers_runs), ("claims", "--runs", papers_runs)):
        assert main_of(main, *words, "--format", "latex", "--out", tmp_path)[0] == 0
    files = sorted(tmp_path.glob("*.tex"))
    assert len(files) == 7
    inputs = "".join(rf"\input{{{file.stem}}}" for file in files)
    packages = r"\documentclass{article}\usepackage{booktabs,graphicx}"
    (tmp_path / "all.tex").write_text(rf"{packages}\begin{{document}}{inputs}\end{{document}}")
    widths = []
    for file in (*files, tmp_path / "all.tex"):
        text = file.read_text()
        file.write_text(text.replace(r"\ifdim\wd0", r"\typeout{W \the\wd0}\ifdim\wd0"))
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", file.name],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            errors="replace",
        )
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Overfull \\hbox" not in done.stdout, file
        assert "Float too large" not in done.stdout, file
        assert file.with_suffix(".pdf").is_file()
        widths += [float(width) for width in re.findall(r"^W ([\d.]+)pt", done.stdout, re.M)]
    # 8 pt shrunk to the page's 345 pt: 5 pt and more are left.
    assert len(widths) > len(files)
    assert max(widths) <= 345 * 8 / 5


def test_no_name_stops_latex(tmp_path):
    name = 'a|b & {c} $x^2$ "é ß" 猫 Ω -1 \\n ~ # 10 % \x07'
    wide = tuple(f"({j}) 0.123 of many words" for j in range(30))
    table = Table(
        name="odd",
        title="Table 4, all pairs: " + name,
        names=1,
        columns=("Network", *(f"column {j}" for j in range(30))),
        rows=tuple((f"{name} {i}", *wide) for i in range(150)),
        notes=(name, ""),
        bold=frozenset({(0, 0), (149, 30)}),
    )
    text = render(table, "latex")
    assert r"\caption{a\textbar{}b \& \{c\}" in text
    assert "[U+732B]" in text
    assert text.isascii()
    assert r"\caption{x}" in render(replace(table, title="Figure 3: x"), "latex")
    assert r"\caption{As Table 4, x: y}" in render(
        replace(table, title="As Table 4, x: y"), "latex"
    )
    for cell in wide:
        assert text.count(cell) == 150
    if shutil.which("pdflatex"):
        (tmp_path / "odd.tex").write_text(text)
        words = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "odd.tex"]
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
        assert "Overfull" not in done.stdout
        assert "Float too large" not in done.stdout
    assert r"\begin{tabular}" in render(replace(table, rows=()), "latex")
