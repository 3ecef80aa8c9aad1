"""Figures 6 to 8 and mIoU by distance, of predictions whose errors are known."""

import re
import shutil
from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

from data.store.labels import COLOURS, IDS
from foundation.errors import run_command
from foundation.files import read_json, write_json
from records.errors import RunError
from results.__main__ import main
from results.collect import collect
from results.figures.border_distance import border_curves
from results.figures.curves import curves
from results.figures.left_out import left_out
from results.figures.make import make_figures
from results.figures.side_by_side import side_by_side
from results.mode_scores import own_scores
from results.pairing import matched
from results.saved_predictions import border_distance, changed, extremes
from tests.results.scene_runs import (
    guesses,
    save_predictions,
    write_scene_evaluation,
    write_scene_run,
    write_scenes,
)
from tests.results.test_figures import assert_valid, lines_of, texts
from tests.results.test_results import write_run

TINY = "deeplabv3plus_wrn16_tiny"


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Nine scenes; partial is better at the border of all but the two last ones."""
    root = tmp_path_factory.mktemp("scenes")
    scenes = write_scenes(root / "data", 7)
    scenes |= write_scenes(root / "data", 2, seed=1, part="train", city="ulm")  # as other splits'
    changes = {"data": {"root": str(root / "data")}, "eval": {"tile": 64}}
    for seed, (zero, partial) in enumerate([(60, 61), (61.25, 61.5)], start=1):
        for padding, best in (("zero", zero), ("partial", partial)):
            run = write_scene_run(
                root / "runs", padding, seed, best, TINY, split="cv0", changes=changes, count=9
            )
            shares = {name: i / 10 for i, name in enumerate(scenes)}
            wrong = shares if padding == "partial" else 0.65
            found = guesses(scenes, wrong, seed)
            save_predictions(run, padding, scenes, found, border=[58.5, 59.5, 60.5])
    return root


@pytest.fixture
def copy(study, tmp_path):
    """The same, to be damaged."""
    shutil.copytree(study / "runs", tmp_path / "runs")
    return tmp_path / "runs"


def pair_of(folder):
    return matched(own_scores(collect(folder)))


def test_all_figures(study, tmp_path):
    lines = lines_of(make_figures(collect(study / "runs"), tmp_path / "one"))
    names = ["fig_2_padding", "miou_best", f"fig_6_{TINY}_cv0", "fig_7_left_out"]
    names += [f"{name}_{TINY}_cv0" for name in ("fig_8", "border", "curves", "runs")]
    assert lines == names
    make_figures(collect(study / "runs"), tmp_path / "two")
    for name in names:
        assert_valid(tmp_path / "one", name)
        files = [tmp_path / side / f"{name}.svg" for side in ("one", "two")]
        assert files[0].read_bytes() == files[1].read_bytes()


def test_images_are_chosen_by_the_rule(study):
    scenes = changed(pair_of(study / "runs"), "tile 1/3", study / "data")
    assert len(scenes) == 9
    # The fewer errors near the border partial makes, the larger is its gain.
    shares = [("frankfurt", i) for i in range(7)] + [("ulm", i) for i in range(2)]
    expected = [f"{city}_{number:06}_000019" for city, number in shares]
    assert [scene.name for scene in scenes] == expected
    assert scenes[0].after == 100
    gains, losses = extremes(scenes, 3)
    assert [scene.name for scene in gains] == expected[:3]
    assert [scene.name for scene in losses] == expected[:-4:-1]
    assert losses[0].change < 0 < gains[0].change
    assert [len(side) for side in extremes(scenes[:3], 3)] == [2, 1]
    assert [len(side) for side in extremes(scenes[:1], 3)] == [1, 0]


def test_accuracies_are_those_of_the_band_by_hand(study):
    """Within 64 / 16 = 4 px of the border of the image, or of its tile."""
    pair = pair_of(study / "runs")
    for mode, edges in (("tile 1/3", (0, 128)), ("tile 0", (0, 64, 128))):
        scene = changed(pair, mode, study / "data")[-1]
        ids = [np.array(Image.open(file)) for file in (scene.label, scene.zero, scene.partial)]
        right = {1: 0, 2: 0}
        labelled = 0
        for y in range(64):
            for x in range(128):
                sides = [y, 63 - y]
                sides += [x - edge if x >= edge else edge - 1 - x for edge in edges]
                if min(sides) < 4 and ids[0][y, x] in IDS:
                    labelled += 1
                    for i in right:
                        right[i] += int(ids[i][y, x] == ids[0][y, x])
        assert scene.before == pytest.approx(100 * right[1] / labelled)
        assert scene.after == pytest.approx(100 * right[2] / labelled)


def test_the_pair_is_that_of_the_tables_and_the_picture_says_so(study):
    pair = pair_of(study / "runs")
    figure = side_by_side(pair, "tile 0", study / "data")
    said = texts(figure)
    assert f"zero, seed {pair[0].run.seed}" in said
    assert f"partial, seed {pair[1].run.seed}" in said
    assert "Rule: of all 9 images" in said
    assert "first the 3 largest" in said
    assert "3 largest losses or smallest gains" in said
    assert len(figure.axes) == 6 * 4
    truth = figure.axes[1].images[0].get_array()
    colours = {tuple(colour) for colour in np.asarray(truth).reshape(-1, 3).tolist()}
    assert colours <= {*COLOURS, (0, 0, 0)}
    assert len(figure.axes[2].lines) == 1  # the seam of two tiles
    assert not side_by_side(pair, "tile 1/3", study / "data").axes[2].lines


def test_predictions_that_are_not_the_evaluations_are_refused(study, copy):
    zero, partial = pair_of(copy)
    folder = zero.run.path / "eval" / "predictions" / "zero" / "tile_0"
    file = sorted(folder.glob("*.png"))[0]
    ids = np.array(Image.open(file))
    again = f"run evaluate.py {zero.run.path} --padding zero --save-predictions"

    def refused():
        with pytest.raises(RunError) as error:
            changed((zero, partial), "tile 0", study / "data")
        assert "\n" not in str(error.value)
        return str(error.value)

    Image.fromarray(np.full_like(ids, IDS[0])).save(file)
    assert "not the predictions that eval/zero.json counts" in refused()
    assert again in refused()
    Image.fromarray(np.zeros_like(ids)).save(file)
    assert "not a prediction for" in refused()
    Image.fromarray(ids).convert("RGB").save(file)
    assert "holds no label ids" in refused()
    file.write_bytes(b"PNG, or not")
    assert f"{file}: cannot be read" in refused()
    file.unlink()
    assert refused() == f"{folder}: has 8 of 9 images; {again}"


def test_what_cannot_be_drawn_is_named(study, tmp_path):
    runs = tmp_path / "runs"
    changes = {"data": {"root": str(tmp_path / "nowhere")}}
    for padding in ("zero", "partial"):
        run = write_scene_run(runs, padding, 1, 60, TINY, split="cv0", changes=changes)
    lines = lines_of(make_figures(collect(runs), tmp_path / "out"))
    told = dict(line.split(": ", 1) for line in lines if ": " in line)
    assert told[f"border_{TINY}_cv0"] == "no evaluations; run evaluate.py on the run directories"
    assert told[f"fig_6_{TINY}_cv0"].startswith("no evaluation of a zero and of a partial run;")
    assert told["fig_7_left_out"].startswith(f"no images in {tmp_path}/nowhere/leftImg8bit/val")
    going = write_scene_run(tmp_path / "going", "zero", 1, 60, finish=False)
    told = make_figures(collect(going.path), tmp_path / "out2")
    assert "miou_best: no run is finished" in lines_of(told)
    assert [one.name for one in told if one.reason is None][-1].startswith("runs_")
    write_scene_evaluation(run, "partial", (60, 61, 62))
    with pytest.raises(RunError, match="name the folder of leftImg8bit/ and gtFine/ with --data"):
        changed(pair_of(study / "runs"), "tile 0", tmp_path)


def test_the_pair_is_that_of_tables_6_and_7_or_none(copy, study, tmp_path):
    """And `~` in data.root, as training takes it."""
    for file in copy.glob("*/config.yaml"):
        text = file.read_text().replace(f"{study}/data", "~/data")
        assert "~/data" in text
        file.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(study))
        assert f"fig_6_{TINY}_cv0" in lines_of(make_figures(collect(copy), tmp_path / "out"))
        lacking = pair_of(copy)[1].run.path
        shutil.rmtree(lacking / "eval" / "predictions")
        lines = lines_of(make_figures(collect(copy), tmp_path / "out"))
    for name in ("fig_6", "fig_8"):
        assert (
            f"{name}_{TINY}_cv0: no predictions of the pair with the closest regular mIoU; "
            f"python evaluate.py {lacking} --save-predictions makes them" in lines
        )


def test_a_stale_evaluation_costs_its_own_figures_alone(copy, study, tmp_path, main_of):
    write_run(copy, "resnet50", "zero", 1, 76, 75)
    write_scene_run(copy, "zero", 1, 60, count=9, changes={"data": {"root": str(study / "data")}})
    stale = copy / f"{TINY}_cv0_zero_seed1" / "eval" / "zero.json"
    write_json(stale, read_json(stale) | {"epoch": 1})
    words = ("figures", "--runs", copy, "--out", tmp_path / "figures")
    code, out, err = main_of(lambda: run_command(main), *words)
    assert (code, err) == (0, "")
    lines = dict(line.partition(": ")[::2] for line in out.splitlines())
    refused = {name for name, reason in lines.items() if reason.startswith(f"{stale}: epoch is 1")}
    assert refused == {f"{name}_{TINY}_cv0" for name in ("fig_6", "fig_8", "border")} | {
        "fig_7_left_out"
    }
    for name in ("fig_1_best", "miou_best", f"curves_{TINY}_cv0", f"runs_{TINY}_cv0"):
        assert lines[name] == ""
        assert_valid(tmp_path / "figures", name)


def test_both_tasks_are_drawn(study, copy, tmp_path, main_of):
    write_run(copy, "resnet50", "zero", 1, 76, 75)

    def call():
        run_command(main)

    page = tmp_path / "report.html"
    words = ("report", "--runs", copy, "--out", page, "--data", study / "data")
    assert main_of(call, *words)[0] == 0
    text = page.read_text()
    for told in ("Fig. 1", "Fig. 3", "Fig. 6", "Fig. 8", "mIoU over the iterations"):
        assert f"<figcaption>{told}" in text
    for name in ("table_2_best", "table_5_miou", "table_6_tiles", "table_7_image", "table_7_tile"):
        assert f'<table id="table-{name}">' in text
    once = ("recipe", "recipe_segmentation", "runs", "claims_best", "claims_last5_avg")
    for name in (*once, "claims_segmentation"):
        assert text.count(f'<table id="table-{name}">') == 1
    ids = re.findall(r'\sid="([^"]*)"', text)
    assert len(ids) == len(set(ids)) > 20
    assert "NOT ImageNet" in text
    assert "NOT Cityscapes" in text
    assert "pixel accuracy near the border rises most from zero to partial" in text


def test_border_curves_are_means_and_intervals(study, tmp_path):
    for padding, seed, first in (
        *(("zero", 1, 50), ("zero", 2, 51), ("partial", 1, 52), ("partial", 2, 53.5)),
    ):
        run = write_scene_run(tmp_path, padding, seed, 60)
        write_scene_evaluation(run, padding, (60, 61, 62), border=[first, 60, 61])
    figure = border_curves(own_scores(collect(tmp_path)))
    upper, _, lower, _ = figure.axes
    zero, partial = (line.lines[0].get_ydata() for line in upper.containers)
    assert [list(zero), list(partial)] == [[50.5, 60, 61], [52.75, 60, 61]]
    assert list(lower.containers[0].lines[0].get_ydata()) == [2.25, 0, 0]
    # Student's t of one degree of freedom: differences of 2 and 2.5.
    [bars] = lower.containers[0].lines[2]
    assert bars.get_segments()[0][1][1] == pytest.approx(2.25 + 12.7062 * 0.25, abs=1e-3)
    assert [label.get_text() for label in lower.get_xticklabels()] == ["0", "1", "2-3"]
    assert "zero (2 seeds)" in texts(figure)


def test_curves_run_over_iterations(study):
    runs = collect(study / "runs")
    figure = curves(runs)
    _, zero, *_ = figure.axes[0].lines
    assert list(zero.get_xdata()) == [6200, 12400, 18600, 24800, 31000]
    said = texts(figure)
    assert "iterations trained" in said
    assert "mIoU, validation (%)" in said
    assert "after 24,800" in said


@pytest.mark.parametrize(
    ("share", "height", "width", "kept"),
    [
        *(("1/3", 342, 682, 88.88), ("1/2", 512, 1024, 75), ("2/3", 682, 1366, 55.58)),
        *(("3/4", 768, 1536, 43.75), ("7/8", 896, 1792, 23.44)),
    ],
)
def test_what_is_left_out_of_cityscapes(share, height, width, kept):
    out = left_out(1024, 2048, Fraction(share))
    tiles = left_out(1024, 2048, Fraction(share), 1024)
    assert (tiles[:, :1024] == left_out(1024, 1024, Fraction(share))).all()
    assert (tiles[:, 1024:] == tiles[:, :1024]).all()
    assert (out.any(axis=1).sum(), out.any(axis=0).sum()) == (height, width)
    assert round(100 * (1 - out.mean()), 2) == kept


@pytest.mark.parametrize(("size", "tile"), [((5, 9), 4), ((4, 8), 4), ((3, 5), 8), ((6, 7), None)])
def test_distances_by_counting(size, tile):
    height, width = size
    found = border_distance(height, width, tile)
    for y in range(height):
        for x in range(width):
            inside = []
            for length, place in ((height, y), (width, x)):
                side = min(tile or length, length)
                starts = [*range(0, length - side + 1, side), length - side]
                start = next(start for start in starts if start <= place < start + side)
                inside.append(min(place - start, start + side - 1 - place))
            assert found[y, x] == min(inside)
