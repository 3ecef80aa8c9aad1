"""Many runs from one file: start the missing ones, one after the other, or say how they stand.

    python -m launch.sweep configs/sweeps/tables_2_3.yaml data.root=/imagenet
    python -m launch.sweep configs/sweeps/tables_2_3.yaml --status
    python -m launch.sweep configs/sweeps/tables_2_3.yaml --only seed=1 --only model.arch=resnet50

A sweep file lists `configs` (paths relative to it), a `grid` of dotted keys with their values, and
`nproc_per_node`. Every combination is one run. Finished runs are skipped, interrupted ones resumed.
"""

import argparse
import shlex
import sys
from pathlib import Path

from foundation.errors import UserError, run_command
from launch.expand import PlannedRun, expand
from launch.local import run_here
from launch.selection import only, shard
from launch.standing import standing


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
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="key.sub=value",
        help="a part of the grid, for example seed=3; several: all of them, of one key any",
    )
    parser.add_argument("--shard", metavar="i/n", help="every n-th run, from the i-th on")
    parser.add_argument(
        "--retries", type=int, default=0, help="so many more times a run that fails is tried"
    )
    parser.add_argument("--nproc-per-node", type=int, help="instead of the sweep file's")
    arguments = parser.parse_intermixed_args()
    runs, processes = expand(arguments.sweep, arguments.overrides)
    runs = only(runs, arguments.only)
    if arguments.shard is not None:
        runs = shard(runs, arguments.shard)
    if arguments.retries < 0:
        raise UserError(f"--retries {arguments.retries}: expected 0 or more")
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
            run_here(runs, processes, arguments.retries)
        except BrokenPipeError:  # quietly, but it is not done
            sys.exit(1)


if __name__ == "__main__":
    run_command(main)
