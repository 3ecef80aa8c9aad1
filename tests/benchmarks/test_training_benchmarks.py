"""The benchmarks of training, of whole commands and of a GPU, on a CPU with tiny sizes."""

import json

import pytest

import results.__main__
from tests.conftest import write_images

TINY = ["--arch", "resnet50", "--batch", 4, "--image-size", 32, "--rounds", 1, "--device", "cpu"]


def rows_of(folder, done, command):
    """Return the rows of the only file, after the same table has been printed from it again."""
    (file,) = folder.glob("*.json")
    again = command("results", "tables", "--benchmarks", folder, "--runs", folder)
    assert again.stdout.strip() == done.stdout.strip()
    return json.loads(file.read_text())["rows"]


@pytest.mark.parametrize("loaded", [False, True], ids=["synthetic", "images"])
def test_training(loaded, command, tmp_path):
    arguments = ["--steps", 2]
    if loaded:
        write_images(tmp_path / "loose", [(50, 40)] * 5, seed=1)
        arguments += ["--images", tmp_path / "loose", "--backend", "torchvision", "--workers", 1]
    out = tmp_path / "out"
    done = command("benchmarks.training", *TINY, *arguments, "--out", out)
    rows = {row["way"]: row for row in rows_of(out, done, command)}
    assert list(rows) == [
        "plain loop",
        "by hand: fused SGD, eager, contiguous",
        "this trainer, eager, contiguous",
        "by hand: fused SGD, eager, channels_last",
        "this trainer, eager, channels_last",
    ]
    assert rows["plain loop"]["to the plain loop"] == 1
    by_hand = [row for way, row in rows.items() if way.startswith("by hand")]
    best = max(by_hand, key=lambda row: row["images/s"])
    assert best["to the best by hand"] == 1
    for row in rows.values():
        # One round: its ratio is the ratio of the speeds.
        plain = rows["plain loop"]["images/s"]
        assert row["to the plain loop"] == pytest.approx(row["images/s"] / plain)


def test_checkpoints(command, tmp_path):
    arguments = ["--steps", 2, "--disk", 100]
    done = command("benchmarks.checkpoints", *TINY, *arguments, "--out", tmp_path)
    [row] = rows_of(tmp_path, done, command)
    # 25.56 million weights, as many momenta, and BN's statistics, of 4 bytes.
    assert row["MB"] == pytest.approx(205, abs=2)
    assert row["s to write"] >= row["MB"] / 100
    assert 0 < row["s that training waits"] < row["s to write"]


@pytest.mark.slow
def test_launches(command, tmp_path):
    done = command(
        "benchmarks.launches", *TINY, "--image-size", 64, "--steps", 1, "--out", tmp_path
    )
    [row] = rows_of(tmp_path, done, command)
    speeds = row["images/s, 2 processes x 1 thread"], row["images/s, 1 process x 2 threads"]
    assert row["2 x 1 to 1 x 2"] == pytest.approx(speeds[0] / speeds[1])
    assert row["s to refuse a wrong config"] < row["s to a first epoch of one step"]


def test_a_gpu_in_too_few_seconds(command, tmp_path):
    """What is cut off, or not begun, is told, and the next part begins all the same."""
    command("benchmarks.gpu", *TINY, "--seconds", 3, "--out", tmp_path)
    parts = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert parts[0]["outcome"] == "cut off: see gpu_00.log"
    assert len(parts) > 10
    assert {part["outcome"] for part in parts[1:]} == {"no time left"}


@pytest.mark.slow
def test_a_gpu(command, tmp_path, main_of):
    sizes = ["--image-size", 64]  # reflect needs maps of two pixels
    command("benchmarks.gpu", *TINY, *sizes, "--eager", "--out", tmp_path)
    parts = json.loads((tmp_path / "gpu.json").read_text())["rows"]
    assert {part["outcome"] for part in parts} == {"done"}
    assert len(list(tmp_path.glob("*.json"))) == len(parts)  # tests have none, gpu.json is one more
    arguments = ["tables", "--benchmarks", tmp_path, "--runs", tmp_path]
    code, text, _ = main_of(results.__main__.main, *arguments)
    assert code == 0
    assert text.count("**Table 1: ") == 5
    assert text.count("**Training, ") == 3
