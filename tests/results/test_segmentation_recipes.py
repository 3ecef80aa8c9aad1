"""What sets segmentation runs apart from the paper's is said."""

import pytest

from configs.load import dump, load
from foundation.files import write_json
from results.collect import collect
from results.departures import not_cityscapes, recipe_table
from results.tables.mean_iou import mean_iou_table
from tests.conftest import ROOT
from tests.results.scene_runs import write_scene_run
from tests.results.test_results import cells_of

WN38 = "deeplabv3plus_wrn38"


def test_what_is_not_the_papers_is_said(tmp_path):
    write_scene_run(tmp_path, "zero", 1, 60)
    assert not_cityscapes(collect(tmp_path)) == ()
    for name, changes, count, told in (
        ("a", {"train": {"iterations": 100}}, 655,
         "NOT Cityscapes by the paper's recipe: train.iterations 100 (recipe: 31000); "),
        ("b", {"model": {"backbone_weights": None}}, 655,
         "NOT Cityscapes by the paper's recipe: fresh weights (the paper: ImageNet's); "),
        ("c", {}, 150, "NOT Cityscapes: evaluated on 150 images; "),
        ("d", {"optim": {"lr": 0.05}, "data": {"crop_size": 48}}, 655,
         "data.crop_size 48 (recipe: 736); optim.lr 0.05 (recipe: 0.01); "),
    ):  # fmt: skip
        write_scene_run(tmp_path / name, "zero", 1, 60, changes=changes, count=count)
        [note] = not_cityscapes(collect(tmp_path / name))
        assert told in note
        assert note in mean_iou_table(collect(tmp_path / name), 3).notes
    write_scene_run(tmp_path, "zero", 1, 60, "deeplabv3plus_resnet50")
    runs = collect(tmp_path)
    assert not any("Recipes differ" in note for note in mean_iou_table(runs, 3).notes)
    rows = {row["setting"]: row for row in cells_of(recipe_table(runs))}
    assert rows["optim.lr"]["recipe"] == "0.01; 0.03"  # of two networks, each its own
    assert recipe_table(runs).bold == frozenset()
    assert rows["train.precision"]["recipe"] == "fp32"


@pytest.mark.parametrize(
    "change",
    [
        *("model.first_block_dilation=contract", "model.image_pool=false", "data.flip=0.0"),
        *("model.aspp_rates=[6, 12, 18]", "data.uniform_tile=512", "data.uniform_share=0.25"),
        *("data.coarse_classes=[3]", "data.crop_size=512", "optim.power=0.9"),
        *("train.sync_bn=false", "train.precision=bf16", "data.blur=[0.5, 1.0]"),
    ],
)
def test_no_choice_of_the_recipe_is_changed_without_a_word(tmp_path, change):
    run = write_scene_run(tmp_path, "zero", 1, 60)
    place = [f"run.root={tmp_path}", "data.split=cv2"]
    run.config_file.write_text(dump(load(ROOT / f"configs/{WN38}.yaml", [*place, change])))
    [note] = not_cityscapes(collect(tmp_path))
    key = change.partition("=")[0]
    assert f"recipe: {key} " in note
    table = recipe_table(collect(tmp_path))
    assert [table.rows[i][0] for i, _ in table.bold] == [key]


def test_weights_go_by_their_digest(tmp_path):
    for seed, place in ((1, "~/rn50.pth"), (2, "/home/rn50.pth")):
        changes = {"model": {"backbone_weights": place}}
        run = write_scene_run(tmp_path, "zero", seed, 60, changes=changes)
        write_json(
            run.environment_file, {"data_fingerprint": "one", "weights": {"sha256": 64 * "1"}}
        )
    assert {run.settings["model.backbone_weights"] for run in collect(tmp_path)} == {
        f"sha256 {16 * '1'}"
    }
