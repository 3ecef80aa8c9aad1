"""Works in the places of a machine: real processes, none of which is torch."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from launch.attempts import Pool, Reports
from launch.notice import notify
from launch.places import Place
from launch.standing import Standing
from tests.conftest import ROOT

# Notes when it lives and where, sleeps, and finishes at the attempt that it is told.
PROGRAM = """
import json, os, sys, time
folder, succeeds_at = sys.argv[1], int(sys.argv[2])
attempts = len(os.listdir(folder))
began = time.time()
time.sleep(0.5)
record = [began, time.time(), os.environ.get("CUDA_VISIBLE_DEVICES")]
with open(os.path.join(folder, f"{attempts}.json"), "w") as file:
    json.dump(record, file)
print("attempt", attempts)
sys.exit(attempts + 1 < succeeds_at)
"""


@dataclass(frozen=True)
class Fake:
    """Stands for a training: its folder has a file an attempt."""

    directory: str
    succeeds_at: int
    paddings: tuple[str, ...] = ()

    @property
    def name(self):
        return Path(self.directory).name

    def command(self, processes):
        return [sys.executable, "-c", PROGRAM, self.directory, f"{self.succeeds_at}"]

    def standing(self):
        done = len(list(Path(self.directory).iterdir())) >= self.succeeds_at
        return Standing("finished") if done else Standing("failed", "too early")

    ended = standing


@pytest.fixture
def do(tmp_path):
    """Do fakes that succeed at these attempts; return what was said, what failed, and records."""

    def call(succeed_at, places, retries=0):
        works = []
        for number, attempt in enumerate(succeed_at):
            (tmp_path / f"run{number}").mkdir(exist_ok=True)
            works.append(Fake(str(tmp_path / f"run{number}"), attempt))
        said, failed = [], []
        reports = Reports(said.append, lambda _: None, lambda work, _: failed.append(work.name))
        assert not Pool(1, places, retries, tmp_path, reports).do(works)
        records = [[json.loads(f.read_text()) for f in Path(w.directory).iterdir()] for w in works]
        return said, failed, records

    return call


def test_places_are_full_and_never_shared(do):
    said, failed, records = do([1] * 7, [Place(("0", "1"), 1), Place(("2", "3"), 1)])
    assert not failed
    spans = [(began, ended, gpus) for [(began, ended, gpus)] in records]
    assert {gpus for _, _, gpus in spans} == {"0,1", "2,3"}
    for began, ended, gpus in spans:
        beside = [one for one in spans if one[0] < ended and one[1] > began]
        assert len([one for one in beside if one[2] == gpus]) == 1
    assert max(ended for _, ended, _ in spans) - min(began for began, _, _ in spans) < 7 * 0.5 * 0.9
    assert sum("begins on GPU" in line for line in said) == 7


def test_what_fails_is_tried_again_and_then_left(do, tmp_path):
    said, failed, records = do([1, 2, 3, 1], [Place((), 1)] * 2, retries=1)
    assert failed == ["run2"]
    assert [len(record) for record in records] == [1, 2, 2, 1]
    assert sum("trying again (1 left)" in line for line in said) == 2
    assert sum(line.endswith("; left") for line in said) == 1
    assert (tmp_path / "run1.log").read_text() == "attempt 0\nattempt 1\n"
    said, _, _ = do([1, 2, 3, 1], [Place((), 1)])
    assert [line.rpartition(": ")[2] for line in said if "finished already" in line] == [
        "finished already"
    ] * 3


def test_a_console_that_cannot_be_written_loses_no_work(do, tmp_path):
    (tmp_path / "run0.log").mkdir()
    said, failed, records = do([1, 1], [Place((), 1)])
    assert not failed
    assert [len(record) for record in records] == [1, 1]
    assert (
        f"{tmp_path / 'run0.log'}: cannot be written (Is a directory); the console is lost" in said
    )


def test_a_killed_command_takes_its_works_along(tmp_path):
    """SIGKILL leaves it no time to stop them, but they hear of it."""
    program = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from launch.places import Place
from launch.attempts import Pool, Reports
from tests.launch.test_attempts import Fake
class Sleeps(Fake):
    def command(self, processes):
        return ["sleep", "1000.0625"]
quiet = Reports(lambda _: None, lambda _: None, lambda *_: None)
Pool(1, [Place((), 1)], 0, None, quiet).do([Sleeps({str(tmp_path)!r}, 1)])
"""

    def sleepers():
        done = subprocess.run(["pgrep", "-f", "^sleep 1000.0625"], capture_output=True, text=True)
        return done.stdout.split()

    process = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while not sleepers():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    while sleepers():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_notices(tmp_path, capfd):
    notify(f"cat > {tmp_path}/line", "run failed", run='it\'s "1"\n', reason=None)
    [line] = (tmp_path / "line").read_text().splitlines()
    facts = json.loads(line)
    assert facts.pop("time").startswith("20")
    assert facts == {"event": "run failed", "run": 'it\'s "1"\n', "reason": None}
    notify(None, "run failed")
    notify("exit 3", "run failed")
    notify("cat /nowhere", "run failed")
    out, err = capfd.readouterr()
    assert out == ""
    assert "warning: --notify exit 3: exit code 3" in err
    assert "warning: --notify cat /nowhere: exit code 1" in err
