"""Faults in the middle of things: the file is named, nothing hangs, no process is left behind."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from configs.load import load
from data.build import build_loaders
from data.index import load_index
from tests.conftest import ROOT, TINY, heed_ctrl_c, write_images

BACKENDS = ["torchvision", "dali"]
WORKERS = [("torchvision", 0), ("torchvision", 1), ("dali", 2)]


def val_loader(root, backend, workers=0, settings=()):
    own = [*TINY, f"data.root={root}", f"data.backend={backend}", f"data.workers={workers}"]
    data = load(ROOT / "configs/resnet50.yaml", [*own, "model.num_classes=2", *settings]).data
    return build_loaders(data, 2, 0, (0, 1), torch.device("cpu"), False).val


@pytest.mark.parametrize(
    ("backend", "workers"), [("torchvision", 0), ("torchvision", 1), ("dali", 2)]
)
def test_files_that_change_after_indexing_are_named(folder, backend, workers):
    val = val_loader(folder, backend, workers)
    assert len(list(val)) == 1
    file = folder / "val" / "a" / "001.JPEG"
    good = file.read_bytes()
    undecodable = r"cannot be decoded \(.*\); mend it, or run"
    damages = [
        (lambda: file.write_bytes(good[: len(good) // 2]), undecodable),
        (lambda: file.write_text("text"), undecodable),
        (lambda: Image.new("RGB", (41, 40)).save(file), "is 41 x 40 px, was 40 x 40 when"),
        (file.unlink, r"cannot be read \(No such file or directory\); mend it, or run"),
    ]
    for damage, message in damages:
        damage()
        with pytest.raises(ValueError, match=f"^{file}: {message}") as caught:
            list(val)
        assert " object at 0x" not in str(caught.value)
        assert f" {folder}" in str(caught.value)  # the command that helps, as it is to be typed
        file.write_bytes(good)
        assert len(list(val)) == 1


def test_a_file_without_rights_is_named():
    """Root may read everything: the rights of another user, where these tests are root's."""
    root = Path(tempfile.mkdtemp())
    try:
        for split in ("train", "val"):
            for label in ("a", "b"):
                write_images(root / split / label, [(40, 40)], seed=1)
        for place in (root, *root.rglob("*")):
            place.chmod(0o755)
        loaders = {backend: val_loader(root, backend) for backend in BACKENDS}
        file = root / "val" / "b" / "000.JPEG"
        file.chmod(0)
        user = os.geteuid()
        try:
            if user == 0:
                os.seteuid(65534)
            for val in loaders.values():
                with pytest.raises(
                    ValueError, match=rf"^{file}: cannot be read \(Permission denied\)"
                ):
                    list(val)
            (root / "val" / "a").stat()
        finally:
            os.seteuid(user)
    finally:
        shutil.rmtree(root)


def test_a_full_shared_memory_is_said_before_the_workers_start(folder, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ValueError, match=r"/dev/shm has 0 MiB left.*--shm-size.*data.backend=dali"):
        val_loader(folder, "torchvision", workers=2)
    assert len(list(val_loader(folder, "torchvision", workers=0))) == 1
    assert len(list(val_loader(folder, "dali", workers=2))) == 1


def test_a_shared_memory_that_is_mounted_tiny(images, tmp_path):
    tiny = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    mount = "mount -t tmpfs -o size=64k tmpfs /dev/shm"
    if subprocess.run([*tiny, mount], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    line = [sys.executable, "train.py", "configs/resnet50.yaml", *TINY, f"data.root={images}"]
    line += [f"run.root={tmp_path}", "data.workers=2", "train.epochs=1"]
    refused, done = (
        subprocess.run(
            [*tiny, f'{mount}; exec "$@"', "sh", *line, f"data.backend={backend}"],
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        for backend in ("torchvision", "dali")
    )
    assert refused.returncode == 2
    assert "error: /dev/shm has 0 MiB left, the loader's workers need" in refused.stderr
    assert done.returncode == 0, done.stderr


def test_a_killed_worker_ends_the_iteration(folder):
    val = val_loader(folder, "torchvision", workers=1)
    iterator = iter(val)
    next(iterator)
    [worker] = val._loader._iterator._workers
    os.kill(worker.pid, signal.SIGKILL)
    with pytest.raises(ValueError, match=r"a loader worker was killed .*data.workers"):
        list(val)


@pytest.mark.parametrize(("backend", "workers"), [("torchvision", 2), ("dali", 2)])
def test_ctrl_c_in_the_middle_of_an_epoch(images, tmp_path, backend, workers):
    line = [sys.executable, "train.py", "configs/resnet50.yaml", *TINY, f"data.root={images}"]
    line += [f"run.root={tmp_path}", f"data.backend={backend}", f"data.workers={workers}"]
    started = subprocess.Popen(
        [*line, "train.epochs=1000"],
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=heed_ctrl_c,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    log = tmp_path / "resnet50_zero_seed1" / "metrics.jsonl"
    deadline = time.time() + 120
    while not (log.is_file() and log.read_text()) and time.time() < deadline:
        assert started.poll() is None, started.stderr.read()
        time.sleep(0.2)
    os.killpg(started.pid, signal.SIGINT)  # a terminal signals the whole group
    _, errors = started.communicate(timeout=60)
    assert '"interrupted"' in (log.parent / "status.json").read_text(), errors
    with pytest.raises(ProcessLookupError):  # nobody of the group is left
        os.killpg(started.pid, 0)


def test_an_iteration_that_is_left_leaves_no_thread(images):
    settings = [*TINY, f"data.root={images}", "data.backend=dali", "data.global_batch_size=2"]
    data = load(ROOT / "configs/resnet50.yaml", settings).data
    before = threading.active_count()
    for _ in range(3):
        train = build_loaders(data, 3, 0, (0, 1), torch.device("cpu"), False).train
        next(iter(train))
    assert threading.active_count() <= before


def test_a_file_that_is_gone_without_a_trace(folder):
    """A folder that has lost a file is scanned again, also where its time was set back."""
    index = load_index(folder)
    times = (folder / "val" / "a").stat()
    (folder / "val" / "a" / "000.JPEG").unlink()
    os.utime(folder / "val" / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert len(load_index(folder).val) == len(index.val) - 1
    assert len(list(val_loader(folder, "torchvision"))) == 1
