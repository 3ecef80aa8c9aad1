"""A run of two nodes: two torchrun agents that meet by c10d, here on one machine."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.commands.runs import (
    CONFIG,
    NAME,
    SETTINGS,
    assert_all_gone,
    assert_same_run,
    kill_all,
    wait_for,
)
from tests.conftest import ROOT, free_port


def agent(root, images, endpoint, *options, inside=(), **environment):
    """Start one of the two agents."""
    words = [*SETTINGS, f"data.root={images}", f"run.root={root}"]
    meeting = ["--nnodes=2", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=run"]
    meeting += [f"--rdzv-endpoint={endpoint}", *options]
    return subprocess.Popen(
        [
            *inside,
            sys.executable,
            "-m",
            "torch.distributed.run",
            *meeting,
            "train.py",
            CONFIG,
            *words,
        ],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outcome(agents):
    return [(one.communicate(timeout=240)[0], one.returncode) for one in agents]


@pytest.fixture
def hosts():
    """Two network namespaces, each with an address of its own, joined by a cable."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        pytest.skip("network namespaces need root and iproute2")
    names = [f"pcpad{os.getpid()}{letter}" for letter in "ab"]
    cable = [f"p{os.getpid() % 100000}{letter}" for letter in "ab"]

    def ip(*words, check=True):
        return subprocess.run(["ip", *words], capture_output=True, check=check)

    if ip("netns", "add", names[0], check=False).returncode:
        pytest.skip("network namespaces are not allowed here")
    try:
        ip("netns", "add", names[1])
        ip("link", "add", cable[0], "type", "veth", "peer", "name", cable[1])
        for number, (name, end) in enumerate(zip(names, cable, strict=True), start=1):
            ip("link", "set", end, "netns", name)
            ip("-n", name, "address", "add", f"10.123.45.{number}/24", "dev", end)
            ip("-n", name, "link", "set", end, "up")
            ip("-n", name, "link", "set", "lo", "up")
        yield names, cable
    finally:
        for name in names:
            ip("netns", "delete", name, check=False)


@pytest.mark.slow
def test_two_hosts_find_each_others_network(straight, images, tmp_path, hosts):
    """Their name, which is this machine's, means the loopback: gloo would wait there for ever."""
    names, cable = hosts
    endpoint = f"10.123.45.1:{free_port()}"
    agents = [
        agent(
            tmp_path,
            images,
            endpoint,
            f"--local-addr=10.123.45.{number}",
            f"--rdzv-conf=is_host={number == 1}",  # which real hosts know by their names
            inside=["ip", "netns", "exec", name],
        )
        for number, name in enumerate(names, start=1)
    ]
    try:
        outcomes = outcome(agents)
    finally:
        kill_all(tmp_path)
    for (output, code), end, number in zip(outcomes, cable, (1, 2), strict=True):
        assert code == 0, output
        assert f"network {end} (10.123.45.{number})" in output
    assert_same_run(tmp_path / NAME, straight)


@pytest.mark.slow
def test_a_killed_agent_is_started_again_and_the_other_goes_on_with_it(straight, images, tmp_path):
    endpoint = f"127.0.0.1:{free_port()}"

    def start(is_host):
        options = ["--max-restarts=3", f"--rdzv-conf=is_host={is_host}"]
        once = {"TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}  # docs/training.md
        return agent(tmp_path, images, endpoint, *options, **once)

    first, second = start(True), start(False)
    try:
        wait_for(tmp_path / NAME / "checkpoints" / "last.pt", second)
        second.kill()
        second.communicate()
        outcomes = outcome([first, start(False)])
    finally:
        kill_all(tmp_path)
    assert [code for _, code in outcomes] == [0, 0], outcomes
    assert json.loads((tmp_path / NAME / "environment.json").read_text())["restarts"] >= 1
    assert_same_run(tmp_path / NAME, straight)
    assert_all_gone(tmp_path)
