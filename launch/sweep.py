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

from configs.errors import UserError, run_command
from launch.expand import PlannedRun, expand
from records import metrics_log
from records.run_dir import RunDir, read_json


class _Terminated(Exception):
    """This process was sent SIGTERM."""


def _raise_terminated(*_: object) -> None:
    raise _Terminated


def run_here(runs: list[PlannedRun], processes: int) -> None:
    """Do the unfinished runs one after the other on this machine.

    Exits with code 1 when some did not finish; the others were done all the same.

    Raises:
        UserError: the images are missing; nothing was started.
    """
    missing = [run.config.data for run in runs if not run.directory.is_finished()]
    for root in {data.root for data in missing if data.backend != "synthetic"}:
        if not all(os.path.isdir(Path(root) / split) for split in ("train", "val")):
            raise UserError(f"{root}: has no train/ and val/; set data.root to your image folder")
    signal.signal(signal.SIGTERM, _raise_terminated)
    # A shell's background job begins with SIGINT ignored. torchrun heeds it all the same, and its
    # end must not be taken for a reason to start the next run.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Without a number torchrun sets one thread a process, and says so at length.
    threads = str(max(1, (os.cpu_count() or 1) // processes))
    environment = {"OMP_NUM_THREADS": threads} | os.environ
    unfinished = []
    for number, run in enumerate(runs, start=1):
        title = f"[{number}/{len(runs)}] {run.directory.path}"
        if run.directory.is_finished():
            print(f"{title}: finished already", flush=True)
            continue
        print(title, flush=True)
        process = subprocess.Popen(run.command(processes), env=environment)
        try:
            process.wait()
        except (KeyboardInterrupt, _Terminated) as stop:
            print("stopping: waiting for the run to end", file=sys.stderr, flush=True)
            if isinstance(stop, _Terminated):
                process.terminate()  # Ctrl-C reaches torchrun by itself
            process.wait()
            print("stopped; the same command goes on where it was", file=sys.stderr)
            sys.exit(1)
        if not run.directory.is_finished():
            unfinished.append(f"{run.directory.path} ({_state(run.directory)})")
    if unfinished:
        print(f"{len(unfinished)} runs did not finish: {', '.join(unfinished)}", file=sys.stderr)
        sys.exit(1)


def show_status(runs: list[PlannedRun]) -> None:
    """Print one line a run, and how many are finished."""
    for run in runs:
        epochs = len(metrics_log.read(run.directory.metrics_file))
        result = ""
        if run.directory.is_finished():
            summary = read_json(run.directory.summary_file)
            result = f"best {summary['best']['val_top1']:.3f}"
            result += f"  last5_avg {summary['last5_avg']:.3f}"
        progress = f"{epochs}/{run.config.train.epochs} epochs"
        print(f"{run.directory.path}  {_state(run.directory)}  {progress}  {result}".rstrip())
    finished = sum(run.directory.is_finished() for run in runs)
    print(f"{finished} of {len(runs)} runs finished")


def _state(directory: RunDir) -> str:
    status = directory.status()
    reason = f": {status['reason']}" if status.get("reason") else ""
    return status.get("status", "not started") + reason


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
        run_here(runs, processes)


if __name__ == "__main__":
    run_command(main)
