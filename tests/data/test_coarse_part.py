"""Cityscapes' coarse part: where it is needed, where not, and what is said without it."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

import data.cityscapes
from configs.load import load
from configs.same_data import same_data
from data.build import build_scene_validation
from data.store.dataset import DataError
from data.store.listing import BLANK
from data.store.scene_index import load_scene_index
from foundation.errors import run_command
from tests.conftest import ROOT
from tests.data.streets import loaders, settings, write_pair, write_streets

TILE = 32
RECIPE = load(ROOT / "configs" / "deeplabv3plus_resnet50.yaml", ["model.backbone_weights=null"])
PARTS = ("leftImg8bit/train_extra", "gtCoarse/train_extra")


@pytest.fixture
def own(tmp_path):
    """A set with three coarse images."""
    return write_streets(tmp_path / "set", each=1, coarse=3)


@pytest.fixture
def check(main_of):
    """Run the command; return its code and what it said."""

    def run(root, *options):
        line = (root, "--tile", TILE, *options)
        return main_of(lambda: run_command(data.cityscapes.main), *line)

    return run


def emptied(root):
    for part in PARTS:
        shutil.rmtree(root / part)
        (root / part).mkdir()


@pytest.mark.parametrize("left", ["nothing", "the black frame"])
def test_an_empty_part_is_missing(own, check, left):
    emptied(own)
    if left != "nothing":
        write_pair(own, "train_extra", BLANK, np.random.default_rng(0), "gtCoarse")
    told = "leftImg8bit/train_extra: holds no images; unpack leftImg8bit_trainextra.zip and gtCoar"
    with pytest.raises(DataError, match=f"^{own}/{told}.*data.coarse_classes=\\[\\]"):
        load_scene_index(own, "cv0", TILE, (14,))
    code, out, err = check(own)
    assert (code, out.count(told)) == (2, 1)
    assert "check with --no-coarse" in out
    assert check(own, "--no-coarse")[0] == 0


def test_labels_without_images(own, check):
    """The one remedy is to get them; the other is an option of the command as well."""
    shutil.rmtree(own / PARTS[0])
    code, _, err = check(own)
    assert code == 2
    assert err.endswith("train with data.coarse_classes=[], check with --no-coarse\n")
    code, out, _ = check(own, "--no-coarse")
    assert code == 0
    assert "without the coarse part: train with data.coarse_classes=[]\n" in out
    fine = load_scene_index(own, "cv0", TILE).fingerprint
    assert f"nothing is wrong, fingerprint {fine}\n" in out


def test_the_command_and_training_agree_on_centroids(own, check):
    """A class that coarse labels alone hold has centroids if the recipe takes it from there."""
    assert RECIPE.data.coarse_classes == data.cityscapes._COARSE_CLASSES
    assert RECIPE.data.uniform_tile == data.cityscapes._TILE
    for file in (own / "gtFine").rglob("*_labelIds.png"):
        ids = np.array(Image.open(file))
        ids[(ids == 33) | (ids == 31)] = 0  # bicycle, which the recipe does not take; train
        Image.fromarray(ids).save(file)
    index = load_scene_index(own, "cv0", TILE, RECIPE.data.coarse_classes)
    with pytest.raises(DataError, match=r"holds the class bicycle \(train id 18\); lower") as error:
        index.check_centroids(TILE)
    code, _, err = check(own)
    assert (code, err.splitlines()[-1]) == (2, f"error: {error.value}")


def validation(root):
    data = settings(root, coarse_classes=(14,))
    return build_scene_validation(data, (0, 1), torch.device("cpu"), channels_last=False)


@pytest.mark.parametrize("damage", ["missing", "empty", "half"])
def test_evaluation_does_without_it(own, damage):
    """What it says of the data can be held against the run's own, which had the coarse part."""
    run, whole = loaders(own, coarse_classes=(14,), uniform_share=0), validation(own)
    assert whole.fingerprint == run.fingerprint
    match damage:
        case "missing":
            shutil.rmtree(own / PARTS[0])
            shutil.rmtree(own / PARTS[1])
        case "empty":
            emptied(own)
        case "half":
            shutil.rmtree(own / PARTS[1])
    fine = validation(own)
    assert fine.val.images == whole.val.images == 3
    assert fine.fingerprint != run.fingerprint
    assert same_data(fine.fingerprint, run.fingerprint)
    assert not same_data(fine.fingerprint, loaders(own, split="cv1", uniform_share=0).fingerprint)
    write_pair(own, "val", "lindau_000000_000007", np.random.default_rng(0))
    assert not same_data(validation(own).fingerprint, run.fingerprint)
    shutil.rmtree(own / "gtFine" / "val")
    with pytest.raises(DataError, match="gtFine/val: missing; data.root must hold"):
        validation(own)


def test_training_does_not(own):
    emptied(own)
    with pytest.raises(DataError, match="train_extra: holds no images"):
        loaders(own, coarse_classes=(14,))
