"""One command a run, also where the file system cannot tell."""

import errno
import fcntl
import json
import os
import re
import threading
import time

import pytest

from foundation.files import write_json
from records import claim
from records.errors import RunError
from records.run_dir import RunDir
from tests.records.test_records import config


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run that says that it is running, and beats fast."""
    monkeypatch.setattr(claim, "EVERY", 0.4)
    run = RunDir(tmp_path / "run")
    run.open_for(config())
    run.set_status("running")
    return run


@pytest.fixture
def no_locks(monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", refuse)


def sign(run, host):
    write_json(run.progress_file, {"host": host, "epoch": 1, "step": 2})


def beating(run, host):
    """Give signs of life until the returned event is set."""
    over = threading.Event()

    def beat():
        while not over.wait(0.2):
            sign(run, host)

    sign(run, host)
    threading.Thread(target=beat, daemon=True).start()
    return over


def test_another_host_that_lives(run):
    over = beating(run, "elsewhere")
    assert run.state() == {"status": "running"}
    with pytest.raises(RunError, match="another command is training this run"), run.lock():
        pass
    over.set()


def test_another_host_that_is_dead(run):
    sign(run, "elsewhere")
    with run.lock() as note:
        assert note == ""
        host, pid, since = json.loads((run.path / ".lock").read_text())
        assert (pid, since[:2]) == (os.getpid(), "20")
        with pytest.raises(RunError, match=re.escape(f"(process {pid} on {host}, since {since})")):
            RunDir(run.path).lock().__enter__()


def test_this_hosts_sign_of_life_says_less_than_its_lock(run, monkeypatch):
    monkeypatch.setattr(claim.socket, "gethostname", lambda: "here")
    sign(run, "here")
    began = time.monotonic()
    with run.lock():
        assert time.monotonic() - began < 0.3
    assert run.state()["status"] == "interrupted"


def test_a_file_system_without_locks(run, no_locks, monkeypatch):
    monkeypatch.setattr(claim.socket, "gethostname", lambda: "here")
    over = beating(run, "here")
    assert run.state() == {"status": "running"}
    with pytest.raises(RunError, match="another command is training this run"), run.lock():
        pass
    over.set()
    time.sleep(0.3)
    with run.lock() as note:
        assert "the file system has no locks (No locks available); of two commands" in note
