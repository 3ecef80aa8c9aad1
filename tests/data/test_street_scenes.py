"""The painted stand-in for Cityscapes: its folders, its labels, and what it never touches."""

import hashlib

import numpy as np
import pytest
import torchvision
from PIL import Image

import data.street_scenes
from data.paint import OBJECTS, coarse, paint_scene
from data.store.dataset import DataError
from data.street_scenes import digits_of, write_scenes

CLASSES = {c.id for c in torchvision.datasets.Cityscapes.classes if not c.ignore_in_eval}
# SHA-256 of the pixels of six validation scenes of seed 0.
IMAGES = "5c48f034189a0592a4acc12606a8ac6509f879425c725697f00dd25cd0e71a62"
LABELS = "dde391b2465e90827afd05fff391dc967442cb30b01b00008c52b1bc3f42ec6a"


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A set of 21 training, 6 validation and 3 coarse scenes."""
    out = tmp_path_factory.mktemp("painted") / "scenes"
    told = write_scenes(out, 21, 6)
    assert told.endswith("21 for training, 6 for validation, 3 with coarse labels; written")
    return out


def read(root, split):
    """Return images and label ids of a split, as torchvision reads Cityscapes."""
    mode = "coarse" if split == "train_extra" else "fine"
    pairs = torchvision.datasets.Cityscapes(root, split, mode, target_type="semantic")
    images, ids = zip(*pairs, strict=True)
    return np.stack([np.asarray(one) for one in images]), np.stack([np.asarray(one) for one in ids])


def contents(root):
    return {p.relative_to(root): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.mark.parametrize(("split", "count"), [("train", 21), ("val", 6), ("train_extra", 3)])
def test_torchvision_reads_it(scenes, split, count):
    images, ids = read(scenes, split)
    assert images.shape == (count, 64, 128, 3)
    assert ids.shape == (count, 64, 128)
    assert ids.dtype == np.uint8
    assert ids.max() <= 33
    if split != "train_extra":
        assert set(np.unique(ids)) > CLASSES
        assert 0.001 < (~np.isin(ids, list(CLASSES))).mean() < 0.1


def test_cities_are_cityscapes(scenes):
    cities = {s: {p.name for p in (scenes / "gtFine" / s).iterdir()} for s in ("train", "val")}
    assert cities["val"] == {"frankfurt", "lindau", "munster"}
    assert len(cities["train"]) == 18
    name = "leftImg8bit/train/zurich/zurich_000000_000000_leftImg8bit.png"
    assert (scenes / name).exists()
    assert len(list((scenes / "gtFine/train/bremen").iterdir())) == 2  # 21 of 18 cities
    assert len(list((scenes / "gtFine/train/zurich").iterdir())) == 1


def test_labels_are_the_images_to_the_pixel(scenes):
    """What is bright of colour is an object, and its colour is its class's, give or take."""
    for split in ("train", "val"):
        images, ids = read(scenes, split)
        high, low = images.max(axis=-1).astype(float), images.min(axis=-1)
        bright = (high - low) / high > 0.57
        assert np.array_equal(bright, np.isin(ids, OBJECTS))
        for number, label in enumerate(OBJECTS):
            picture = Image.fromarray(images[ids == label][None])
            hue = np.asarray(picture.convert("HSV"))[..., 0] / 256
            off = (hue - number / 10 + 0.5) % 1 - 0.5
            assert np.abs(off).max() < 0.2
            assert np.abs(off).mean() < 0.07


def test_borders_cut_objects(scenes):
    _, ids = read(scenes, "train")
    found = np.isin(ids, OBJECTS)
    for edge in (found[:, 0], found[:, -1], found[..., 0], found[..., -1]):
        assert 0.02 < edge.mean() < 0.4


def test_coarse_labels_stay_inside():
    rng = np.random.default_rng(3)
    _, ids = paint_scene(rng, *digits_of("train", *data.street_scenes.handwritten_digits()))
    less = coarse(ids)
    for y in range(64):
        for x in range(128):
            around = ids[max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
            assert less[y, x] == (ids[y, x] if (around == ids[y, x]).all() else 0)
    assert 0.4 < (less > 0).mean() < 0.9


def test_validation_has_digits_of_its_own(monkeypatch, tmp_path):
    drawn = {}

    def painted(rng, images, classes):
        drawn[len(images)] = {one.tobytes() for one in images}
        return paint_scene(rng, images, classes)

    monkeypatch.setattr(data.street_scenes, "paint_scene", painted)
    write_scenes(tmp_path / "out", 18, 3)
    assert set(drawn) == {1437, 360}
    assert not drawn[1437] & drawn[360]


def test_a_scene_is_a_function_of_seed_and_place(scenes, tmp_path):
    write_scenes(tmp_path / "more", 40, 9)
    more = contents(tmp_path / "more")
    assert contents(scenes).items() < more.items()
    write_scenes(tmp_path / "other", 21, 6, seed=1)
    assert not set(contents(scenes).values()) & set(contents(tmp_path / "other").values())
    # The same pixels on every machine, whatever its libraries' versions.
    for folder, digest in (("leftImg8bit", IMAGES), ("gtFine", LABELS)):
        files = sorted((scenes / folder / "val").rglob("*.png"))
        pixels = b"".join(np.asarray(Image.open(file)).tobytes() for file in files)
        assert hashlib.sha256(pixels).hexdigest() == digest


def test_a_finished_set_is_used_again(scenes, command):
    before = {path: path.stat().st_mtime_ns for path in scenes.rglob("*")}
    line = ("data.street_scenes", scenes, "--train", 21, "--val", 6)
    assert "already there" in command(*line).stdout
    other = command(*line, "--seed", 1, check=False)
    assert other.returncode == 2
    assert other.stderr.startswith(f"error: {scenes}: exists and holds")
    assert len(other.stderr.splitlines()) == 1
    assert {path: path.stat().st_mtime_ns for path in scenes.rglob("*")} == before


@pytest.mark.parametrize("damage", ["gone", "broken", "another", "file"])
def test_something_else_is_left_alone(tmp_path, damage):
    out = tmp_path / "out"
    if damage in ("gone", "broken", "another"):
        write_scenes(out, 18, 3)
        first = out / "gtFine/val/frankfurt/frankfurt_000000_000000_gtFine_labelIds.png"
        match damage:
            case "gone":
                first.unlink()
            case "broken":
                first.write_bytes(first.read_bytes()[:60])
            case "another":
                Image.new("L", (128, 64)).save(first)
    else:
        out.write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(DataError, match="exists and holds something else"):
        write_scenes(out, 18, 3)
    assert contents(tmp_path) == before
    assert [*tmp_path.iterdir()] == [out]


def test_an_empty_folder_is_free(tmp_path):
    (tmp_path / "out").mkdir()
    assert write_scenes(tmp_path / "out", 18, 3).endswith("; written")
    assert [*tmp_path.iterdir()] == [tmp_path / "out"]
    assert write_scenes(tmp_path / "out", 18, 3).endswith("; already there")


def test_a_stopped_command_leaves_nothing(tmp_path, monkeypatch):
    calls = []

    def save(image, path):
        calls.append(path)
        if len(calls) > 20:
            raise KeyboardInterrupt
        path.write_bytes(b"")

    monkeypatch.setattr(Image.Image, "save", save)
    with pytest.raises(KeyboardInterrupt):
        write_scenes(tmp_path / "out", 18, 3)
    assert not list(tmp_path.iterdir())
    assert all(tmp_path / "out" not in path.parents for path in calls)


@pytest.mark.parametrize(
    ("numbers", "told"),
    [((17, 3, 0), "--train 17: give 18"), ((18, 2, 0), "--val 2"), ((18, 3, -1), "--seed -1")],
)
def test_numbers_too_small(tmp_path, numbers, told):
    with pytest.raises(DataError, match=told):
        write_scenes(tmp_path / "out", *numbers)
