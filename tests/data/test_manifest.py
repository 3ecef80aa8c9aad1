"""Shards are what their manifest says, or are refused with the tar's name."""

import json
import random
import shutil
import string

import pytest
import torch
from PIL import Image, ImageFilter

import data.shard
from data.index import load_index
from data.store.dataset import DataError
from foundation.errors import run_command
from tests.conftest import write_images
from tests.data.test_data import every_batch, joined


@pytest.fixture
def shards(tmp_path):
    """Twelve training images in four tars and six for validation in two, of equal facts."""
    for split, images in (("train", 6), ("val", 3)):
        for label in ("a", "b"):
            seed = ord(label) + images
            write_images(tmp_path / "set" / split / label, [(40, 40)] * images, seed)
    for file in (tmp_path / "set" / "val").rglob("*.JPEG"):
        file.rename(file.with_name(f"val_{file.name}"))
    data.shard.write_shards(load_index(tmp_path / "set"), tmp_path / "out", 3)
    return tmp_path / "out"


@pytest.fixture
def old_shards(shards):
    """The same without digests, and with a fingerprint of one part, as older versions wrote."""
    manifest = json.loads((shards / "shards.json").read_text())
    del manifest["digests"]
    manifest["fingerprint"] = manifest["fingerprint"][:16]
    (shards / "shards.json").write_text(json.dumps(manifest))
    return shards


def refused(root):
    with pytest.raises(ValueError, match=".") as caught:
        load_index(root)
    return str(caught.value)


def edit(root, **changes):
    manifest = json.loads((root / "shards.json").read_text()) | changes
    (root / "shards.json").write_text(json.dumps(manifest))


def swap(one, other):
    one.rename(one.with_name("aside"))
    other.rename(one)
    one.with_name("aside").rename(other)


@pytest.mark.parametrize("kind", ["shards", "old_shards"])
def test_a_tar_in_anothers_place(kind, request):
    root = request.getfixturevalue(kind)
    load_index(root)  # a cache does not hide it
    tars = [root / f"train-00000{i}.tar" for i in range(4)]
    swap(tars[1], tars[2])
    assert f"{tars[1]}: is not the shard that shards.json lists" in refused(root)
    swap(tars[1], tars[2])
    load_index(root)
    kept = tars[3].read_bytes()
    shutil.copy2(tars[0], tars[3])
    assert f"{tars[3]}: is not the shard" in refused(root)
    tars[3].write_bytes(kept)
    load_index(root)
    shutil.copy(root / "val-000000.tar", tars[0])  # keys and counts fit
    message = refused(root)
    assert str(tars[0]) in message or "tars, train-000000.tar to val-000001.tar, make" in message


@pytest.mark.parametrize("kind", ["shards", "old_shards"])
def test_a_tar_of_another_data_set(kind, request, tmp_path):
    root = request.getfixturevalue(kind)
    for split, images in (("train", 6), ("val", 3)):
        for label in ("a", "c"):
            write_images(tmp_path / "x" / split / label, [(40, 40)] * images, seed=9)
    data.shard.write_shards(load_index(tmp_path / "x"), tmp_path / "foreign", 3)
    shutil.copy(tmp_path / "foreign" / "train-000002.tar", root)
    message = refused(root)
    assert "train-000002.tar: is not" in message or "train-000000.tar to val-000001.tar" in message


def test_a_twin_with_other_pixels_is_foreign(shards, tmp_path):
    """Same names, labels and sizes: faces blurred, say."""
    shutil.copytree(tmp_path / "set", tmp_path / "twin")
    for file in (tmp_path / "twin").rglob("*.JPEG"):
        with Image.open(file) as image:
            image.filter(ImageFilter.BoxBlur(2)).save(file)
    data.shard.write_shards(load_index(tmp_path / "twin"), tmp_path / "other", 3)
    shutil.copy(tmp_path / "other" / "val-000001.tar", shards)
    assert f"{shards}/val-000001.tar: is not the shard" in refused(shards)


def test_an_edited_manifest(shards):
    whole = (shards / "shards.json").read_text()
    known = json.loads(whole)
    other = "0" * 16
    for changes, message in [
        ({"fingerprint": f"{other}.{other}"}, "tars, train-000000.tar to val-000001.tar, make"),
        ({"fingerprint": known["fingerprint"][:17] + other}, "copy shards.json and all tars"),
        ({"classes": ["a", "c"]}, "copy shards.json and all tars from one place"),
        ({"classes": ["a"]}, "train-00000[23].tar: was not written"),
        ({"classes": ["b", "b"]}, "a class is listed twice"),
        ({"classes": []}, "classes are no list of names"),
        ({"fingerprint": ""}, "its fingerprint is none"),
        ({"fingerprint": None}, "its fingerprint is none"),
        ({"images": {"train": 0, "val": 6}}, "one or more each"),
        ({"images": {"train": 12, "val": 0}}, "one or more each"),
        ({"images": {"train": 12}}, "one or more each"),
        ({"images": {"train": 12.0, "val": 6}}, "one or more each"),
        ({"images": {"train": True, "val": 6}}, "one or more each"),
        ({"images": 12}, "one or more each"),
        ({"images": {"train": 10**11, "val": 6}}, "its digests are not those of its tars"),
        ({"images": {"train": 11, "val": 6}}, "train-000003.tar: is damaged, 3 of 2 images"),
        ({"images_per_shard": 0}, "images_per_shard should be 1 or more"),
        ({"images_per_shard": "3"}, "images_per_shard should be 1 or more"),
        ({"digests": {}}, "digests are not those of its tars"),
        ({"digests": known["digests"] | {"val-000001.tar": 32 * "0"}}, "val-000001.tar: is not"),
        ({"more": 1}, "cannot be read"),
    ]:
        edit(shards, **changes)
        with pytest.raises(ValueError, match=message):
            load_index(shards)
        (shards / "shards.json").write_text(whole)
    for key in known:
        missing = {name: value for name, value in known.items() if name != key}
        (shards / "shards.json").write_text(json.dumps(missing))
        if key == "digests":  # an older version's
            assert load_index(shards).fingerprint == known["fingerprint"]
        else:
            assert "shards.json: cannot be read" in refused(shards)


def test_older_shards_read_and_are_completed(old_shards, tmp_path, main_of):
    folder = load_index(tmp_path / "set")
    assert load_index(old_shards).fingerprint == folder.fingerprint
    tar = old_shards / "train-000001.tar"
    tar.unlink()
    code, _, _ = main_of(data.shard.main, tmp_path / "set", old_shards, "--images-per-shard", 3)
    assert code == 0
    assert "digests" in json.loads((old_shards / "shards.json").read_text())
    one, other = (
        joined(every_batch(root, "torchvision", 0, 1, "val", "model.num_classes=2", classes=2)[0])
        for root in (tmp_path / "set", old_shards)
    )
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_file_that_changes_before_it_is_written_is_named(tmp_path, main_of):
    for split in ("train", "val"):
        write_images(tmp_path / "set" / split / "a", [(40, 40)] * 2, seed=1)
    load_index(tmp_path / "set")
    write_images(tmp_path / "set" / "val" / "a", [(40, 40)], seed=2)  # in place
    code, _, err = main_of(lambda: run_command(data.shard.main), tmp_path / "set", tmp_path / "out")
    assert code == 2
    assert "val/a/000.JPEG: is " in err
    assert "when it was indexed; run `python -m data.index --again" in err


def test_fuzzed_manifests(shards):
    """Never a traceback, never other data."""
    known, whole = load_index(shards), (shards / "shards.json").read_bytes()
    chance, accepted = random.Random(0), 0
    for _ in range(1500):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 5))):
            place = chance.randrange(len(damaged))
            match chance.randrange(4):
                case 0:
                    damaged[place] = chance.randrange(256)
                case 1:
                    del damaged[place : place + chance.choice((1, 3, 40))]
                case 2:
                    damaged[place:place] = chance.choice(
                        (
                            b"0",
                            b"9" * 30,
                            b"-",
                            b"null",
                            b'"',
                            b"{",
                            b"\\ud800",
                            b"\0",
                            b"1e9",
                            b",",
                        )
                    )
                case 3:
                    damaged[place] = ord(chance.choice(string.hexdigits + '",:[]{}'))
        (shards / "shards.json").write_bytes(damaged)
        told = what_is_told(shards)
        if told is None:
            accepted += 1
            assert load_index(shards).fingerprint == known.fingerprint
        else:
            assert "\n" not in told
            assert "shards.json" in told or ".tar" in told or " shards" in told
    assert accepted < 300


def what_is_told(root):
    try:
        load_index(root)
    except DataError as error:
        return str(error)
    return None
