"""Works as one job array of Slurm, and what Slurm says of them."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from foundation.errors import UserError
from foundation.files import read_json, write_json
from launch.ledger import Job
from launch.work import ROOT, Work

SBATCH_FILE = Path(__file__).with_name("slurm.sbatch")


@dataclass(frozen=True)
class Resources:
    """What each element of the array asks for; None: the cluster's default."""

    nodes: int
    gpus: int  # a node; 0: none
    cpus: int  # a node
    partition: str | None
    account: str | None
    time_limit: str | None
    at_once: int | None
    more: tuple[str, ...]  # options of sbatch
    file: Path

    def options(self) -> list[str]:
        """Return them as options of sbatch."""
        asked = {
            "--nodes": self.nodes,
            "--gpus-per-node": self.gpus or None,
            "--cpus-per-task": self.cpus,
            "--partition": self.partition,
            "--account": self.account,
            "--time": self.time_limit,
        }
        return [f"{k}={v}" for k, v in asked.items() if v is not None] + list(self.more)


def sbatch_command(folder: Path, works: int, processes: int, resources: Resources) -> list[str]:
    """Return the command that submits what a folder's submission.json holds.

    Args:
        folder: of the submission, for its logs, too.
        works: in it.
        processes: of each on each node.
        resources: for each.
    """
    at_once = "" if resources.at_once is None else f"%{resources.at_once}"
    return [
        "sbatch",
        "--parsable",
        f"--array=0-{works - 1}{at_once}",
        f"--job-name={folder.name}",
        f"--output={folder}/%A_%a.log",
        *resources.options(),
        str(resources.file),
        *(str(folder / "submission.json"), sys.executable, str(ROOT), str(processes)),
    ]


def new_folder(launch: Path, name: str) -> Path:
    """Return the folder of a submission to be, below a sweep's launch folder."""
    return launch / "slurm" / f"{name}-{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"


def write_submission(folder: Path, works: Sequence[Work], facts: dict[str, Any]) -> None:
    """Write what the elements of an array are to do."""
    folder.mkdir(parents=True)
    content = facts | {"works": [work.content() for work in works]}
    write_json(folder / "submission.json", content)


def submit(folder: Path, command: list[str]) -> str:
    """Submit by `sbatch_command` what a folder holds; return the array's job id.

    Raises:
        UserError: sbatch is missing, or refuses; nothing was submitted, and the folder is gone.
    """
    try:
        return _answer(command).strip()
    except UserError:
        (folder / "submission.json").unlink()
        folder.rmdir()
        raise


def load_works(submission: Path) -> tuple[list[Work], dict[str, Any]]:
    """Return a submission's works, and the facts that were given with them."""
    content = read_json(submission)
    works = [
        Work(
            w["name"],
            w["directory"],
            tuple(w["script"]),
            tuple(w["paddings"]),
            w.get("asked", {}),  # not in older versions' submissions
        )
        for w in content.pop("works")
    ]
    return works, content


def jobs(launch: Path) -> dict[tuple[str, tuple[str, ...]], Job]:
    """Return what Slurm has of all submissions below a sweep's launch folder.

    Args:
        launch: the sweep's launch folder.

    Returns:
        By run directory and paddings, of the latest submission that Slurm still knows; a job that
        it has forgotten has the state GONE. Empty where Slurm cannot be asked.
    """
    submissions = sorted(launch.glob("slurm/*/submission.json"))
    if not submissions:
        return {}
    form = "%j|%F|%K|%T|%r"  # name, array's job id, index, state, reason
    names = ",".join(file.parent.name for file in submissions)
    try:
        answer = _answer(["squeue", "--noheader", "--array", f"--name={names}", f"--format={form}"])
    except UserError:
        return {}
    known = {}
    for line in answer.splitlines():
        name, array, index, state, reason = line.strip().split("|", 4)
        known[name, index] = Job(f"{array}_{index}", state, reason)
    found: dict[tuple[str, tuple[str, ...]], Job] = {}
    for file in submissions:
        works, facts = load_works(file)
        for index, work in enumerate(works):
            job = known.get((file.parent.name, f"{index}"))
            key = (work.directory, work.paddings)
            if job is None and facts.get("shown"):  # perhaps nobody has submitted it
                continue
            if job or found.get(key, Job("", "GONE")).state == "GONE":
                found[key] = job or Job(file.parent.name, "GONE")
    return found


def requeue(array: str, index: str) -> None:
    """Let an element, this one, wait and begin again; Slurm ends it at once.

    By the array's id and the index: one element's own id is the array's, and would take all along.

    Raises:
        UserError: Slurm refuses.
    """
    _answer(["scontrol", "requeue", f"{array}_{index}"])


def is_preempted(job: str) -> bool:
    """Return whether Slurm is about to take a job's place from it, by its own word."""
    words = dict(
        word.split("=", 1)
        for word in _answer(["scontrol", "show", "job", "--oneliner", job]).split()
        if "=" in word
    )
    return words.get("PreemptTime", "None") not in ("None", "N/A")


def _answer(command: list[str]) -> str:
    """Return what a command of Slurm's prints."""
    try:
        done = subprocess.run(
            command, capture_output=True, encoding="utf-8", errors="replace", timeout=120
        )
    except FileNotFoundError:
        raise UserError(
            f"{command[0]}: not found; --submit slurm needs a machine on which Slurm's commands "
            f"work, a login node"
        ) from None
    except subprocess.TimeoutExpired:
        raise UserError(f"{command[0]}: no answer from Slurm's controller in 120 s") from None
    if done.returncode:
        told = " ".join(done.stderr.split()) or f"exit code {done.returncode}"
        raise UserError(f"{command[0]} refuses: {told}")
    return done.stdout
