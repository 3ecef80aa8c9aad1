"""Cityscapes' folders: pairs, splits, labels, centroids, their cache, and what is wrong."""

import os
import re
import shutil
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import Cityscapes

import data.cityscapes
from data.store import labels, survey
from data.store.cities import OFFICIAL, val_cities
from data.store.dataset import DataError
from data.store.listing import BLANK, find_pairs
from data.store.scene_index import load_scene_index
from data.store.survey import class_centroids
from foundation.errors import run_command
from tests.conftest import ROOT
from tests.data.streets import loaders, write_pair, write_streets

TILE = 32


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    return write_streets(tmp_path_factory.mktemp("streets"), each=2, coarse=3)


@pytest.fixture
def own(streets, tmp_path):
    """A copy that a test may damage."""
    caches = shutil.ignore_patterns(".cityscapes*")
    return shutil.copytree(streets, tmp_path / "set", ignore=caches)


def label_file(root, name="bochum_000000_000001", part="train"):
    return root / f"gtFine/{part}/{name.partition('_')[0]}/{name}_gtFine_labelIds.png"


def image_file(root, name="bochum_000000_000001", part="train"):
    return root / f"leftImg8bit/{part}/{name.partition('_')[0]}/{name}_leftImg8bit.png"


def index(root, coarse=(), split="cv0", tile=TILE):
    return load_scene_index(root, split, tile, coarse)


def test_the_table_of_labels():
    """cityscapesScripts' labels, as public pages list them."""
    ignored = {0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30}
    assert set(labels.IDS) == set(range(34)) - ignored
    assert sorted(labels.IDS) == list(labels.IDS)
    assert len(labels.NAMES) == len(set(labels.NAMES)) == len(set(labels.COLOURS)) == 19
    assert labels.TO_TRAIN_IDS[[7, 26, 33, 0, 29, 255]].tolist() == [0, 13, 18, 255, 255, 255]
    assert labels.TO_IDS[labels.TO_TRAIN_IDS[list(labels.IDS)]].tolist() == list(labels.IDS)
    assert labels.TO_IDS[labels.IGNORED] == 0
    known = {one.train_id: one for one in Cityscapes.classes if one.train_id in range(19)}
    assert [known[i].id for i in range(19)] == list(labels.IDS)
    assert [known[i].name for i in range(19)] == list(labels.NAMES)
    assert [known[i].color for i in range(19)] == list(labels.COLOURS)
    for one in Cityscapes.classes:
        if one.id >= 0 and one.id not in labels.IDS:
            assert labels.TO_TRAIN_IDS[one.id] == labels.IGNORED


@pytest.mark.parametrize(
    ("kind", "parts", "mode"), [("fine", ["train", "val"], "fine"), ("coarse", ["train_extra"], "")]
)
def test_pairs_are_torchvisions(streets, kind, parts, mode):
    pairs = find_pairs(streets, kind)
    found = {(str(pairs.image_file(i)), str(pairs.label_file(i))) for i in range(len(pairs))}
    expected = set()
    for part in parts:
        other = Cityscapes(streets, part, mode or "coarse", "semantic")
        expected |= {
            (image, label) for image, [label] in zip(other.images, other.targets, strict=True)
        }
    assert found == expected
    assert len(pairs) == (42 if kind == "fine" else 3)
    assert list(pairs.images) == sorted(pairs.images)


def test_content_is_the_files(streets):
    pairs = index(streets).train
    other = Cityscapes(streets, "train", "fine", "semantic")
    assert pairs.sizes.tolist() == [[32, 64]] * len(pairs)
    for image, label in zip(other.images, other.targets, strict=True):
        [i] = [i for i in range(len(pairs)) if str(pairs.image_file(i)) == image]
        assert pairs.name(i) == os.path.basename(image).removesuffix("_leftImg8bit.png")
        assert pairs.cities[i] == pairs.name(i).partition("_")[0]
        assert np.array_equal(pairs.read_image(i), Image.open(image))
        ids = np.asarray(Image.open(label[0]))
        assert np.array_equal(pairs.read_labels(i), labels.TO_TRAIN_IDS[ids])


@pytest.mark.parametrize("split", ["cv0", "cv1", "cv2"])
def test_splits_are_by_city(streets, split):
    one = index(streets, split=split)
    assert set(one.val.cities) == set(val_cities(split))
    assert set(one.train.cities) == {*OFFICIAL["train"], *OFFICIAL["val"]} - {*val_cities(split)}
    assert len(one.val) == 6
    assert one.fine == len(one.train) == 36
    assert one.fingerprint.startswith(f"{split}-")


def test_fingerprints(streets, own):
    """Equal wherever the files lie; another for another split, part or file."""
    one = index(streets)
    assert index(own).fingerprint == one.fingerprint
    others = {index(streets, split="cv1").fingerprint, index(streets, (14,)).fingerprint}
    image_file(own).unlink()
    label_file(own).unlink()
    others |= {index(own).fingerprint, one.fingerprint}
    assert len(others) == 4


def test_centroids_by_brute_force():
    random = np.random.default_rng(0)
    ids = random.choice([0, 3, 18, 255], (70, 150), p=[0.5, 0.3, 0.001, 0.199]).astype(np.uint8)
    expected = []
    for top in (0, 32):
        for left in (0, 32, 64, 96):  # whole tiles only
            for label in range(19):
                rows, columns = np.nonzero(ids[top : top + 32, left : left + 32] == label)
                if len(rows):
                    mean = int(rows.mean()) + top, int(columns.mean()) + left
                    expected.append((label, *mean))
    assert class_centroids(ids, 32).tolist() == [list(row) for row in expected]
    assert class_centroids(ids, 71).shape == (0, 3)


@pytest.mark.parametrize("split", ["cv0", "cv2"])
def test_centroids_are_of_training_images(streets, split):
    one = index(streets, (14, 16), split)
    assert len(one.train) == one.fine + 3
    for label, rows in enumerate(one.centroids):
        coarse = rows[:, 0] >= one.fine
        assert coarse.any() == (label in (14, 16))
        expected = [
            [place, *centroid]
            for place in range(one.fine if label not in (14, 16) else len(one.train))
            for known, *centroid in class_centroids(one.train.read_labels(place), TILE).tolist()
            if known == label
        ]
        assert rows.tolist() == expected


def test_the_cache_is_of_the_content(own, monkeypatch):
    looked = []
    look = survey.open_labels
    monkeypatch.setattr(survey, "open_labels", lambda file: looked.append(file) or look(file))
    first = index(own)
    assert len(looked) == 42
    again = index(own, split="cv1")  # one table for all splits
    assert len(looked) == 42
    assert sum(map(len, again.centroids)) > 0
    index(own, tile=16)  # a table of its own, beside the other
    index(own)
    assert len(looked) == 84
    file = label_file(own)
    times, content = file.stat(), file.read_bytes()
    other = label_file(own, "ulm_000000_000000").read_bytes()
    file.write_bytes(other)
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # as a copy that keeps times
    changed = index(own)
    assert len(looked) == 126
    assert any(
        not np.array_equal(*rows) for rows in zip(first.centroids, changed.centroids, strict=True)
    )
    file.write_bytes(content)
    same = zip(first.centroids, index(own).centroids, strict=True)
    assert all(np.array_equal(*rows) for rows in same)


def test_a_damaged_cache_is_made_again(own):
    first = index(own)
    [cache] = own.glob(".cityscapes_fine_32.npz")
    content = bytearray(cache.read_bytes())
    content[len(content) // 2] ^= 1
    cache.write_bytes(content)
    assert all(np.array_equal(*rows) for rows in zip(first.centroids, index(own).centroids))  # noqa: B905
    cache.write_bytes(content[:100])
    assert index(own).fingerprint == first.fingerprint


def test_processes_share_one_survey(own):
    code = (
        "import sys; from data.store import survey; look = survey.open_labels\n"
        "def told(file):\n    print(file); return look(file)\n"
        "survey.open_labels = told\n"
        "from data.store.scene_index import load_scene_index\n"
        "print('sum', sum(map(len, load_scene_index(sys.argv[1], 'cv0', 32).centroids)))"
    )
    line = [sys.executable, "-c", code, str(own)]
    many = [subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    told = [process.communicate(timeout=60)[0].splitlines() for process in many]
    assert sorted(map(len, told)) == [1, 1, 43]
    assert len({lines[-1] for lines in told}) == 1


def test_a_set_that_may_not_be_written(own, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    first = index(own)
    assert not list(own.glob(".city*"))
    assert list((tmp_path / "cache").rglob("*cityscapes_fine_32.npz"))
    assert index(own).fingerprint == first.fingerprint


def rewritten(file, change):
    """Change a file's pixels."""
    with Image.open(file) as image:
        change(np.array(image)).save(file)


def damages():
    def save(array):
        return Image.fromarray(array)

    def train_ids(ids):
        return save(labels.TO_TRAIN_IDS[ids])

    def value(ids):
        ids[3, 5] = 34
        return save(ids)

    def palette(ids):
        image = save(ids)
        image.putpalette(sum(labels.COLOURS, ()))
        return image

    label, image = label_file, image_file
    return [
        (label, train_ids, "holds the value 255, as train ids do, instead of label ids; take"),
        (label, value, "holds the value 34; label ids are 0 to 33; take"),
        (label, lambda ids: save(np.stack([ids] * 3, -1)), r"holds colours \(mode RGB\) instead"),
        (label, palette, r"holds colours \(mode P\) instead"),
        (label, lambda ids: save(ids.astype(np.uint16)), "holds no 8-bit label ids"),
        (label, lambda ids: save(ids[:, 1:]), "is 63 x 32 px, its image 64 x 32; get both"),
        (image, lambda pixels: save(pixels * 0), "is blank, a single colour"),
    ]


@pytest.mark.parametrize(("where", "change", "message"), damages())
def test_bad_content_is_named(own, where, change, message, main_of):
    file = where(own)
    rewritten(file, change)
    with pytest.raises(DataError, match=rf"^{file}: {message}"):
        list(loaders(own, uniform_share=0).train)  # a blank image shows when it is decoded
    code, out, err = main_of(lambda: run_command(data.cityscapes.main), own, "--tile", TILE)
    assert code == 2
    assert re.search(rf"^{file}: {message}", out, re.MULTILINE)
    assert err.splitlines()[-1] == f"error: {own}: 1 things are wrong, each named above; mend them"


@pytest.mark.parametrize("where", [label_file, image_file])
def test_an_undecodable_file_is_named(own, where, main_of):
    file = where(own)
    file.write_bytes(file.read_bytes()[:60])
    with pytest.raises(DataError, match=rf"^{file}: cannot be "):
        list(loaders(own, uniform_share=0).train)
    code, out, _ = main_of(lambda: run_command(data.cityscapes.main), own, "--tile", TILE)
    assert code == 2
    assert out.count(f"{file}: cannot be decoded") == 1


@pytest.mark.parametrize("where", [label_file, image_file])
def test_what_is_no_image_is_named_without_addresses(own, where, main_of):
    file = where(own)
    file.write_bytes(b"text")
    told = f"{file}: cannot be decoded (not an image); get it again"
    with pytest.raises(DataError) as error:
        index(own)
    assert str(error.value) == told
    _, out, _ = main_of(lambda: run_command(data.cityscapes.main), own, "--tile", TILE)
    assert told in out.splitlines()


@pytest.mark.parametrize(
    ("target", "told"),
    [("nothing", "a link to what is not there"), ("", "a link that leads in a circle")],
)
def test_a_link_that_leads_nowhere(own, target, told):
    file = label_file(own)
    file.unlink()
    file.symlink_to(target or file)
    with pytest.raises(DataError, match=rf"^{file}: {told}.*; get it again$"):
        index(own)


def remove(root, *places):
    for place in places:
        path = root / place
        shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize(
    ("places", "message"),
    [
        (["gtFine/val"], "/gtFine/val: missing; data.root must hold leftImg8bit/ and gtFine/"),
        (["leftImg8bit"], "/leftImg8bit/train: missing; data.root must hold"),
        (
            ["leftImg8bit/train/ulm", "gtFine/train/ulm"],
            "/leftImg8bit/train/ulm: missing or empty; the splits need all 21 cities",
        ),
        (["gtFine/train/ulm"], "/gtFine/train/ulm: missing or empty, the labels of leftImg8bit/tr"),
        (
            ["gtFine/train/ulm/ulm_000000_000001_gtFine_labelIds.png"],
            "/gtFine/train/ulm/ulm_000000_000001_gtFine_labelIds.png: missing, the labels of ",
        ),
        (
            ["leftImg8bit/val/lindau/lindau_000000_000000_leftImg8bit.png"],
            "/leftImg8bit/val/lindau/lindau_000000_000000_leftImg8bit.png: missing, the image of ",
        ),
    ],
)
def test_missing_parts_are_named(own, places, message):
    remove(own, *places)
    with pytest.raises(DataError, match=rf"^{own}{message}"):
        index(own)


def test_an_unknown_city_is_named(own):
    write_pair(own, "train", "paris_000000_000000", np.random.default_rng(0))
    with pytest.raises(DataError, match=rf"^{own}/leftImg8bit/train/paris: no city of Citysc"):
        index(own)


def test_other_files_are_no_matter(own):
    before = index(own).fingerprint
    (image_file(own).parent / "._bochum_000000_000001_leftImg8bit.png").write_text("macOS")
    (image_file(own).parent / "Thumbs.db").write_text("Windows")
    label_file(own).with_name("bochum_000000_000001_gtFine_color.png").write_text("colours")
    (own / "leftImg8bit/train/.DS_Store").mkdir()
    assert index(own).fingerprint == before


def test_no_coarse_part(own):
    remove(own, "leftImg8bit/train_extra")
    with pytest.raises(DataError, match=r"train_extra: missing; .*data.coarse_classes=\[\]"):
        index(own, (14,))
    assert index(own).fine == 36


def test_no_such_folder():
    with pytest.raises(DataError, match=r"^/nowhere: there is no such folder; set data.root"):
        index("/nowhere")


def test_the_black_frame_is_left_out(own, main_of):
    write_pair(own, "train_extra", BLANK, np.random.default_rng(0), "gtCoarse")
    file = image_file(own, BLANK, "train_extra")
    rewritten(file, lambda pixels: Image.fromarray(pixels * 0))
    assert len(index(own, (14,)).train) == 39
    code, out, _ = main_of(lambda: run_command(data.cityscapes.main), own, "--tile", TILE)
    assert code == 0
    told = f"leftImg8bit/train_extra/troisdorf/{BLANK}_leftImg8bit.png: one black frame"
    assert told in out


def test_a_class_without_a_centroid(own):
    for file in (own / "gtFine").rglob("*.png"):
        rewritten(file, lambda ids: Image.fromarray(np.where(ids == 31, 0, ids).astype(np.uint8)))
    told = r"no tile of 32 x 32 px of cv0's training labels holds the class train \(train id 16\);"
    with pytest.raises(DataError, match=told):
        loaders(own, uniform_share=1)
    with pytest.raises(DataError, match=told):
        loaders(own, uniform_share=1, coarse_classes=(14,))
    assert len(loaders(own, uniform_share=1, coarse_classes=(16,)).train) == 4
    assert len(loaders(own, uniform_share=0).train) == 4


def test_an_ignored_validation_set(own):
    for file in (own / "gtFine/val").rglob("*.png"):
        rewritten(file, lambda ids: Image.fromarray(ids * 0))
    with pytest.raises(DataError, match=r"no pixel of the 6 validation images of cv0 has a label"):
        index(own)
    assert index(own, split="cv1").fine == 36


def test_the_command_counts_official_sets(tmp_path, main_of, monkeypatch):
    monkeypatch.setattr(data.cityscapes, "_SIZE", (64, 32))
    root = write_streets(tmp_path, each=1)
    code, out, _ = main_of(lambda: run_command(data.cityscapes.main), root, "--tile", TILE)
    assert code == 2
    assert "leftImg8bit/val/frankfurt: 1 images with labels (267 in the official data set)" in out


def test_the_command_describes(own, main_of):
    line = (own, "--tile", TILE, "--split", "cv1", "--workers", 3)
    code, out, err = main_of(lambda: run_command(data.cityscapes.main), *line)
    assert code == 0, err
    assert out.count(": 2 images with labels\n") == 21
    assert "cv1: 36 training images (and 3 coarse ones), 6 for validation (darmstadt, duss" in out
    assert "0 crops around centroids of each class in tiles of 32 px, 36 of whole images" in out
    assert f"nothing is wrong, fingerprint {index(own, (14,), 'cv1').fingerprint}" in out
    code, out, _ = main_of(lambda: run_command(data.cityscapes.main), "--help")
    assert code == 0
    assert "leftImg8bit/" in out


def test_the_command_needs_no_torch():
    code = "import sys, data.cityscapes; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_an_error_ends_the_survey_soon(own):
    rewritten(label_file(own, "aachen_000000_000000"), lambda ids: Image.fromarray(ids | 64))
    before, deadline = set(threading.enumerate()), time.monotonic() + 10
    with pytest.raises(DataError, match="aachen"):
        index(own)
    # tqdm keeps one that watches its bars.
    while len(left := set(threading.enumerate()) - before) > 1 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(left) <= 1, left
    assert not list(own.glob(".cityscapes*.npz"))
