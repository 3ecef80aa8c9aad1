"""Evaluations of segmentation runs: which count, beside which, and which are refused."""

import json
import math

import pytest

from foundation.files import read_json, write_json
from results.collect import collect
from results.mode_scores import own_scores
from results.tables.cross import cross_table
from results.tables.make_tables import make_tables
from results.tables.near_border import tile_table
from tests.results.scene_runs import write_scene_evaluation, write_scene_run
from tests.results.test_results import cells_of
from tests.results.test_segmentation_tables import tables


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"checkpoint": "last"}, "checkpoint is last, the run's is best"),
        ({"epoch": 4}, "epoch is 4, the run's is 3"),
        ({"split": "cv0"}, "split is cv0, the run's is cv2"),
        ({"precision": "bf16"}, "precision is bf16, the run's is fp32"),
        ({"data_fingerprint": "other"}, "data_fingerprint is other, the run's is None"),
        ({"count": 500}, "count is 500, the run's is 655"),
        ({"modes": {}}, "is damaged or of another version"),
        ({"leave_out": None}, "is damaged or of another version"),
    ],
)
def test_an_evaluation_of_something_else_is_one_line(tmp_path, main_of, changes, told):
    run = write_scene_run(tmp_path, "zero", 1, 60)
    write_scene_evaluation(run, "zero", (60, 61, 62), **changes)
    code, out, err = main_of(*tables("--runs", tmp_path))
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith(f"error: {run.path}/eval/zero.json: {told}")
    assert f"run evaluate.py {run.path} --padding zero" in err


def test_numbers_that_are_not_their_counts_are_refused(tmp_path):
    run = write_scene_run(tmp_path, "zero", 1, 60)
    write_scene_evaluation(run, "zero", (60, 61, 62))
    file = run.evaluations / "zero.json"
    whole = read_json(file)
    for key, value, told in (
        ("miou", 60.5, "miou 60.5 is not 60.0, which its confusion matrix gives"),
        ("miou", None, "miou None is not 60.0"),
        ("miou", math.nan, "miou nan is not 60.0"),
        ("confusion", [[1]], "a confusion matrix is not 19 x 19 counts"),
        ("confusion", [[0.5] * 19] * 19, "a confusion matrix is not 19 x 19 counts"),
    ):
        modes = whole["modes"] | {"regular": whole["modes"]["regular"] | {key: value}}
        write_json(file, whole | {"modes": modes})
        with pytest.raises(ValueError, match=told):
            own_scores(collect(tmp_path))


def test_mirror_images_are_a_reading_beside_the_other(tmp_path):
    for padding in ("zero", "partial"):
        for seed in (1, 2):
            run = write_scene_run(tmp_path, padding, seed, 60 + seed)
            write_scene_evaluation(run, padding, (60 + seed, 61, 62))
            if seed == 1:
                write_scene_evaluation(run, padding, (61.5, 62, 63), flip=True)
    made = {table.name: table for table in make_tables(collect(tmp_path), 2, "sample")}
    plain, mirrored = made["table_6_tiles"], made["table_6_tiles_flip"]
    assert "Tiles of 1024 px, without mirror images." in plain.notes
    assert "Tiles of 1024 px, each image's mirror image averaged in." in mirrored.notes
    assert mirrored.title.endswith(", mirror images averaged in")
    assert {row["Regular"] for row in cells_of(plain)[3:5]} == {"61.500"}
    assert cells_of(plain)[3]["runs"] == "mean of 2 seeds"
    assert cells_of(mirrored)[0]["Regular"] == "61.500"
    [todo] = [note for note in mirrored.notes if note.startswith("Not evaluated yet: 2 of 4")]
    assert todo.endswith(" eval.flip=true")
    assert {name for name in made if name.endswith("_flip")} == {
        f"{name}_flip" for name in made if name.startswith(("table_6", "table_7", "border"))
        and not name.endswith("_flip")
    }  # fmt: skip


def test_other_tiles_are_not_mixed(tmp_path):
    for seed in (1, 2):
        run = write_scene_run(tmp_path, "zero", seed, 60)
        write_scene_evaluation(run, "zero", (60, 61, 62))
    file = run.evaluations / "zero.json"
    write_json(file, read_json(file) | {"flip": True})
    with pytest.raises(ValueError, match=r"zero.json: flip is True, by the file's name False; run"):
        tile_table(collect(tmp_path), 3)
    write_scene_evaluation(run, "zero", (60, 61, 62), tile=512)
    with pytest.raises(ValueError, match=r"tile is 512, 1024 in .* eval.tile=1024"):
        tile_table(collect(tmp_path), 3)
    write_scene_evaluation(run, "zero", (60, 61, 62))
    write_scene_evaluation(run, "partial", (50, 51, 52), tile=512)
    with pytest.raises(ValueError, match="partial.json: tile is 512"):
        cross_table(collect(tmp_path), 3)


def test_a_cut_log_is_refused(tmp_path, main_of):
    run = write_scene_run(tmp_path, "zero", 1, 60)
    lines = run.metrics_file.read_text().splitlines(keepends=True)
    run.metrics_file.write_text("".join(lines[:-1]))
    code, _, err = main_of(*tables("--runs", tmp_path))
    assert (code, err.count("\n")) == (2, 1)
    assert "has 4 whole rows, though the run finished 31000 iterations" in err
    row = json.loads(lines[0])
    run.metrics_file.write_text(json.dumps(row | {"val_miou": 1.0}) + "\n" + "".join(lines[1:]))
    code, _, err = main_of(*tables("--runs", tmp_path))
    assert (code, "val_miou 1.0 is not the mean IoU of its confusion matrix" in err) == (2, True)
