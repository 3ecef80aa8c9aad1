"""Many runs from one file: start the missing ones, one after the other, or say how they stand.

    python -m launch.sweep configs/sweeps/tables_2_3.yaml data.root=/imagenet
    python -m launch.sweep configs/sweeps/tables_2_3.yaml --status

A sweep file lists `configs` (paths relative to it), a `grid` of dotted keys with their values, and
`nproc_per_node`. Every combination is one run. Finished runs are skipped, interrupted ones resumed.
"""

import argparse
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

from foundation.errors import UserError, run_command
from launch.expand import PlannedRun, expand
from launch.standing import standing


class _Terminated(Exception):
    """This process was sent SIGTERM."""


def _raise_terminated(*_: object) -> None:
    raise _Terminated


def run_here(runs: list[PlannedRun], processes: int) -> None:
    """Do the unfinished runs one after the other on this machine.

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
            _do(run.command(processes), environment)
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


def _do(command: list[str], environment: dict[str, str]) -> None:
    """Run a command to its end; exit when told to stop."""
    process = subprocess.Popen(command, env=environment)
    try:
        process.wait()
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


def show_status(runs: list[PlannedRun]) -> None:
    """Print one line a run, and how many are finished."""
    finished = 0
    for run in runs:
        known = standing(run)
        progress = f"{known.epochs}/{run.config.train.epochs} epochs"
        if known.state == "finished":
            finished += 1
            print(f"{run.directory.path}  finished  {progress}  {known.reason}")
        elif known.state == "another recipe":
            print(f"{run.directory.path}  {known}")
        else:
            print(f"{run.directory.path}  {known}  {progress}")
    print(f"{finished} of {len(runs)} runs finished")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m launch.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sweep", type=Path, help="for example configs/sweeps/tables_2_3.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="for all runs")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--status", action="store_true", help="how each run stands")
    action.add_argument("--dry-run", action="store_true", help="print the commands")
    action.add_argument("--submit", choices=("local",), default="local", help="where to run")
    parser.add_argument("--nproc-per-node", type=int, help="instead of the sweep file's")
    arguments = parser.parse_intermixed_args()
    runs, processes = expand(arguments.sweep, arguments.overrides)
    if arguments.nproc_per_node is not None:
        processes = arguments.nproc_per_node
        if processes < 1:
            raise UserError(f"--nproc-per-node {processes}: expected a positive number")
    if arguments.status:
        show_status(runs)
    elif arguments.dry_run:
        for run in runs:
            print(shlex.join(run.command(processes)))
    else:
        try:
            run_here(runs, processes)
        except BrokenPipeError:  # quietly, but it is not done
            sys.exit(1)


if __name__ == "__main__":
    run_command(main)
