"""A start that is killed, or meets a full disk, at any file operation is begun again."""

import json
import os
import subprocess
import sys

import pytest

from tests.conftest import ROOT, TINY

QUICK = [*TINY, "model.arch=resnet18", "data.backend=synthetic", "data.synthetic_size=[12, 6]"]
QUICK += ["train.epochs=1"]

# Calls train.py in children of one process, which has paid for the imports. An audit hook sees
# every file operation before it is done: child n is killed, or told that the disk is full, at the
# n-th one in its run.root. Then the same command is given again until it begins to train.
HARNESS = """
import errno, json, os, sys
import commands.train_run, train

root, fault, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
OPERATIONS = {"open", "os.mkdir", "os.rename", "os.remove", "os.link", "os.truncate"}

def begin_to_train(*_):
    os._exit(0)  # the start-up is over

def start(place, fail_at):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    seen = 0
    def hook(event, details):
        nonlocal seen
        if event not in OPERATIONS or not str(details[0]).startswith(place):
            return
        if event == "open" and not details[2] & (os.O_WRONLY | os.O_RDWR):
            return
        seen += 1
        if seen - 1 == fail_at or (fault == "full disk" and fail_at is not None and seen > fail_at):
            if fault == "kill":
                os._exit(77)
            if event != "os.remove":  # makes room
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if fail_at is not None:
        sys.addaudithook(hook)
    commands.train_run.fit = begin_to_train
    sys.argv = ["train.py", *arguments, f"run.root={place}"]
    try:
        train.main()
    except SystemExit as end:
        os._exit(end.code)
    except BaseException as error:
        print(f"TRACEBACK {error!r}", file=sys.stderr)
    os._exit(99)

results = []
for number in range(100):
    place = f"{root}/{number}"
    first = start(place, number)
    results.append([first, start(place, None) if first else None])
    if first == 0:
        break
print(json.dumps(results))
"""


@pytest.mark.parametrize(("fault", "code"), [("kill", 77), ("full disk", 2)])
def test_a_start_cut_off_anywhere_is_begun_again(tmp_path, fault, code):
    done = subprocess.run(
        [sys.executable, "-c", HARNESS, tmp_path, fault, "configs/resnet50.yaml", *QUICK],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "TRACEBACK" not in done.stderr
    *cut, whole = json.loads(done.stdout.splitlines()[-1])
    assert whole == [0, None]
    assert len(cut) > 10  # the folders, the lock, and every file written there and renamed
    assert cut == [[code, 0]] * len(cut)
    if fault == "full disk":
        errors = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
        assert len(errors) == len(cut)
        assert all("No space left on device" in line for line in errors)
    for run in tmp_path.glob("*/*"):
        hidden = {path.name for path in run.rglob(".*")}
        assert hidden == {".lock"}, run


def test_a_disk_that_is_full_is_one_line_and_then_the_same_command_works(tmp_path):
    tiny = ["unshare", "--map-root-user", "--mount", "sh", "-ec"]
    mount = f"mount -t tmpfs -o size=4k,nr_inodes=100 tmpfs {tmp_path}"
    if subprocess.run([*tiny, mount], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    line = [sys.executable, "train.py", "configs/resnet50.yaml", *QUICK, f"run.root={tmp_path}"]
    # One block, first taken, then free: config.yaml takes it, and environment.json is too much.
    steps = f"""
        {mount}
        echo x > {tmp_path}/filler
        "$@" && exit 3 || test $? = 2
        rm {tmp_path}/filler
        "$@" && exit 4 || test $? = 2
        mount -o remount,size=1g {tmp_path}
        "$@"
        find {tmp_path} -name '.*.[0-9]*'
    """
    done = subprocess.run([*tiny, steps, "sh", *line], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    refused = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(refused) == 2
    assert all("No space left on device" in line for line in refused)
    assert done.stdout.splitlines()[-1].startswith(
        f"{tmp_path}/resnet18_zero_seed1: finished, best"
    )
