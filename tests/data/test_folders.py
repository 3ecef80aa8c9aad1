"""What the index notices of nested, hidden, linked and foreign files below an image folder."""

import errno
import os
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

import data.index
import data.store.folders
from data.index import load_index, read_index
from data.store.cache import CACHE_NAME
from tests.conftest import write_images


@pytest.fixture
def nested(tmp_path):
    """Tiny-ImageNet's layout: train/<class>/images/*.JPEG."""
    for split in ("train", "val"):
        for label in ("n1", "n2"):
            write_images(tmp_path / "set" / split / label / "images", [(40, 40)] * 2, seed=1)
    return tmp_path / "set"


def names(split):
    return [split.name(i) for i in range(len(split))]


def theirs(folder):
    return [path for path, _ in ImageFolder(folder).samples]


@pytest.mark.parametrize("keep_time", [False, True])
def test_files_below_a_class_folder_are_noticed(nested, keep_time):
    folder = nested / "train" / "n1" / "images"
    extra = nested / "train" / "n1" / "images" / "deep" / "er"

    def add():
        shutil.copy(folder / "000.JPEG", folder / "new.JPEG")

    def add_folder():
        extra.mkdir(parents=True)
        shutil.copy(folder / "000.JPEG", extra / "x.JPEG")

    def rename():
        (folder / "new.JPEG").rename(folder / "renamed.JPEG")

    def remove():
        (folder / "renamed.JPEG").unlink()

    for change in (add, add_folder, rename, remove):
        load_index(nested)
        times = folder.stat()
        change()
        if keep_time:  # as cp -a and rsync -a do
            os.utime(folder, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert names(load_index(nested).train) == theirs(nested / "train")


def test_nothing_is_scanned_while_nothing_changes(nested, monkeypatch):
    first = load_index(nested)
    monkeypatch.setattr(data.store.folders, "scan", lambda _: pytest.fail("scanned again"))
    (nested / "train" / "n1" / "images" / "000.JPEG").read_bytes()
    (nested / "a file at the top").write_text("")
    again = load_index(nested)
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.train.lengths, first.train.lengths)


def test_a_change_right_after_the_scan_is_noticed(nested):
    """Within one step of the file system's clock, too."""
    folder = nested / "val" / "n2" / "images"
    for number in range(5):
        shutil.copy(folder / "000.JPEG", folder / f"a{number}.JPEG")
        read_index(nested)
        shutil.copy(folder / "000.JPEG", folder / f"b{number}.JPEG")
        assert names(load_index(nested).val) == theirs(nested / "val")


def test_a_copy_of_the_folder_with_its_times_and_cache(nested, tmp_path):
    load_index(nested)
    subprocess.run(["cp", "-a", nested, tmp_path / "copy"], check=True)
    assert (tmp_path / "copy" / CACHE_NAME).is_file()
    (tmp_path / "copy" / "val" / "n1" / "images" / "000.JPEG").unlink()
    source = (nested / "val" / "n1" / "images").stat()
    os.utime(tmp_path / "copy/val/n1/images", ns=(source.st_atime_ns, source.st_mtime_ns))
    assert len(load_index(tmp_path / "copy").val) == 3


def test_order_is_torchvisions_in_nested_and_linked_folders(nested, tmp_path):
    write_images(tmp_path / "elsewhere" / "sub", [(50, 40)] * 2, seed=5)
    for name in ("images-b", "images b", "Images", "images.c/z", "images/a", "images/0"):
        write_images(nested / "train" / "n1" / name, [(41, 40)] * 2, seed=2)
    (nested / "train" / "n1" / "link").symlink_to(tmp_path / "elsewhere")
    (nested / "train" / "n2" / "one").symlink_to(tmp_path / "elsewhere")  # twice is no loop
    (nested / "train" / "n2" / "two").symlink_to(tmp_path / "elsewhere" / "sub")
    (nested / "train" / "n2" / "neighbour").symlink_to("../n1/images")
    index = load_index(nested)
    assert names(index.train) == theirs(nested / "train")
    assert index.train.labels.tolist() == ImageFolder(nested / "train").targets
    write_images(tmp_path / "elsewhere" / "sub", [(50, 40)] * 3, seed=5)  # behind a link
    assert names(load_index(nested).train) == theirs(nested / "train")


def test_hidden_folders_and_loops_are_left_out_aloud(nested, main_of):
    clean = load_index(nested)
    one = nested / "train" / "n1"
    shutil.copytree(one / "images", nested / "train" / ".ipynb_checkpoints")
    shutil.copytree(one / "images", one / "images" / ".ipynb_checkpoints")
    for place, target in [
        (one / "up", ".."),
        (one / "images" / "self", "../../n1"),
        (one / "root", nested),
        (one / "top", "/"),
        (one / "itself", "itself"),
        (nested / "train" / "around", "."),
    ]:
        place.symlink_to(target)
    for number in range(2):  # scanned, and from the cache
        code, out, err = main_of(data.index.main, nested)
        assert code == 0
        warned = [line for line in err.splitlines() if line.startswith("warning: train/: ")]
        assert len(warned) == 2, (number, err)
        assert "2 hidden folders are left out: " in warned[0]
        assert ".ipynb_checkpoints" in warned[0]
        assert "6 links that lead back to a folder above them are left out" in warned[1]
    index = load_index(nested)
    assert names(index.train) == names(clean.train)
    assert index.fingerprint == clean.fingerprint


def test_two_folders_that_link_to_each_other_end(nested):
    (nested / "train" / "n1" / "to2").symlink_to("../n2")
    (nested / "train" / "n2" / "to1").symlink_to("../n1")
    found = [os.path.relpath(name, nested / "train") for name in names(load_index(nested).train)]
    assert found == [
        f"{place}/images/00{i}.JPEG" for place in ("n1", "n1/to2", "n2", "n2/to1") for i in range(2)
    ]


def test_unknown_endings_are_counted_and_named_once(nested, main_of):
    image = nested / "train" / "n1" / "images" / "000.JPEG"
    for name in ("a.jfif", "b.JFIF", "c.gif", "d", "e.txt", "f.jpeg.bak"):
        shutil.copy(image, image.with_name(name))
    shutil.copy(image, nested / "train" / "loose.jpg")
    _, _, err = main_of(data.index.main, nested)
    [endings] = [line for line in err.splitlines() if "do not end like images" in line]
    assert endings.startswith("warning: train/: 6 files do not end like images and are left out: ")
    for told in ("2 .jfif", "1 .gif", "1 without an ending", "1 .txt", "1 .bak"):
        assert told in endings
    [beside] = [line for line in err.splitlines() if "beside the class folders" in line]
    assert "1 images lie beside" in beside
    assert "loose.jpg" in beside
    assert len(load_index(nested).train) == 4


def test_a_class_of_unknown_endings_says_which(nested):
    for file in (nested / "val" / "n2" / "images").iterdir():
        file.rename(file.with_suffix(".jfif"))
    with pytest.raises(ValueError, match=r"no valid file for the classes n2 .*2 \.jfif"):
        load_index(nested)


def test_a_folder_that_cannot_be_read_is_named(nested, monkeypatch):
    folder, real = nested / "train" / "n1" / "images", os.scandir

    def scandir(path):  # root, as which tests may run, can read everything
        if os.fspath(path) == str(folder):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    with pytest.raises(ValueError, match=rf"{folder}: cannot be read \(Permission denied\)"):
        load_index(nested)


def test_a_name_that_is_a_folder(nested):
    """Folders may end like images."""
    write_images(nested / "train" / "n1" / "folder.JPEG", [(40, 40)], seed=1)
    Image.new("RGB", (9, 9)).save(nested / "train" / "n1" / "folder.png")
    assert names(load_index(nested).train) == theirs(nested / "train")
