"""The places that a machine has for runs."""

import os

import pytest

from foundation.errors import UserError
from launch.places import places


@pytest.fixture
def gpus(tmp_path, monkeypatch):
    """Put a driver with so many GPUs on the machine."""

    def install(number):
        program = tmp_path / "nvidia-smi"
        lines = "\\n".join(map(str, range(number)))
        program.write_text(f"#!/bin/sh\nprintf '{lines}\\n'\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    return install


def test_gpus_are_shared_out(gpus, monkeypatch):
    gpus(8)
    assert [place.gpus for place in places(8)] == [tuple("01234567")]
    assert [place.gpus for place in places(4)] == [tuple("0123"), tuple("4567")]
    assert [place.gpus for place in places(3)] == [tuple("012"), tuple("345")]
    assert [place.gpus for place in places(2, at_once=2)] == [tuple("01"), tuple("23")]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-5a,2,7")
    assert [place.gpus for place in places(1)] == [("GPU-5a",), ("2",), ("7",)]
    assert places(1)[1].environment()["CUDA_VISIBLE_DEVICES"] == "2"


def test_more_processes_than_gpus_is_a_mistake(gpus):
    gpus(4)
    with pytest.raises(
        UserError, match="a run has 8 processes, one a GPU, and this machine 4 GPUs"
    ):
        places(8)


def test_cores_are_shared_out(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(16)))
    assert [(place.gpus, place.threads) for place in places(4)] == [((), 1)] * 4
    assert [place.threads for place in places(2, at_once=2)] == [4, 4]
    assert [place.threads for place in places(32)] == [1]  # on few cores, one after the other
    environment = places(2, at_once=1)[0].environment()
    assert environment["OMP_NUM_THREADS"] == "8"
    assert environment["CUDA_VISIBLE_DEVICES"] == ""
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert places(2)[0].environment()["OMP_NUM_THREADS"] == "3"
