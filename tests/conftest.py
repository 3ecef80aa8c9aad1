"""What several test files need: a small image folder, and commands as a user runs them."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parent.parent

# The smallest real run: ResNet-50 on 32-px images, in settings that every test may override.
TINY = [
    "model.num_classes=3",
    "data.image_size=32",
    "data.eval_resize=36",
    "data.global_batch_size=12",
    "data.backend=torchvision",
    "data.workers=0",
    "optim.lr=0.001",
    "train.epochs=2",
    "recipe.global_batch_size=12",
    "recipe.bn_batch_size=12",
]


def write_images(folder: Path, sizes: list[tuple[int, int]], seed: int) -> None:
    """Write smooth random JPEGs of the given (width, height)."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for number, size in enumerate(sizes):
        coarse = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize(size, Image.Resampling.BICUBIC).save(folder / f"{number:03}.JPEG", quality=90)


@pytest.fixture(scope="session")
def images(tmp_path_factory):
    """An image folder of 3 classes, 31 training and 17 validation images of odd sizes."""
    root = tmp_path_factory.mktemp("images")
    for label, (train, val) in enumerate([(11, 6), (10, 6), (10, 5)]):
        sizes = [(40 + 7 * i % 50, 38 + 11 * i % 41) for i in range(train)]
        write_images(root / "train" / f"class {label} é", sizes, seed=label)
        write_images(root / "val" / f"class {label} é", sizes[:val], seed=10 + label)
    return root


@pytest.fixture
def folder(tmp_path):
    """A data set of 6 + 4 images that a test may damage."""
    for label in ("a", "b"):
        write_images(tmp_path / "set" / "train" / label, [(40, 40)] * 3, seed=1)
        write_images(tmp_path / "set" / "val" / label, [(40, 40)] * 2, seed=2)
    return tmp_path / "set"


@pytest.fixture
def tiny(images, tmp_path):
    """The overrides of a tiny run whose results go to tmp_path/runs."""
    return [*TINY, f"data.root={images}", f"run.root={tmp_path / 'runs'}"]


@pytest.fixture(scope="session")
def command():
    """Run a command line of the project in a process of its own; `nproc` starts it by torchrun."""

    def run(script, *arguments, nproc=0, check=True):
        line = [sys.executable]
        if nproc:
            line += ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={nproc}"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [
                *line,
                *([script] if script.endswith(".py") else ["-m", script]),
                *map(str, arguments),
            ],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    return run


@pytest.fixture
def main_of(monkeypatch, capfd):
    """Call a script's main() in this process as its command line would; return (code, out, err)."""

    def call(main, *arguments):
        monkeypatch.setattr(sys, "argv", ["command", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as exit:
            code = exit.code
        return code, *capfd.readouterr()

    return call


def free_port() -> int:
    """Return a port of the loopback that nobody uses now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def heed_ctrl_c() -> None:
    """Undo, as a subprocess's preexec_fn, that shells let background jobs ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def rows_without_times(run: Path) -> list[dict]:
    """Return metrics.jsonl without what differs between two identical runs."""
    lines = (run / "metrics.jsonl").read_text().splitlines()
    times = {"seconds", "images_per_second", "data_wait", "teraflops", "peak_fraction"}
    return [{k: v for k, v in json.loads(line).items() if k not in times} for line in lines]
