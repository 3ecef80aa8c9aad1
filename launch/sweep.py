"""Many runs from one file: start what is missing, or say how they stand.

    python -m launch.sweep configs/sweeps/tables_2_3.yaml data.root=/imagenet
    python -m launch.sweep configs/sweeps/tables_2_3.yaml --only seed=1 --only model.arch=resnet50
    python -m launch.sweep configs/sweeps/tables_2_3.yaml --submit slurm --partition gpu
    python -m launch.sweep configs/sweeps/tables_2_3.yaml --status --watch

A sweep file lists `configs` (paths relative to it), a `grid` of dotted keys with their values, and
`nproc_per_node`, the processes of a run on a node, one a GPU; `exclude` leaves combinations out,
and `overrides` set other values where a condition holds. Every combination is one run. Finished
runs are skipped, interrupted ones resumed. docs/sweeps.md has the rest.
"""

import argparse
import json
import shlex
import sys
from collections.abc import Sequence
from typing import IO

from foundation.errors import run_command
from foundation.words import counted
from launch import options, screen, show, slurm
from launch.expand import PlannedRun
from launch.ledger import Line, ledger, record, totals
from launch.local import do_here
from launch.places import places
from launch.plan import check_places, plan_sums, plan_table
from launch.work import training


def main() -> None:
    """Run the command line."""
    arguments = _arguments()
    runs, processes = options.selected(arguments)
    if arguments.status or arguments.watch is not None or arguments.json:
        _status(runs, arguments)
        return
    lines = _ledger(runs, arguments.images_per_second)
    if arguments.dry_run:
        _dry_run(lines, processes, arguments)
        return
    check_places(lines, images_here=arguments.submit == "local")
    if arguments.submit == "slurm":
        _submit(lines, processes, arguments)
        return
    here = places(processes, arguments.at_once)
    _show_plan(lines, arguments, processes * len(here))
    try:
        stopped = do_here(
            [training(run) for run in runs],
            (processes, here, arguments.retries),
            options.launch_folder(runs),
            str(arguments.sweep),
            arguments.notify,
            lambda: _ledger(runs),
        )
        _conclude(runs, stopped)
    except BrokenPipeError:  # quietly, but it is not done
        sys.exit(1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m launch.sweep",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    options.add_selection(parser)
    group = parser.add_argument_group("instead of starting runs")
    group.add_argument("--status", action="store_true", help="how each run stands")
    group.add_argument("--json", action="store_true", help="the same, for programs")
    group.add_argument(
        "--watch",
        type=options.rate,
        nargs="?",
        const=5.0,
        metavar="SECONDS",
        help="the same again and again, until all are finished (default: every 5 s)",
    )
    group.add_argument("--dry-run", action="store_true", help="the plan, and the exact commands")
    parser.add_argument(
        "--images-per-second",
        type=options.rate,
        metavar="N",
        help="that one of your GPUs trains ResNet-50 with, for the plan before there are epochs",
    )
    options.add_launch(parser)
    return parser.parse_intermixed_args()


def _ledger(runs: Sequence[PlannedRun], stated: float | None = None) -> list[Line]:
    known = slurm.jobs(options.launch_folder(runs))
    jobs = {run.directory.path: known.get((str(run.directory.path), ())) for run in runs}
    return ledger(runs, stated, {path: job for path, job in jobs.items() if job})


def _status(runs: Sequence[PlannedRun], arguments: argparse.Namespace) -> None:
    """Show the ledger, once or until nothing is left to do."""
    title = str(arguments.sweep)

    def lines() -> list[Line]:
        return _ledger(runs, arguments.images_per_second)

    if arguments.json:
        now = lines()
        print(json.dumps({"runs": [record(line) for line in now], "totals": totals(now)}, indent=1))
    elif arguments.watch is None:
        screen.print_ledger(lines(), title)
    else:
        screen.watch(lines, title, arguments.watch)


def _show_plan(
    lines: Sequence[Line],
    arguments: argparse.Namespace,
    gpus: int | None,
    file: IO[str] | None = None,
) -> None:
    title = f"plan of {arguments.sweep}"
    screen.print_table(title, plan_table(lines), plan_sums(lines, gpus), file)


def _dry_run(lines: Sequence[Line], processes: int, arguments: argparse.Namespace) -> None:
    """Print the plan, and on standard output what can be pasted."""
    _show_plan(lines, arguments, None, sys.stderr)
    runs = [line.run for line in lines]
    if arguments.submit == "local":
        for run in runs:
            print(shlex.join(training(run).command(processes)))
        return
    todo = [line.run for line in _to_submit(lines)]
    if not todo:
        print("nothing to submit", file=sys.stderr)
        return
    works = [training(run) for run in todo]
    print(shlex.join(options.prepare(works, todo, processes, arguments)[1]))


def _to_submit(lines: Sequence[Line]) -> list[Line]:
    """Return the runs that neither are finished nor have a command or job that does them."""
    waiting = ("not started", "interrupted", "failed", "damaged")
    return [line for line in lines if line.standing.state in waiting]


def _submit(lines: Sequence[Line], processes: int, arguments: argparse.Namespace) -> None:
    """Submit what is missing as one job array."""
    todo = _to_submit(lines)
    if not todo:
        print(f"nothing to submit: {show.totals_text(lines)}")
        return
    runs = [line.run for line in todo]
    _show_plan(lines, arguments, None)
    works = [training(run) for run in runs]
    folder, command = options.prepare(works, runs, processes, arguments)
    job = slurm.submit(folder, command)
    print(f"job array {job}: {counted(len(todo), 'run')}; their consoles: {folder}/{job}_N.log")
    for index, run in enumerate(runs):
        print(f"  {job}_{index}  {run.directory.path}")


def _conclude(runs: Sequence[PlannedRun], stopped: bool) -> None:
    """Say what is not finished, whoever did the rest; exit with 1 where somebody has to look."""
    if stopped:
        print("stopped; the same command goes on where it was", file=sys.stderr)
        sys.exit(1)
    left = _ledger(runs)
    print(show.totals_text(left), flush=True)
    # Another sweep's, which will finish it or say so itself.
    elsewhere = [str(one.run.directory.path) for one in left if one.standing.state == "running"]
    if elsewhere:
        told = counted(len(elsewhere), "run is trained", "runs are trained")
        print(f"{told} by another command: {', '.join(elsewhere)}")
    failed = [
        f"{one.run.directory.path} ({one.standing})"
        for one in left
        if one.standing.state not in ("finished", "running")
    ]
    if failed:
        print(f"{counted(len(failed), 'run')} did not finish: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run_command(main)
