"""The runs of a sweep on this machine, one after the other."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from foundation.errors import UserError
from launch.expand import PlannedRun
from launch.standing import standing


class _Terminated(Exception):
    """This process was sent SIGTERM."""


def _raise_terminated(*_: object) -> None:
    raise _Terminated


def run_here(runs: list[PlannedRun], processes: int, retries: int = 0) -> None:
    """Do the unfinished runs one after the other on this machine.

    One that fails is tried again up to `retries` times, and then left; the others are done.

    Exits with code 1 when some did not finish; the others were done all the same.

    Raises:
        UserError: the images are missing, or another recipe's runs are in the place of these;
            nothing was started.
    """
    _check_places(runs)
    signal.signal(signal.SIGTERM, _raise_terminated)
    # A shell's background job begins with SIGINT ignored. torchrun heeds it all the same, and its
    # end must not be taken for a reason to start the next run.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Without a number torchrun sets one thread a process, and says so at length.
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    environment = {"OMP_NUM_THREADS": threads} | os.environ
    for number, run in enumerate(runs, start=1):
        title = f"[{number}/{len(runs)}] {run.directory.path}"
        state = standing(run).state
        if state == "finished":
            print(f"{title}: finished already", flush=True)
        elif state == "running":
            print(f"{title}: another command is training it", flush=True)
        else:
            print(title, flush=True)
            _try(run, title, run.command(processes), environment, retries)
    _conclude(runs)


def _check_places(runs: list[PlannedRun]) -> None:
    """Find what is wrong for a whole sweep before any of it begins."""
    found = [(run, standing(run)) for run in runs]
    others = [
        f"{run.directory.path} ({known.reason})"
        for run, known in found
        if known.state == "another recipe"
    ]
    if others:
        raise UserError(
            f"runs of another recipe are in the place of {len(others)} of this sweep's; "
            f"give it another run.root: {'; '.join(others)}"
        )
    missing = [run.config.data for run, known in found if known.state != "finished"]
    for root in {data.root for data in missing if data.backend != "synthetic"}:
        folders = (Path(root) / split for split in ("train", "val"))
        if not (Path(root) / "shards.json").is_file() and not all(map(os.path.isdir, folders)):
            raise UserError(
                f"{root}: has no train/ and val/; set data.root to your image folder or shards"
            )


def _try(
    run: PlannedRun, title: str, command: list[str], environment: dict[str, str], retries: int
) -> None:
    """Do a run; where it fails, again, but not where somebody has asked for its end."""
    for left in range(retries, -1, -1):
        known = standing(run) if _do(command, environment) else None
        if not left or known is None or known.state == "interrupted":
            return
        print(f"{title}: {known}; trying again ({left} left)", file=sys.stderr, flush=True)


def _do(command: list[str], environment: dict[str, str]) -> int:
    """Run a command to its end and return its exit code; exit when told to stop."""
    process = subprocess.Popen(command, env=environment)
    try:
        return process.wait()
    except (KeyboardInterrupt, _Terminated) as stop:
        print("stopping: waiting for the run to end", file=sys.stderr, flush=True)
        if isinstance(stop, _Terminated):
            process.terminate()  # Ctrl-C reaches torchrun by itself
        process.wait()
        print("stopped; the same command goes on where it was", file=sys.stderr)
        sys.exit(1)


def _conclude(runs: list[PlannedRun]) -> None:
    """Say what is not finished, whoever did the rest; exit with 1 where somebody has to look."""
    left = [(run, standing(run)) for run in runs]
    # Another sweep's, which will finish it or say so itself.
    elsewhere = [str(run.directory.path) for run, known in left if known.state == "running"]
    if elsewhere:
        print(f"{len(elsewhere)} runs are trained by another command: {', '.join(elsewhere)}")
    failed = [
        f"{run.directory.path} ({known})"
        for run, known in left
        if known.state not in ("finished", "running")
    ]
    if failed:
        print(f"{len(failed)} runs did not finish: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)
