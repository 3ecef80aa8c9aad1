"""CIFAR-10's archive, made up in its form: torchvision's own reader is the oracle."""

import hashlib
import pickle
import subprocess
import sys
import tarfile
from io import BytesIO

import numpy as np
import pytest
import torchvision
from PIL import Image

from data.index import load_index
from tests.conftest import ROOT

CLASSES = ["airplane", "automobile", "bird"]
BATCHES = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]


def archive(path, leave_out=(), **replaced):
    """Write an archive of twelve images a batch; return its batches."""
    rng = np.random.default_rng(0)
    members = {"batches.meta": {"label_names": CLASSES}}
    for name in BATCHES:
        labels = [*range(3), *rng.integers(0, 3, 9).tolist()]
        members[name] = {"labels": labels, "data": rng.integers(0, 256, (12, 3072), np.uint8)}
    members |= replaced
    with tarfile.open(path, "w:gz") as tar:
        for name, content in members.items():
            data = content if isinstance(content, bytes) else pickle.dumps(content, protocol=2)
            info = tarfile.TarInfo(f"cifar-10-batches-py/{name}")
            info.size = len(data)
            if name not in leave_out:
                tar.addfile(info, BytesIO(data))
    return members


def command(*words, code=0):
    line = [sys.executable, "-m", "data.cifar10", *map(str, words)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_pixels_labels_and_order_are_torchvisions(tmp_path, monkeypatch):
    source, out = tmp_path / "cifar-10-python.tar.gz", tmp_path / "folder"
    members = archive(source)
    assert "60 in train/ and 12 in val/, 3 classes" in command(source, out)

    with tarfile.open(source) as tar:
        tar.extractall(tmp_path, filter="data")
    theirs = torchvision.datasets.CIFAR10
    folder = tmp_path / theirs.base_folder
    digest = {file.name: hashlib.md5(file.read_bytes()).hexdigest() for file in folder.iterdir()}
    monkeypatch.setattr(theirs, "train_list", [[n, digest[n]] for n in BATCHES[:-1]])
    monkeypatch.setattr(theirs, "test_list", [["test_batch", digest["test_batch"]]])
    meta = {"filename": "batches.meta", "key": "label_names", "md5": digest["batches.meta"]}
    monkeypatch.setattr(theirs, "meta", meta)
    for split, train in (("train", True), ("val", False)):
        seen = dict.fromkeys(range(3), 0)
        for image, label in theirs(tmp_path, train=train):
            file = out / split / CLASSES[label] / f"{seen[label]:04}.png"
            assert np.array_equal(Image.open(file), image)
            seen[label] += 1
        assert len(list((out / split).rglob("*.png"))) == sum(seen.values())
    assert load_index(out).classes == tuple(CLASSES)
    assert len(members) == 7

    assert "exists; choose another folder" in command(source, out, code=2)
    fewer = tmp_path / "fewer"
    fewer.mkdir()  # an empty folder is free
    assert "6 in train/ and 12 in val/" in command(source, fewer, "--per-class", 2)
    kept = {path.relative_to(fewer / "train") for path in (fewer / "train").rglob("*.png")}
    assert {str(path) for path in kept} == {f"{c}/{i:04}.png" for c in CLASSES for i in range(2)}


class Bomb:
    def __reduce__(self):
        return (open, ("/tmp/never", "w"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (dict(leave_out=["data_batch_3"]), "holds no data_batch_3; give cifar-10-python.tar.gz"),
        ({"data_batch_2": Bomb()}, "data_batch_2 is not CIFAR-10's (it would run"),
        ({"test_batch": b"nothing"}, "test_batch is not CIFAR-10's"),
        (
            {"test_batch": {"labels": [0], "data": np.zeros((1, 9), np.uint8)}},
            "test_batch holds no images of 32 x 32 px",
        ),
        ({"batches.meta": {"label_names": ["../up"]}}, "../up names no class"),
    ],
)
def test_another_archive_is_refused_in_a_line(tmp_path, change, told):
    source = tmp_path / "a.tar.gz"
    archive(source, **change)
    out = command(source, tmp_path / "out", code=2)
    assert told in out
    assert out.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_no_archive(tmp_path):
    (tmp_path / "cut.tar.gz").write_bytes(b"\x1f\x8b\x08 and no more")
    for source in (tmp_path / "cut.tar.gz", tmp_path / "gone.tar.gz"):
        assert "cannot be read" in command(source, tmp_path / "out", code=2)
