"""Evaluate the finished runs of a sweep under every padding (Tables 4 to 7), where that is missing.

    python -m launch.evaluate configs/sweeps/tables_2_3.yaml data.root=/imagenet
    python -m launch.evaluate configs/sweeps/tables_2_3.yaml --padding zero partial --submit slurm
    python -m launch.evaluate configs/sweeps/table_5.yaml data.root=/cityscapes --save-predictions

Give it the words that the sweep was given. What is there is skipped; of segmentation, what is there
with the eval.tile and eval.flip of the sweep.
"""

import argparse
import shlex
import sys
from pathlib import Path
from typing import get_args

from configs.fields import Padding
from configs.schema import EVALUATION_KEYS
from foundation.errors import UserError, run_command
from foundation.words import counted
from launch import options, slurm
from launch.ledger import ledger
from launch.local import do_here
from launch.places import places
from launch.work import Work, evaluation

_SCHEMES = get_args(Padding)


def main() -> None:
    """Run the command line."""
    arguments = _arguments()
    runs, processes = options.selected(arguments)
    if arguments.save_predictions and any(run.config.task != "segmentation" for run in runs):
        raise UserError(
            "--save-predictions is for segmentation, and the sweep has other runs; choose a part "
            "of it with --only task=segmentation, or leave the option out"
        )
    folder = options.launch_folder(runs)
    lines = ledger(runs)
    unfinished = sum(line.standing.state != "finished" for line in lines)
    if unfinished:
        print(f"{unfinished} of {len(runs)} runs are not finished, and left out", file=sys.stderr)
    words = [word for word in arguments.overrides if word.partition("=")[0] in EVALUATION_KEYS]
    whole = [
        evaluation(line.run, arguments.padding, words, arguments.save_predictions)
        for line in lines
        if line.standing.state == "finished"
    ]
    queued = {key for key, job in slurm.jobs(folder).items() if job.state != "GONE"}
    works = [
        work
        for work in whole
        if work.standing().state != "finished" and (work.directory, work.paddings) not in queued
    ]
    under = ", ".join(arguments.padding)
    print(f"{len(works)} of {len(whole)} finished runs to evaluate under {under}", file=sys.stderr)
    if works and arguments.submit == "slurm":
        place, command = options.prepare(works, runs, processes, arguments, "-evaluation")
        if arguments.dry_run:
            print(shlex.join(command))
            return
        job = slurm.submit(place, command)
        todo = counted(len(works), "evaluation")
        print(f"job array {job}: {todo}; their consoles: {place}/{job}_N.log")
    elif arguments.dry_run:
        for work in works:
            print(shlex.join(work.command(processes)))
    elif works:
        _do(works, processes, folder, arguments)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m launch.evaluate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_selection(parser)
    parser.add_argument(
        "--padding",
        nargs="+",
        choices=_SCHEMES,
        default=list(_SCHEMES),
        help="those to evaluate under (default: all four)",
    )
    parser.add_argument(
        "--save-predictions",
        action="store_true",
        help="segmentation: label images of every mode, too, as evaluate.py writes them",
    )
    parser.add_argument("--dry-run", action="store_true", help="the exact commands")
    options.add_launch(parser)
    return parser.parse_intermixed_args()


def _do(works: list[Work], processes: int, folder: Path, arguments: argparse.Namespace) -> None:
    here = places(processes, arguments.at_once)
    pool = (processes, here, arguments.retries)
    stopped = do_here(works, pool, folder, str(arguments.sweep), arguments.notify)
    if stopped:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        sys.exit(1)
    left = [(work, work.standing()) for work in works]
    failed = [f"{work.directory} ({known})" for work, known in left if known.state != "finished"]
    if failed:
        told = counted(len(failed), "run was not evaluated", "runs were not evaluated")
        raise UserError(f"{told}: {', '.join(failed)}")


if __name__ == "__main__":
    run_command(main)
