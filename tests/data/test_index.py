"""The index against ImageFolder; its cache; what it refuses."""

import multiprocessing
import os
import shutil
import time

import numpy as np
import pytest
from PIL import Image
from torchvision.datasets import ImageFolder

import data.store.folders
from data.index import load_index, read_index
from data.store.cache import CACHE_NAME
from tests.conftest import write_images


def refused(root):
    with pytest.raises(ValueError, match=".") as caught:
        load_index(root)
    return str(caught.value)


def test_index_is_torchvisions_image_folder(images):
    index = load_index(images)
    for split in (index.train, index.val):
        theirs = ImageFolder(split.folder)
        assert list(index.classes) == theirs.classes
        assert [split.name(i) for i in range(len(split))] == [p for p, _ in theirs.samples]
        assert split.labels.tolist() == theirs.targets
        sizes = [Image.open(path).size[::-1] for path, _ in theirs.samples]
        assert [tuple(size) for size in split.sizes.tolist()] == sizes


def test_index_is_cached_until_a_folder_changes(folder, monkeypatch):
    first = load_index(folder)
    monkeypatch.setattr(data.store.folders, "scan", lambda _: pytest.fail("scanned again"))
    again = load_index(folder)
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.train.paths, first.train.paths)
    monkeypatch.undo()
    write_images(folder / "train" / "a", [(40, 40)] * 4, seed=1)
    assert len(load_index(folder).train) == len(first.train) + 1
    assert load_index(folder).fingerprint != first.fingerprint
    (folder / CACHE_NAME).write_bytes(b"half a file")
    assert len(load_index(folder).train) == len(first.train) + 1


def test_index_of_a_read_only_folder_is_cached_elsewhere(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder and real(path, mode))
    load_index(folder)
    assert not (folder / CACHE_NAME).exists()
    monkeypatch.setattr(data.store.folders, "scan", lambda _: pytest.fail("scanned again"))
    load_index(folder)


def test_fingerprint_does_not_depend_on_the_place(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / CACHE_NAME).unlink(missing_ok=True)
    assert load_index(folder).fingerprint == load_index(tmp_path / "copy").fingerprint


def test_unusable_folders(folder):
    assert "there is no such folder; set data.root" in refused(folder / "nowhere")

    (folder / "val" / "b").rename(folder / "val" / "c")
    message = refused(folder)
    assert "1 only in train/ (b); 1 only in val/ (c)" in message
    (folder / "val" / "c").rename(folder / "val" / "b")

    (folder / "train" / "a" / "note.txt").write_text("no image")
    for file in (folder / "train" / "a").glob("*.JPEG"):
        file.unlink()
    assert "no valid file for the classes a" in refused(folder)
    write_images(folder / "train" / "a", [(40, 40)], seed=1)

    (folder / "train" / "b" / "000.JPEG").write_bytes(b"")
    (folder / "val" / "b" / "001.JPEG").write_text("text")
    message = refused(folder)
    assert "2 files are no readable images" in message
    assert f"{folder}/train/b/000.JPEG (not an image)" in message

    shutil.rmtree(folder / "val")
    write_images(folder / "val", [(40, 40)] * 3, seed=1)
    assert "holds images but no class folders; move each image into val/<class>/" in refused(folder)
    shutil.rmtree(folder / "val")
    assert f"{folder}/val: missing" in refused(folder)


def test_a_cache_that_cannot_be_written_stops_nobody(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # no folder can be made in it
    (folder / f"{CACHE_NAME}.lock").mkdir()  # and another's lock beside the data
    assert len(load_index(folder).train) == 6


def test_a_mended_file_is_noticed_and_a_new_scan_can_be_asked_for(folder, main_of):
    file = folder / "val" / "a" / "000.JPEG"
    good = file.read_bytes()
    file.write_bytes(b"text")
    assert f"{file} (not an image)" in refused(folder)
    file.write_bytes(good)  # in place: no folder has changed
    assert load_index(folder).val.sizes[0].tolist() == [40, 40]
    file = folder / "val" / "a" / "001.JPEG"
    Image.new("RGB", (41, 39)).save(file)
    assert load_index(folder).val.sizes[1].tolist() == [40, 40]  # unnoticed until it is decoded
    code, out, _ = main_of(data.index.main, "--again", folder)
    assert code == 0
    assert "2 classes, 6 training and 4 validation images" in out
    assert load_index(folder).val.sizes[1].tolist() == [39, 41]


def test_excluded_images(folder, tmp_path):
    whole = load_index(folder)
    (folder / "train" / "b" / "001.JPEG").write_text("text")
    read_index(folder, again=True)
    listed = tmp_path / "bad.txt"
    listed.write_text("# a comment\n\ntrain/b/001.JPEG\tnot an image\nval/a/000.JPEG\n")
    index = load_index(folder, listed)
    assert (len(index.train), len(index.val)) == (5, 3)
    names = [index.train.name(i) for i in range(5)]
    assert names == [whole.train.name(i) for i in range(6) if i != 4]
    assert index.fingerprint != whole.fingerprint
    listed.write_text("train/b/002.JPEG\n")
    with pytest.raises(ValueError, match=r"b/001.JPEG \(not an image\); replace .* data.check"):
        load_index(folder, listed)
    listed.write_text("train/c/999.JPEG\n")
    with pytest.raises(ValueError, match="none of its files is in the data set"):
        load_index(folder, listed)
    listed.write_text("b/002.JPEG\n")
    with pytest.raises(ValueError, match=r"bad.txt:1: should be train/<class>/<file>"):
        load_index(folder, listed)
    with pytest.raises(ValueError, match="data.exclude: .*nowhere: cannot be read"):
        load_index(folder, tmp_path / "nowhere")


def scan_and_count(root, calls, results):
    real = data.store.folders.scan

    def scan(folder):
        calls.put(os.getpid())
        time.sleep(0.5)
        return real(folder)

    data.store.folders.scan = scan
    results.put(read_index(root).fingerprint)


def test_eight_processes_that_start_at_once_scan_once(folder):
    context = multiprocessing.get_context("fork")
    calls, results = context.Queue(), context.Queue()
    processes = [
        context.Process(target=scan_and_count, args=(folder, calls, results)) for _ in range(8)
    ]
    for process in processes:
        process.start()
    fingerprints = {results.get(timeout=60) for _ in processes}
    for process in processes:
        process.join()
    assert fingerprints == {load_index(folder).fingerprint}
    assert calls.get(timeout=5)
    assert calls.empty()


def test_a_decompression_bomb_is_refused_by_its_header(folder):
    Image.new("1", (10_001, 10_000)).save(folder / "train" / "a" / "bomb.png")
    assert "bomb.png (10001 x 10000 px are more than 100 megapixels)" in refused(folder)


def test_odd_names_and_links(folder, tmp_path):
    write_images(tmp_path / "elsewhere", [(50, 40)] * 2, seed=5)
    for split in ("train", "val"):
        (folder / split / "a").rename(folder / split / "with spaces é 猫")
        (folder / split / "linked class").symlink_to(tmp_path / "elsewhere")
    odd = folder / "train" / "b" / "naïve \udcff name.JPEG"  # a byte that is no UTF-8
    shutil.copy(folder / "train" / "b" / "000.JPEG", odd)
    (folder / "train" / "b" / "link.JPEG").symlink_to(tmp_path / "elsewhere" / "000.JPEG")
    index = load_index(folder)
    assert index.classes == ("b", "linked class", "with spaces é 猫")
    theirs = ImageFolder(folder / "train")
    assert [index.train.name(i) for i in range(len(theirs))] == [p for p, _ in theirs.samples]
    for sample, (path, _) in enumerate(theirs.samples):
        with open(path, "rb") as file:
            assert index.train.read(sample) == file.read()
    (folder / "val" / "b" / "dangling.JPEG").symlink_to("nowhere")
    assert "dangling.JPEG (No such file or directory)" in refused(folder)


def test_excluding_is_as_if_the_file_were_not_there(folder, tmp_path):
    before = load_index(folder).fingerprint
    long = folder / "train" / "a" / "with a name longer than any other.JPEG"
    shutil.copy(folder / "train" / "a" / "000.JPEG", long)
    (tmp_path / "bad.txt").write_text(f"train/a/{long.name}\n")
    assert load_index(folder, tmp_path / "bad.txt").fingerprint == before
