"""data.imagenet as a user runs it."""

import io
import re
import tarfile

import numpy as np
import pytest
from scipy.io import savemat

import data.imagenet
from data.index import load_index
from foundation.errors import run_command
from tests.conftest import write_images


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
    for left in (".n01440764", ".n01440764.4711"):  # by calls that were killed
        (out / "train" / left).mkdir(parents=True)
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
        (f"{names[0]} a\nother.JPEG b\n", "2 images without a class .* 1 image missing"),
    ]:
        (tmp_path / "list.txt").write_text(text)
        arguments = [tmp_path / "no", "--val", flat, "--val-classes", tmp_path / "list.txt"]
        code, _, err = main_of(lambda: run_command(data.imagenet.main), *arguments)
        assert code == 2
        assert re.search(message, err)
