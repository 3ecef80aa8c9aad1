"""Machines with limits, and files that are none: one clear line, or no trouble at all."""

import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from PIL import Image

import data.check
import data.digits
import data.index
import data.shard
from data.index import load_index, read_index
from data.store import headers, paths
from data.store.cache import CACHE_NAME
from data.store.excluded import read_excluded
from foundation.errors import run_command
from tests.conftest import ROOT, write_images
from tests.data.test_bad_data import val_loader

STRANGER = 54_321  # a user whom no machine knows


@pytest.fixture
def run(main_of):
    return lambda main, *arguments: main_of(lambda: run_command(main), *arguments)


@pytest.fixture
def public():
    """A data set that another user may read, and nobody else write."""
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    for split in ("train", "val"):
        for label in ("a", "b"):
            write_images(root / "set" / split / label, [(40, 40)] * 2, seed=1)
    yield root / "set"
    shutil.rmtree(root)


def as_stranger(module, *arguments, cwd):
    """Run a module where neither HOME nor the list of users tells a home folder."""
    kept = {k: v for k, v in os.environ.items() if k not in ("HOME", "XDG_CACHE_HOME", "USER")}
    code = (
        f"import os, runpy; os.getuid = lambda: {STRANGER}; runpy._run_module_as_main({module!r})"
    )
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd,
        env=kept | {"PYTHONPATH": str(ROOT), "LOGNAME": "", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )


def test_no_home_and_an_unknown_user(public, monkeypatch):
    done = as_stranger("data.index", "~/set", cwd=public.parent)
    assert done.returncode == 2
    assert done.stderr == "error: ~/set: this home folder is unknown; give the whole path\n"
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # nor may the data be written
    monkeypatch.setattr(os, "getuid", lambda: STRANGER)
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert len(load_index(public).train) == 4
    assert not (public / CACHE_NAME).exists()


@pytest.mark.parametrize("shut", [CACHE_NAME, f"{CACHE_NAME}.lock"])
def test_a_cache_that_may_not_be_read(public, monkeypatch, tmp_path, shut):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    fingerprint = read_index(public).fingerprint
    (public / shut).chmod(0)
    public.chmod(0o777)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(STRANGER)
        assert load_index(public).fingerprint == fingerprint
    finally:
        os.seteuid(user)


@pytest.fixture
def no_more_files():
    """Take all descriptors but a few away from this process."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken = []

    def take(left):
        highest = max(map(int, os.listdir("/proc/self/fd")))  # what other tests left open
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 50, before[1]))
        while True:
            try:
                taken.append(os.open("/dev/null", os.O_RDONLY))
            except OSError:
                break
        for _ in range(left):
            os.close(taken.pop())

    yield take
    for descriptor in taken:
        os.close(descriptor)
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize("left", [0, 1, 2, 3])
def test_few_file_descriptors_blame_no_image(folder, no_more_files, left):
    Image.init()
    no_more_files(left)
    try:
        index = load_index(folder)
        assert left  # without any nothing can be read
        assert (len(index.train), index.bad) == (6, {"train": {}, "val": {}})
    except ValueError as error:
        told = str(error)
        assert re.match(r"this process may have \d+ files open at a time", told)  # noqa: PT017
        assert "ulimit -n 4096" in told  # noqa: PT017
        assert "JPEG" not in told  # noqa: PT017


def test_an_image_that_cannot_be_opened_for_the_machines_sake(folder, no_more_files):
    index = load_index(folder)
    no_more_files(0)
    with pytest.raises(ValueError, match=r"^this process may have \d+ files open .*ulimit -n"):
        index.val.read(0)


@pytest.mark.parametrize(("backend", "workers"), [("torchvision", 1), ("dali", 1)])
def test_loaders_that_would_run_out_of_files_do_not_start(folder, no_more_files, backend, workers):
    if backend == "dali":
        pytest.importorskip("nvidia.dali")  # with files of its own to open
    load_index(folder)
    no_more_files(4)
    with pytest.raises(ValueError, match=r"^this process may have \d+ files open .*ulimit -n"):
        val_loader(folder, backend, workers)


def test_no_memory_for_headers(folder, monkeypatch):
    def no_memory(path):
        raise MemoryError

    monkeypatch.setattr(headers, "open_regular", no_memory)
    with pytest.raises(ValueError, match=r"^memory has run out"):
        load_index(folder)


def test_a_fifo_is_no_image(folder, tmp_path, run):
    """Nobody writes into it: whoever opened it would wait for ever."""
    fifo = folder / "train" / "a" / "pipe.JPEG"
    os.mkfifo(fifo)
    (folder / "val" / "a" / "device.JPEG").symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"pipe.JPEG \(is no regular file\).*device.JPEG \(is no"):
        load_index(folder)
    code, out, _ = run(data.check.main, folder, "--out", tmp_path / "bad.txt", "--workers", 1)
    assert code == 1
    assert "train/a/pipe.JPEG: is no regular file" in out
    fifo.unlink()
    (folder / "val" / "a" / "device.JPEG").unlink()
    for backend in ("torchvision", "dali"):
        loader = val_loader(folder, backend)
        file = folder / "val" / "a" / "000.JPEG"
        content = file.read_bytes()
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(ValueError, match=r"000.JPEG: cannot be read \(is no regular file\)"):
            list(loader)
        file.unlink()
        file.write_bytes(content)


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1), (3, 5_000)])
def test_an_image_of_extreme_aspect_is_refused_by_its_header(folder, tmp_path, run, size):
    Image.new("L", size).save(folder / "val" / "a" / "long.png")
    with pytest.raises(ValueError, match=r"long.png \(.* px are too narrow: more than 100 mega"):
        load_index(folder)
    listed = tmp_path / "bad.txt"
    code, out, _ = run(data.check.main, folder, "--out", listed, "--workers", 1)
    assert code == 1
    assert "long.png: " in out
    assert len(load_index(folder, listed).val) == 4


def test_an_image_that_becomes_too_large_at_this_evaluation_size(folder):
    Image.new("L", (10, 10_000)).save(folder / "val" / "a" / "long.png")
    assert len(load_index(folder).val) == 5  # 65 megapixels at 256
    with pytest.raises(ValueError, match=r"long.png: is too narrow: .* data.eval_resize=512"):
        val_loader(folder, "torchvision", settings=["data.eval_resize=512"])


def command_of(process):
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return b""


def test_a_killed_worker_of_data_check(tmp_path):
    for split, images in (("train", 800), ("val", 4)):
        write_images(tmp_path / "set" / split / "a", [(300, 200)] * images, seed=1)
    line = [sys.executable, "-m", "data.check", tmp_path / "set", "--workers", "2"]
    started = subprocess.Popen(
        [*line, "--out", tmp_path / "bad.txt"], cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    workers, deadline = [], time.time() + 60
    while not workers and time.time() < deadline:
        children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
        workers = [child for child in children if b"data.check" in command_of(child)]
        time.sleep(0.02)
    os.kill(int(workers[0]), signal.SIGKILL)
    _, errors = started.communicate(timeout=60)
    assert started.returncode == 2
    [line] = errors.splitlines()
    assert line.startswith("error: a worker was killed; if memory ran out, lower --workers;")


def test_places_that_cannot_be_written(folder, tmp_path, run):
    (tmp_path / "file").write_text("mine")
    for main, arguments, message in [
        (data.check.main, ["--out", tmp_path / "no" / "bad.txt"], f"{tmp_path}/no: there is no su"),
        (data.check.main, ["--out", tmp_path / "file" / "x"], "there is no such folder; create it"),
        (data.check.main, ["--out", tmp_path], "is not the list of"),
        (data.check.main, ["--out", "/proc/bad.txt"], "/proc"),
        (data.shard.main, [tmp_path / "file"], "holds something else; choose another folder"),
        (data.shard.main, [tmp_path / "file" / "x"], "cannot be written (Not a directory)"),
        (data.shard.main, ["/proc/nowhere"], "/proc/nowhere: cannot be written"),
    ]:
        code, _, err = run(main, folder, *arguments)
        assert (code, err.count("\n")) == (2, 1), err
        assert message in err
    for out in (tmp_path / "file" / "x", "/proc/nowhere"):
        code, _, err = run(data.digits.main, out)
        assert (code, err.count("\n")) == (2, 1), err
    assert (tmp_path / "file").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "set"]


ODD = ["tab\there", "line\nend", "carriage\rreturn", 'quote"', "back\\slash\\t", "#hash", "é\udcff"]


def test_tabs_and_line_ends_in_names(folder, tmp_path, run):
    content = (folder / "train" / "a" / "000.JPEG").read_bytes()
    for number, name in enumerate(ODD):
        bad = folder / "val" / "a" / f"{name}.JPEG"
        bad.write_bytes(b"text")
        (folder / "train" / "a" / f"{name}.JPEG").write_bytes(content)
        (folder / "train" / "b" / f"{name}{number}.JPEG").write_bytes(content[:-30])
    with pytest.raises(ValueError, match="no readable images") as caught:
        load_index(folder)
    assert not set("\n\r\t") & set(str(caught.value))
    listed = tmp_path / "bad.txt"
    code, out, err = run(data.check.main, folder, "--out", listed, "--workers", 1)
    assert code == 1, err
    assert f"{2 * len(ODD)} bad files" in out
    assert "val/a/tab\\there.JPEG" in out
    excluded = read_excluded(listed)
    assert sorted(excluded["val"]) == sorted(os.fsencode(f"a/{name}.JPEG") for name in ODD)
    index = load_index(folder, listed)
    assert (len(index.train), len(index.val)) == (6 + len(ODD), 4)
    data.shard.write_shards(index, tmp_path / "out", 100)
    shards = load_index(tmp_path / "out")
    assert shards.fingerprint == index.fingerprint
    assert shards.train.paths.tolist() == index.train.paths.tolist()


def test_older_lists_read_as_they_did(tmp_path):
    (tmp_path / "old.txt").write_bytes(
        b'# t\ntrain/a/back\\tslash.JPEG\twhy\r\nval/b/say "x".JPEG\ntrain/\xff/1.JPEG\tr\ts\n'
    )
    assert read_excluded(tmp_path / "old.txt") == {
        "train": [b"a/back\\tslash.JPEG", b"\xff/1.JPEG"],
        "val": [b'b/say "x".JPEG'],
    }
    for line in (b'"train/a', b'"train"', b'"nowhere/a/b"', b'"\\ud800"', b'["train/a/b"]', b"x"):
        (tmp_path / "bad.txt").write_bytes(line)
        with pytest.raises(ValueError, match=r"bad.txt:1: should be train/<class>/<file>"):
            read_excluded(tmp_path / "bad.txt")


def test_names_on_one_line():
    assert paths.printable("é 猫 a\tb\n\udcff\\") == "é 猫 a\\tb\\n\\udcff\\"
