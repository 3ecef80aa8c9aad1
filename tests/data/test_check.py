"""data.check as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from PIL import Image

import data.check
from data.index import load_index
from foundation.errors import run_command
from tests.conftest import ROOT, heed_ctrl_c, write_images
from tests.data.test_data import every_batch


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


def test_a_file_replaced_in_place_is_named(folder, tmp_path, main_of):
    load_index(folder)
    write_images(folder / "val" / "b", [(40, 40)], seed=7)  # of the same size
    code, out, _ = main_of(data.check.main, folder, "--out", tmp_path / "bad.txt", "--workers", 1)
    assert code == 1
    assert "val/b/000.JPEG: was replaced since it was indexed; run data.index --again" in out
    for backend in ("torchvision", "dali"):
        with pytest.raises(ValueError, match="val/b/000.JPEG: is .* bytes long, was .* --again"):
            every_batch(folder, backend, 0, 1, "val", "model.num_classes=2", classes=2)


def test_a_list_is_overwritten_only_by_its_own_data_set(bad_folder, tmp_path, main_of):
    listed = tmp_path / "bad.txt"
    arguments = [bad_folder, "--out", listed, "--workers", 1]
    for _ in range(2):
        assert main_of(data.check.main, *arguments)[0] == 1
    for split, images in load_index(bad_folder, listed).splits.items():
        for file in (bad_folder / split).rglob("*"):
            if file.is_file() and os.fsencode(file.relative_to(bad_folder / split)) not in set(
                images.paths.tolist()
            ):
                file.unlink()
    code, out, _ = main_of(data.check.main, *arguments)
    assert code == 0
    assert f"{listed} is of an earlier check: delete it" in out
    bad_folder.rename(tmp_path / "other")
    arguments[0] = tmp_path / "other"
    for text in (listed.read_text(), "my notes"):
        listed.write_text(text)
        code, _, err = main_of(lambda: run_command(data.check.main), *arguments)
        assert code == 2
        assert f"{listed}: is not the list of {tmp_path / 'other'}; choose another file" in err
        assert listed.read_text() == text


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
    progress = tmp_path / f"bad.txt.{load_index(tmp_path / 'set').fingerprint}.progress"
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
