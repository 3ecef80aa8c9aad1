"""A real Slurm on this machine: one node on loopback, its daemons started by hand."""

import os
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import free_port

DAEMONS = ("munged", "slurmctld", "slurmd")
SBIN = f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/sbin"

CONF = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmdPort={port1}
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CryptoType=crypto/munge
SlurmUser=root
SlurmdUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SlurmdParameters=config_overrides
ReturnToService=2
KillWait=120
MpiDefault=none
SchedulerParameters=sched_interval=3,bf_interval=3
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 State=UNKNOWN
PartitionName=low Nodes={host} Default=YES State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=high Nodes={host} State=UP PriorityTier=10 PreemptMode=OFF
"""


def missing():
    """Return why there can be no cluster here, '' if there can."""
    gone = [name for name in (*DAEMONS, "sbatch") if not shutil.which(name, path=SBIN)]
    if gone:
        return f"{', '.join(gone)}: not installed (apt-get install slurm-wlm munge)"
    return "" if os.geteuid() == 0 else "Slurm's daemons need root"


class NoCluster(Exception):
    """Slurm is installed, but its daemons do not get on here."""


class Cluster:
    """The running cluster."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def start(self, daemon, *options):
        subprocess.run([shutil.which(daemon, path=SBIN), *options], check=True)

    def wait_for_node(self):
        """Wait until jobs could begin; say what stands against it otherwise."""
        deadline = time.monotonic() + 60
        while True:
            told = subprocess.run(
                ["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True
            )
            if "idle" in told.stdout:
                return
            if time.monotonic() > deadline:
                raise NoCluster(f"{told.stdout}{told.stderr}\n{self.story()}")
            time.sleep(0.5)

    def stop(self, pid_file):
        file = self.folder / pid_file
        if not file.exists():  # it did not get so far
            return
        pid = int(file.read_text())
        os.kill(pid, 15)
        deadline = time.monotonic() + 30
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.1)

    def restart_controller(self):
        self.stop("slurmctld.pid")
        self.start("slurmctld")

    def ask(self, *command):
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def jobs(self):
        """Return {(job name, array index): (state, job id as commands take it)}."""
        form = "%j|%K|%T|%F"
        lines = self.ask("squeue", "--noheader", "--array", f"--format={form}").splitlines()
        found = {}
        for name, index, state, array in (line.strip().split("|") for line in lines):
            found[name, index] = (state, array if index == "N/A" else f"{array}_{index}")
        return found

    def hurry(self):
        """Begin at once what was requeued, for which Slurm takes two minutes otherwise."""
        told = self.ask("squeue", "--noheader", "--array", "--format=%r|%F_%K").splitlines()
        for reason, job in (line.strip().split("|") for line in told):
            if reason == "BeginTime":
                update = ["scontrol", "update", f"JobId={job}", "StartTime=now"]
                subprocess.run(update, capture_output=True)  # it may have begun meanwhile

    def wait(self, condition, what, seconds=400):
        """Wait for a condition; what is requeued need not wait."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not happen\n{self.story()}"
            self.hurry()
            time.sleep(0.5)

    def story(self):
        """Return what may explain a failure."""
        logs = [*self.folder.rglob("*.log")]
        return "\n".join(f"--- {log}\n{log.read_text()[-3000:]}" for log in logs)


@contextmanager
def cluster(folder):
    """Run a cluster whose files lie in `folder`; SLURM_CONF names it while it runs."""
    host = os.uname().nodename.split(".")[0]
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(parents=True)
    os.chmod(folder, 0o755)
    key = folder / "munge" / "key"
    key.write_bytes(os.urandom(64))
    key.chmod(0o600)
    conf = folder / "slurm.conf"
    conf.write_text(CONF.format(host=host, folder=folder, port=free_port(), port1=free_port()))
    os.environ["SLURM_CONF"] = str(conf)
    here = Cluster(folder)
    munge = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed"}
    munge["log-file"] = "munged.log"
    options = [f"--{option}={folder}/munge/{name}" for option, name in munge.items()]
    started = []
    try:
        for daemon, words in (("munged", ["--force", *options]), ("slurmctld", []), ("slurmd", [])):
            here.start(daemon, *words)
            started.append(daemon)
        here.wait_for_node()
        yield here
    finally:
        subprocess.run(["scancel", "--user=root"], capture_output=True)
        files = {"munged": "munge/pid", "slurmctld": "slurmctld.pid", "slurmd": "slurmd.pid"}
        for daemon in reversed(started):
            here.stop(files[daemon])
        del os.environ["SLURM_CONF"]
