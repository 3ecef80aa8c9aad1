"""The benchmarks' command lines, and Table 1 from what they write."""

import json
import re

import pytest
import torch

import benchmarks.inference
import benchmarks.padding
import results.__main__
from benchmarks.ones_conv import OnesConv2d
from foundation.errors import run_command
from padding import PartialConv2d
from results import printed
from tests.conftest import write_images


@pytest.mark.parametrize("bias", [True, False])
def test_the_papers_own_layer_computes_the_same(bias):
    theirs = OnesConv2d(3, 4, 3, stride=2, padding=1, bias=bias)
    ours = PartialConv2d(3, 4, 3, stride=2, padding=1, bias=bias)
    ours.load_state_dict(theirs.state_dict())
    for size in (8, 11):
        x = torch.randn(2, 3, size, size)
        torch.testing.assert_close(theirs(x), ours(x))


@pytest.mark.parametrize(
    ("benchmark", "columns"),
    [
        ("inference", ["resnet50_partial (1st)", "resnet50_ones (2nd - nth)"]),
        ("padding", ["resnet50_partial", "resnet50_ones", "peak memory (MiB)"]),
    ],
)
def test_command_line(benchmark, columns, command, tmp_path):
    arguments = ["--arch", "resnet50", "--padding", "partial", "ones", "--rounds", 2]
    arguments += ["--image-size", 32, "--batch", {"inference": 1, "padding": 4}[benchmark]]
    done = command(f"benchmarks.{benchmark}", *arguments, "--out", tmp_path / "benchmarks")
    assert all(column in done.stdout for column in columns)
    assert "103.39%" not in done.stdout  # the paper's, of another image size
    (file,) = (tmp_path / "benchmarks").iterdir()
    measured = json.loads(file.read_text())
    assert [row["padding"] for row in measured["rows"]] == ["zero", "partial", "ones"]
    assert measured["rows"][0]["relative"] == 1
    assert all(row["ms"] > 0 and row.get("peak_mib", 1) > 0 for row in measured["rows"])
    assert measured["versions"]["torch"] == torch.__version__
    # The same table again, without any run.
    again = command("results", "tables", "--runs", tmp_path)
    assert again.stdout.strip() == done.stdout.strip()


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--rounds", 0], "--rounds: 0 is no whole number above 0"),
        (["--batch", -1], "--batch: -1 is no whole number above 0"),
        (["--arch", "alexnet"], "invalid choice: 'alexnet'"),
        (["--image-size", 8], "resnet50: --image-size: 8 x 8 px: layer layer2.1.conv2"),
        (["--device", "cuda"], "--device cuda: torch sees no GPU here"),
    ],
)
def test_impossible_options(arguments, line, main_of, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for module in (benchmarks.inference, benchmarks.padding):
        code, _, err = main_of(
            lambda m=module: run_command(m.main), "--arch", "resnet50", *arguments
        )
        assert code == 2
        assert line in err.splitlines()[-1]


def test_table_1_of_the_papers_own_figures(tmp_path, main_of):
    """From its times, the paper's percentages."""
    paper = {row["Network"]: row for row in printed.table(1)}
    rows = []
    for arch in ("vgg16_bn", "resnet50"):
        zero, partial = (printed.network(arch, padding) for padding in ("zero", "partial"))
        base = float(paper[zero]["running time"])
        first, later = (
            float(paper[f"{partial} ({when})"]["running time"]) for when in ("1st", "2nd - nth")
        )
        rows.append({"arch": arch, "padding": "zero", "ms": base, "relative": 1.0})
        rows.append(
            {
                "arch": arch,
                "padding": "partial",
                "first_ms": first,
                "first_relative": first / base,
                "ms": later,
                "relative": later / base,
            }
        )
    content = {
        "benchmark": "inference",
        "setting": "as printed",
        "measured_by": "the authors",
        "as_the_paper": True,
        "rounds": 1,
        "started": "2018-11-28",
        "versions": {},
        "devices": "V100",
        "rows": rows,
    }
    folder = tmp_path / "measured"
    folder.mkdir()
    (folder / "v100.json").write_text(json.dumps(content))
    arguments = ["tables", "--benchmarks", folder, "--runs", tmp_path]
    out = tmp_path / "out"
    code, text, _ = main_of(results.__main__.main, *arguments, "--format", "csv", "--out", out)
    assert code == 0
    lines = [line.split(",") for line in text.strip().splitlines()[1:]]
    assert [line[0] for line in lines] == list(paper)
    for name, time, relative, paper_time, paper_relative in lines:
        assert (paper_time, paper_relative) == tuple(paper[name].values())[1:]
        assert time == paper_time
        assert float(relative.strip("%")) == pytest.approx(
            float(paper_relative.strip("%")), abs=0.006
        )
    assert (out / "table_1_v100.csv").read_text() == text.rstrip("\n") + "\n"
    words = ("--columns", "paper", "--format", "csv")
    _, text, _ = main_of(results.__main__.main, *arguments, *words)
    heading, *ours = (line.split(",") for line in text.strip().splitlines())
    assert heading == ["", "running time (ms)", "relative"]
    assert ours == [line[:3] for line in lines]


def test_a_file_that_no_benchmark_wrote(tmp_path, main_of):
    (tmp_path / "odd.json").write_text('{"rows": []}')
    arguments = ["tables", "--benchmarks", tmp_path, "--runs", tmp_path]
    code, _, err = main_of(lambda: run_command(results.__main__.main), *arguments)
    assert code == 2
    assert "odd.json: not written by a benchmark" in err


def test_scenes_command_line(command):
    done = command("benchmarks.scenes", "--images", 1, "--rounds", 1, "--crop", 300)
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [row[0].strip() for row in rows[2:]][:2] == ["this loader", "plain"]
    assert all(float(row[1]) > 0 for row in rows[2:])


def test_loader_and_index_command_lines(tmp_path, command):
    write_images(tmp_path / "loose", [(120, 90)] * 24, seed=1)
    arguments = [tmp_path / "loose", "--batch", 8, "--workers", 1, "--rounds", 1]
    done = command("benchmarks.loader", *arguments)
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line.startswith("| b")]
    assert [row[0].strip() for row in rows][:2] == ["backend dali", "backend torchvision"]
    assert all(float(row[1]) > 0 for row in rows)
    assert "of backend dali's time is JPEG decoding" in done.stdout
    lines = command("benchmarks.index").stdout.splitlines()
    assert len(lines) == 3
    for line in lines:
        seconds, memory = re.search(r": ([\d.]+) s .* (\d+) MiB more", line).groups()
        assert line.startswith("1,281,167 + 50,000 images")
        assert float(seconds) < 20  # far beyond the 2 s promised: no timing in a test
        assert float(memory) < 500
