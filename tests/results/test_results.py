"""The paper's numbers as data, and tables from run directories."""

import csv
import json
import re
import statistics
from dataclasses import replace

import pytest

from configs.load import dump, load
from records.run_dir import RunDir, write_json
from records.score import SCORES
from records.summary import summarize
from results import printed
from results.__main__ import main
from results.collect import collect
from results.render import render
from results.tables.accuracy import accuracy_table
from results.tables.cross import cross_table, matrix_table
from tests.conftest import ROOT

# Divides so that every printed number, with up to four decimals, is a count of images.
COUNT = 200_000
PADDINGS = {"zero": "zero", "partial": "partial", "ref": "reflect", "rep": "replicate"}
ARCHITECTURES = {"vgg16BN": "vgg16_bn", "vgg19BN": "vgg19_bn"}

# Printed cells that the printed runs do not give (results/paper/README.md): printed, ours.
ERRATA = {
    (2, "vgg16BN_ref", "diff"): ("-0.225", "-0.224"),
    (2, "resnet50_ref", "average"): ("76.174", "76.175"),
    (2, "resnet50_rep", "diff"): ("0.075", "0.074"),
    (2, "resnet101_rep", "diff"): ("0.071", "0.070"),
    (3, "vgg16BN_ref", "stdev"): ("0.093", "0.094"),
    (3, "vgg19BN_ref", "diff"): ("-0.415", "-0.466"),
    (3, "resnet50_partial", "diff"): ("0.514", "0.515"),
    (3, "resnet101_rep", "stdev"): ("0.169", "0.170"),
    (4, "resnet50_partial", "diff"): ("-16.357", "-16.358"),
}


def texts_of_the_paper():
    """Return {number: lines of cells} of the tables as the paper's text has them."""
    tables = {}
    for line in (ROOT / "tests" / "results" / "paper_tables.txt").read_text().splitlines():
        if match := re.fullmatch(r"Table (\d)", line):
            lines = tables.setdefault(int(match[1]), [])
        elif "\t" in line:
            lines.append([cell.replace("<b>", "").replace("</b>", "") for cell in line.split("\t")])
    return tables


@pytest.mark.parametrize("number", range(1, 8))
def test_every_printed_cell(number):
    headings = 2 if number in (5, 7) else 1
    text = texts_of_the_paper()[number][headings:]
    with open(ROOT / "results" / "paper" / f"table_{number}.csv") as file:
        heading, *rows = csv.reader(file)
    assert [row + [""] * (len(text[0]) - len(row)) for row in rows] == text
    assert len(set(heading)) == len(heading) == len(rows[0])
    assert [list(row.values()) for row in printed.table(number)] == rows


def write_run(root, arch, padding, seed, best, last5_avg, overrides=(), finish=True):
    """Write a run directory whose best and last5_avg are the given percentages."""
    overrides = [f"model.padding={padding}", f"seed={seed}", f"run.root={root}", *overrides]
    config = load(ROOT / f"configs/{arch}.yaml", overrides)
    run = RunDir(root / config.run.name)
    run.path.mkdir(parents=True)
    run.config_file.write_text(dump(config))
    total = round(last5_avg * 5 * COUNT / 100)
    last = [total // 5 + (1 if i < total % 5 else 0) for i in range(5)]
    counts = [round(best * COUNT / 100)] + [COUNT // 2] * 94 + last
    rows = [
        {
            "epoch": epoch,
            "val_top1": 100 * correct / COUNT,
            "val_correct1": correct,
            "val_count": COUNT,
            "seconds": 1.0,
        }
        for epoch, correct in enumerate(counts[: None if finish else 10])
    ]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    run.set_status("finished" if finish else "interrupted")
    if finish:
        write_json(run.summary_file, summarize(rows, SCORES["classification"]))
    return run


def set_curve(run, percents):
    """Give a run written by `write_run` this score after each of its first epochs."""
    rows = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    for row, percent in zip(rows, percents, strict=False):
        row["val_correct1"] = round(percent * row["val_count"] / 100)
        row["val_top1"] = 100 * row["val_correct1"] / row["val_count"]
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_json(run.summary_file, summarize(rows, SCORES["classification"]))


def set_count(run, count):
    """Give a run written by `write_run` as many validation images, and the same scores."""
    rows = [json.loads(line) for line in run.metrics_file.read_text().splitlines()]
    for row in rows:
        row["val_correct1"] = round(row["val_correct1"] * count / row["val_count"])
        row |= {"val_count": count, "val_top1": 100 * row["val_correct1"] / count}
    run.metrics_file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    write_json(run.summary_file, summarize(rows, SCORES["classification"]))


def write_evaluation(run, padding, top1, **changes):
    run.evaluations.mkdir(exist_ok=True)
    correct = round(top1 * COUNT / 100)
    result = {
        "padding": padding,
        "checkpoint": "best",
        "epoch": 0,
        "precision": "fp32",
        "data_fingerprint": None,
        "top1": 100 * correct / COUNT,
        "correct1": correct,
        "count": COUNT,
    }
    write_json(run.evaluations / f"{padding}.json", result | changes)


@pytest.fixture(scope="module")
def papers_runs(tmp_path_factory):
    """The paper's own 100 runs as run directories, with the evaluations of Table 4."""
    root = tmp_path_factory.mktemp("papers_runs")
    table_4 = {(row["Training"], row["Inference"]): row for row in printed.table(4)}
    for best, last5 in zip(printed.table(2), printed.table(3), strict=True):
        assert best["Network"] == last5["Network"]
        network, padding = best["Network"].split("_")
        for seed in range(1, 6):
            run = write_run(
                root,
                ARCHITECTURES.get(network, network),
                PADDINGS[padding],
                seed,
                float(best[f"{seed}_best"]),
                float(last5[f"{seed}_last5_avg"]),
            )
            for other in ("zero", "partial"):
                cells = table_4.get((best["Network"], f"{network}_{other}"))
                if cells:
                    write_evaluation(run, other, float(cells[str(seed)]))
    return root


def cells_of(table):
    return [dict(zip(table.columns, row, strict=True)) for row in table.rows]


@pytest.mark.parametrize("number", [2, 3])
def test_the_papers_runs_give_back_the_papers_tables(papers_runs, number):
    measure = "best" if number == 2 else "last5_avg"
    ours = cells_of(accuracy_table(collect(papers_runs), measure, 5, "paper"))
    paper = printed.table(number)
    assert [row["Network"] for row in ours] == [row["Network"] for row in paper]
    met = set()
    for mine, theirs in zip(ours, paper, strict=True):
        for column, cell in theirs.items():
            key = (number, theirs["Network"], column)
            if key in ERRATA:
                assert (cell, mine[column]) == ERRATA[key]
                met.add(key)
            elif column in ("Network", "PT_official") or cell == "-":
                assert mine[column] == cell
            elif column[0].isdigit():
                assert float(mine[column]) == pytest.approx(float(cell), abs=6e-4)
            else:
                assert mine[column] == f"{float(cell):.3f}", key
            if f"paper {column}" in mine:
                assert mine[f"paper {column}"] == cell
    assert met == {key for key in ERRATA if key[0] == number}


def test_the_papers_runs_give_back_table_4(papers_runs):
    ours = cells_of(cross_table(collect(papers_runs), 5))
    for mine, theirs in zip(ours, printed.table(4), strict=True):
        for column, cell in theirs.items():
            if column in ("Training", "Inference") or cell == "-":
                assert mine[column] == cell
            else:
                key = (4, theirs["Inference"] if column == "diff" else "", column)
                expected = ERRATA[key][1] if key in ERRATA else f"{float(cell):.3f}"
                assert mine[column] == expected
        assert (mine["paper average"], mine["paper diff"]) == (theirs["average"], theirs["diff"])
        assert mine["in paper's range"] == "yes"


def test_sample_stdev_is_the_default_in_every_row(papers_runs):
    for row in cells_of(accuracy_table(collect(papers_runs), "best", 5, "sample")):
        runs = [float(row[f"{i}_best"]) for i in range(1, 6)]
        assert row["stdev"] == f"{statistics.stdev(runs):.3f}"


def test_incomplete_rows_are_marked(tmp_path):
    for seed in (1, 2, 3):
        write_run(tmp_path, "resnet50", "zero", seed, 76 + seed / 10, 75)
    write_run(tmp_path, "resnet50", "zero", 4, 76, 75, finish=False)
    write_run(tmp_path, "resnet50", "partial", 3, 77, 76)
    write_run(tmp_path, "vgg16_bn", "partial", 1, 73, 72, finish=False)
    table = accuracy_table(collect(tmp_path), "best", 5, "sample")
    vgg, zero, partial = cells_of(table)
    assert (vgg["Network"], vgg["average"], vgg["diff"]) == ("vgg16BN_partial", "(0/5 seeds)", "")
    assert zero["average"] == "76.200 (3/5 seeds)"
    assert [zero[f"{i}_best"] for i in range(1, 6)] == ["76.100", "76.200", "76.300", "", ""]
    assert zero["stdev"] == "0.100 (3/5 seeds)"
    assert (partial["average"], partial["stdev"]) == ("77.000 (1/5 seeds)", "")
    assert (partial["1_best"], partial["3_best"]) == ("", "77.000")  # by seed, beside its pair
    assert partial["diff"] == "0.700 (1/5 seeds)"  # of the seed that both have
    assert (partial["diff interval"], partial["p"], partial["±"]) == ("", "", "")
    assert "2 runs are not finished and do not count." in table.notes
    assert "17 of the paper's 20 rows have no runs here." in table.notes
    assert "One seed, so no stdev and no interval: resnet50_partial." in table.notes
    assert cross_table(collect(tmp_path), 5).rows == ()


def test_pairs_of_paddings_without_an_evaluation_are_marked(tmp_path):
    for padding in ("zero", "partial"):
        run = write_run(tmp_path, "resnet50", padding, 1, 76, 75)
        write_evaluation(run, padding, 76)
    write_evaluation(run, "zero", 70)
    zero, partial = cells_of(matrix_table(collect(tmp_path), 5))
    assert list(zero.values()) == ["resnet50_zero", "76.000 (1/5 seeds)", "(0/5 seeds)"]
    assert list(partial.values())[1:] == ["70.000 (1/5 seeds)", "76.000 (1/5 seeds)"]


@pytest.mark.parametrize("columns", ["all", "paper"])
def test_every_mark_has_its_legend(tmp_path, columns):
    for padding, seed in (("zero", 1), ("zero", 2), ("partial", 3), ("partial", 4)):
        write_run(tmp_path, "resnet50", padding, seed, 76 + seed / 10, 75)
    table = accuracy_table(collect(tmp_path), "best", 2, "sample", columns)
    assert cells_of(table)[1]["diff"].endswith(" W")
    assert any("W: Welch" in note for note in table.notes)


def test_a_reason_of_several_lines_stays_in_its_note(tmp_path):
    write_run(tmp_path, "resnet50", "zero", 1, 76, 75)
    run = write_run(tmp_path, "resnet50", "zero", 2, 76, 75, finish=False)
    run.set_status("failed", reason="loss is nan\n\nat step 3")
    table = accuracy_table(collect(tmp_path), "best", 5, "sample")
    note = "Failed, and not counted: resnet50_zero_seed2 (loss is nan at step 3)."
    assert note in table.notes
    torn = replace(table, title="a\nb", notes=("one\r\n two",))
    assert render(torn, "markdown").startswith("**a b**\n")
    assert render(torn, "markdown").endswith("\n- one two\n")


def test_what_does_not_belong_in_one_table(tmp_path):
    root = tmp_path / "runs"
    with pytest.raises(ValueError, match="no run directories; give the folder"):
        collect(root)
    write_run(root, "resnet50", "zero", 1, 76, 75)
    run = write_run(root, "resnet50", "partial", 1, 76, 75, ["data.root=/elsewhere"])
    assert len(collect(root)) == 2
    (run.path / "eval").mkdir()
    (run.path / "eval" / "zero_old.json").write_text("kept by the user")
    for key, value in {
        "checkpoint": "last",
        "epoch": 7,  # of the run when it was unfinished
        "precision": "bf16",
        "data_fingerprint": "other",
        "count": 360,
    }.items():
        write_evaluation(run, "zero", 70, **{key: value})
        with pytest.raises(ValueError, match=rf"zero.json: {key} is {value}, .* run evaluate.py"):
            cross_table(collect(root), 5)
    write_evaluation(run, "zero", 70)
    assert len(cross_table(collect(root), 5).rows) == 1
    write_run(root, "resnet50", "zero", 2, 76, 75, ["optim.lr=0.2"])
    with pytest.raises(ValueError, match=r"different recipes \(optim.lr: 0.1 and 0.2\)"):
        collect(root)
    lost = write_run(tmp_path / "lost", "resnet50", "zero", 1, 76, 75)
    lost.metrics_file.unlink()
    with pytest.raises(ValueError, match="metrics.jsonl: missing, though the run is finished"):
        collect(tmp_path / "lost")
    twice = tmp_path / "twice"
    write_run(twice, "resnet50", "zero", 1, 76, 75)
    write_run(twice, "resnet50", "zero", 1, 76, 75, ["run.name=again"])
    with pytest.raises(ValueError, match="the same network, padding and seed twice"):
        collect(twice)


def test_command_line(papers_runs, tmp_path, main_of):
    code, markdown, _ = main_of(main, "tables", "--runs", papers_runs, "--stdev", "paper")
    assert code == 0
    words = ("--stdev", "paper", "--columns", "paper")
    code, papers, _ = main_of(main, "tables", "--runs", papers_runs, *words)
    heading = next(line for line in papers.splitlines() if line.startswith("| Network"))
    assert [cell.strip() for cell in heading.split("|")[1:-1]] == list(printed.table(2)[0])
    [row] = [line for line in papers.splitlines() if re.match(r"\| vgg19BN_partial +\| 74.9", line)]
    assert [cell.strip() for cell in row.split("|")][7:10] == ["**75.129**", "0.687", "0.104"]
    [row] = [line for line in markdown.splitlines() if re.match(r"\| vgg19BN_partial.*75.16", line)]
    cells = [cell.strip() for cell in row.split("|")]
    assert cells[7:10] == ["**75.129**", "± 0.158", "0.687"]

    out = tmp_path / "out"
    assert main_of(main, "tables", "--runs", papers_runs, "--format", "csv", "--out", out)[0] == 0
    with open(out / "table_2_best.csv") as file:
        assert len(list(csv.DictReader(file))) == 20

    _, latex, _ = main_of(main, "tables", "--runs", papers_runs, "--format", "latex")
    assert r"resnet50\_ref & 76.188" in latex
    assert "$-0.438$" in latex
    assert latex.count(r"\begin{table}") == 4
    assert latex.count(r"\begin{tabular}") > 4  # the wide ones in two blocks
    assert r"\caption{average top-1 (\%), trained" in latex


def test_user_mistakes_exit_with_2(tmp_path, command):
    done = command("results", "tables", "--runs", tmp_path, check=False)
    assert done.returncode == 2
    assert done.stderr == (
        f"error: {tmp_path}: no run directories; give the folder that holds them to --runs\n"
    )
