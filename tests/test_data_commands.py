"""data.check, data.shard and data.imagenet as a user runs them."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tarfile
import time

import numpy as np
import pytest
import torch
import webdataset
from nvidia.dali import fn
from nvidia.dali.pipeline import Pipeline
from PIL import Image
from scipy.io import savemat

import data.check
import data.imagenet
import data.shard
from configs.errors import run_command
from data.index import load_index
from tests.conftest import ROOT, heed_ctrl_c, write_images
from tests.test_data import every_batch, joined


@pytest.fixture
def bad_folder(folder):
    """A data set with five bad files, each bad in its own way."""
    good = (folder / "train" / "a" / "000.JPEG").read_bytes()
    (folder / "train" / "a" / "cut.JPEG").write_bytes(good[:-60])
    (folder / "train" / "b" / "empty.JPEG").write_bytes(b"")
    (folder / "train" / "b" / "text é.JPEG").write_text("text")
    Image.new("P", (40, 40)).save(folder / "val" / "a" / "really a gif.JPEG", format="GIF")
    Image.new("1", (10_001, 10_000)).save(folder / "val" / "b" / "bomb.png")
    return folder


def test_check_lists_bad_files_and_training_leaves_them_out(bad_folder, tmp_path, main_of):
    listed = tmp_path / "bad.txt"
    code, out, _ = main_of(data.check.main, bad_folder, "--out", listed, "--workers", 2)
    assert code == 1
    assert "classes: 2 (ImageNet: 1,000)" in out
    assert "train: 9 images (ImageNet: 1,281,167)" in out
    assert "val: 6 images (ImageNet: 50,000)" in out
    assert f"5 bad files, listed in {listed}" in out
    rows = [line.split("\t") for line in listed.read_text().splitlines()[1:]]
    reasons = dict(rows)
    assert reasons["train/a/cut.JPEG"].startswith("cannot be decoded")
    assert reasons["train/b/empty.JPEG"] == reasons["train/b/text é.JPEG"] == "not an image"
    assert "GIF is not supported" in reasons["val/a/really a gif.JPEG"]
    assert "more than 100 megapixels" in reasons["val/b/bomb.png"]
    assert len(rows) == 5
    index = load_index(bad_folder, listed)
    assert (len(index.train), len(index.val)) == (6, 4)
    for backend in ("torchvision", "dali"):
        settings = ["model.num_classes=2", f"data.exclude={listed}"]
        for split, images in (("train", 6), ("val", 4)):
            [part] = every_batch(bad_folder, backend, 0, 1, split, *settings, classes=2)
            assert sum(len(batch.images) for batch in part) == images


def test_check_of_a_good_data_set(folder, tmp_path, main_of):
    code, out, _ = main_of(data.check.main, folder, "--out", tmp_path / "bad.txt")
    assert code == 0
    assert "all of them can be decoded" in out
    assert list(tmp_path.glob("bad.txt*")) == []


def test_a_stopped_check_goes_on(tmp_path, main_of, monkeypatch):
    for split, images in (("train", 700), ("val", 20)):
        write_images(tmp_path / "set" / split / "a", [(300, 200)] * images, seed=1)
    arguments = [tmp_path / "set", "--out", tmp_path / "bad.txt", "--workers", "1"]
    code = "import data.check; data.check._CHUNK = 20; data.check.main()"
    started = subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
        stderr=subprocess.PIPE,
        text=True,
    )
    progress = tmp_path / "bad.txt.progress"
    deadline = time.time() + 100
    while time.time() < deadline and not (
        progress.is_file() and progress.read_text().count("\n") > 2
    ):
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGINT)  # a terminal signals the whole group
    _, errors = started.communicate(timeout=60)
    assert "the same command goes on" in errors
    done = [json.loads(line)[:2] for line in progress.read_text().splitlines()[1:]]
    assert 2 <= len(done) < 36
    # What is damaged now is seen if it was still to be checked, and only then.
    names = {
        (split, start): tmp_path / "set" / split / "a" / f"{start:03}.JPEG" for split, start in done
    }
    for file in names.values():
        file.write_bytes(b"")
    late = max(start for start in range(0, 700, 20) if ["train", start] not in done)
    (tmp_path / "set" / "train" / "a" / f"{late:03}.JPEG").write_bytes(b"")
    monkeypatch.setattr(data.check, "_CHUNK", 20)
    code, out, _ = main_of(data.check.main, *arguments)
    assert code == 1
    assert f"train/a/{late:03}.JPEG: " in out
    assert "1 bad files" in out
    assert not progress.exists()


def test_shards_hold_the_same_data_set(images, tmp_path, main_of):
    out = tmp_path / "shards"
    for _ in range(2):  # the second time nothing is left to do
        code, text, _ = main_of(data.shard.main, images, out, "--images-per-shard", 7)
        assert code == 0
        assert "31 training and 17 validation images" in text
    assert len(list(out.glob("train-*.tar"))) == 5
    assert len(list(out.glob("val-*.tar"))) == 3
    folder, shards = load_index(images), load_index(out)
    assert shards.fingerprint == folder.fingerprint
    assert shards.classes == folder.classes
    for split in ("train", "val"):
        for sample in range(len(getattr(folder, split))):
            assert getattr(shards, split).read(sample) == getattr(folder, split).read(sample)
    for backend in ("torchvision", "dali"):
        for split in ("train", "val"):
            one, other = (
                joined(every_batch(root, backend, 1, 1, split)[0]) for root in (images, out)
            )
            assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_shards_are_webdatasets(images, tmp_path):
    """Read by the library of that name, and by DALI's reader."""
    index = load_index(images)
    data.shard.write_shards(index, tmp_path / "out", 8)
    tars = sorted(map(str, (tmp_path / "out").glob("train-*.tar")))
    samples = list(webdataset.WebDataset(tars, shardshuffle=False, empty_check=False))
    assert [int(sample["cls"]) for sample in samples] == index.train.labels.tolist()
    assert [sample["jpeg"] for sample in samples] == [index.train.read(i) for i in range(31)]
    assert json.loads(samples[3]["json"])["path"] == bytes(index.train.paths[3]).decode()
    pipeline = Pipeline(4, 1, None)
    with pipeline:
        pipeline.set_outputs(*fn.readers.webdataset(paths=tars, ext=["jpeg", "cls"]))
    pipeline.build()
    files, labels = pipeline.run()
    assert bytes(np.array(files.at(2))) == index.train.read(2)
    assert int(bytes(np.array(labels.at(2)))) == index.train.labels[2]


def test_damaged_and_foreign_shards(images, tmp_path, main_of):
    out = tmp_path / "out"
    index = load_index(images)
    data.shard.write_shards(index, out, 40)
    code, _, err = main_of(
        lambda: run_command(data.shard.main), images, out, "--images-per-shard", 9
    )
    assert code == 2
    assert "holds something else; choose another folder, or delete it" in err
    known = load_index(out)
    tar = out / "val-000000.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[:2000])  # after it was indexed
    with pytest.raises(ValueError, match=r"val-000000.tar: class 2 é/.*the tar has been cut off"):
        known.val.read(16)
    with pytest.raises(ValueError, match=r"val-000000.tar: (cannot be read|was not written)"):
        load_index(out)
    with tarfile.open(tar, "w") as foreign:
        foreign.addfile(tarfile.TarInfo("a.jpg"), io.BytesIO())
    with pytest.raises(ValueError, match=r"was not written by `python -m data.shard`"):
        load_index(out)
    (out / "train-000000.tar").rename(out / "gone")
    with pytest.raises(ValueError, match=r"holds no train-\*.tar"):
        load_index(out)
    (out / "gone").rename(out / "train-000000.tar")
    (out / "train-000001.tar").write_bytes(b"")
    with pytest.raises(ValueError, match="holds 2 of 1 train shards; copy the rest"):
        load_index(out)
    (out / "train-000001.tar").unlink()
    tar.unlink()
    with pytest.raises(ValueError, match=r"holds no val-\*.tar"):
        load_index(out)


def tar_of(path, files):
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def official(tmp_path):
    """ImageNet's own files in small: two classes, four training and three validation images."""
    write_images(tmp_path / "raw", [(40, 40)] * 7, seed=1)
    jpegs = [file.read_bytes() for file in sorted((tmp_path / "raw").iterdir())]
    classes = {}
    for number, name in enumerate(("n01440764", "n01443537")):
        files = {f"{name}_{i}.JPEG": jpegs[2 * number + i] for i in range(2)}
        classes[f"{name}.tar"] = tar_of(tmp_path / f"{name}.tar", files).read_bytes()
    val = {f"ILSVRC2012_val_0000000{i + 1}.JPEG": jpegs[4 + i] for i in range(3)}
    synsets = np.array(
        [(1, "n01440764"), (2, "n01443537")], dtype=[("ILSVRC2012_ID", int), ("WNID", object)]
    )
    meta = io.BytesIO()
    savemat(meta, {"synsets": synsets})
    truth = "kit/data/ILSVRC2012_validation_ground_truth.txt"
    return {
        "train": tar_of(tmp_path / "train.tar", classes),
        "val": tar_of(tmp_path / "val.tar", val),
        "devkit": tar_of(
            tmp_path / "kit.tar", {"kit/data/meta.mat": meta.getvalue(), truth: b"2\n1\n2\n"}
        ),
        "jpegs": jpegs,
    }


def test_imagenets_own_files(official, tmp_path, main_of):
    out = tmp_path / "imagenet"
    arguments = [out, "--train", official["train"], "--val", official["val"]]
    arguments += ["--val-classes", official["devkit"]]
    (out / "train" / ".n01440764").mkdir(parents=True)  # left by a call that was stopped
    for _ in range(2):
        code, text, _ = main_of(data.imagenet.main, *arguments)
        assert code == 1  # not ImageNet's counts
        assert "train: 4 images in 2 classes (ImageNet: 1,281,167 in 1,000)" in text
        assert "val: 3 images in 2 classes (ImageNet: 50,000 in 1,000)" in text
    index = load_index(out)
    assert index.classes == ("n01440764", "n01443537")
    assert [index.train.read(i) for i in range(4)] == official["jpegs"][:4]
    assert index.val.labels.tolist() == [0, 1, 1]
    assert [index.val.read(i) for i in range(3)] == [official["jpegs"][i] for i in (5, 4, 6)]


def test_a_flat_validation_folder_and_a_list(official, tmp_path, main_of):
    flat = tmp_path / "flat"
    flat.mkdir()
    with tarfile.open(official["val"]) as tar:
        tar.extractall(flat, filter="data")
    names = sorted(file.name for file in flat.iterdir())
    lists = [
        "\n".join(["b", "a", "b"]),
        "\n".join(f"{n} {c}" for n, c in zip(names, "bab", strict=True)),
    ]
    for number, text in enumerate(lists):
        (tmp_path / "list.txt").write_text(text)
        out = tmp_path / f"out{number}"
        main_of(data.imagenet.main, out, "--val", flat, "--val-classes", tmp_path / "list.txt")
        found = sorted(str(file.relative_to(out / "val")) for file in (out / "val").rglob("*.JPEG"))
        assert found == sorted(f"{c}/{n}" for n, c in zip(names, "bab", strict=True))
    assert len(list(flat.iterdir())) == 3  # the user's own stay
    for text, message in [
        ("a\nb\n", "3 images, but 2 classes listed"),
        ("1\n2\n1\n", "give the devkit's archive, or a line for each image"),
        (f"{names[0]} a\nother.JPEG b\n", "2 images without a class .* 1 images missing"),
    ]:
        (tmp_path / "list.txt").write_text(text)
        arguments = [tmp_path / "no", "--val", flat, "--val-classes", tmp_path / "list.txt"]
        code, _, err = main_of(lambda: run_command(data.imagenet.main), *arguments)
        assert code == 2
        assert re.search(message, err)
