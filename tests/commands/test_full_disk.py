"""A disk that is full in the middle of a run: one line, and with room again the very same run."""

import os
import subprocess
import sys

import pytest

from tests.commands.runs import CONFIG, NAME, SETTINGS, assert_same_run, finish
from tests.conftest import ROOT

# In a mount namespace of its own: a real file system of 1 GB, which $2 leaves without any room as
# soon as it is there. Then there is room again, and the same command goes on.
SCRIPT = """
    root=$1 file=$2; shift 2
    mount -t tmpfs -o size=1g tmpfs $root
    "$@" &
    while [ ! -e $root/$file ]; do
        kill -0 $! || exit 3
        sleep 0.05
    done
    dd if=/dev/zero of=$root/filler bs=64k 2> $root/dd.log || true
    truncate -s +1M $root/filler 2> /dev/null || true
    wait $! && exit 4 || test $? = 2
    rm $root/filler
    "$@"
    cp -r $root/* $root/../copy
"""


@pytest.fixture(scope="module")
def alone(images, tmp_path_factory):
    """The run of a single process that has room."""
    root = tmp_path_factory.mktemp("alone")
    finish(root, images, nproc=0)
    return root / NAME


@pytest.mark.parametrize(
    ("file", "interval"),
    [
        # before the first checkpoint
        pytest.param(f"{NAME}/progress.json", 1, marks=pytest.mark.slow),
        (f"{NAME}/checkpoints/last.pt", 1),
        pytest.param(f"{NAME}/checkpoints/previous.pt", 1, marks=pytest.mark.slow),
        pytest.param(f"{NAME}/checkpoints/epoch_000.pt", 0, marks=pytest.mark.slow),
    ],
    ids=["progress", "last", "previous", "epoch"],
)
def test_full_in_the_middle(alone, images, tmp_path, file, interval):
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run([*unshare, f"mount -t tmpfs tmpfs {disk}"], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    (tmp_path / "copy").mkdir()
    line = [sys.executable, "train.py", CONFIG, *SETTINGS, f"data.root={images}"]
    line += [f"run.root={disk}", f"train.checkpoint_steps={interval}"]
    done = subprocess.run(
        [*unshare, SCRIPT, "sh", disk, file, *line],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    [told] = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert told.startswith(f"error: {disk / NAME}/")
    assert "No space left on device" in told
    assert_same_run(tmp_path / "copy" / NAME, alone)
