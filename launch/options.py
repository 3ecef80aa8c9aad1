"""What the commands that start many works have in common on their command lines."""

import argparse
import math
from collections.abc import Callable, Sequence
from pathlib import Path

from foundation.errors import UserError
from launch import slurm
from launch.expand import PlannedRun, expand
from launch.selection import only, shard
from launch.work import Work


def add_selection(parser: argparse.ArgumentParser) -> None:
    """Add what chooses the runs of a sweep."""
    parser.add_argument("sweep", type=Path, help="for example configs/sweeps/tables_2_3.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key.sub=value", help="for all runs")
    group = parser.add_argument_group("a part of the sweep")
    group.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="key.sub=value",
        help="a part of the grid, for example seed=3; several: all of them, of one key any",
    )
    group.add_argument("--shard", metavar="i/n", help="every n-th run, from the i-th on")


def add_launch(parser: argparse.ArgumentParser) -> None:
    """Add how works are started."""
    group = parser.add_argument_group("how they are started")
    group.add_argument(
        "--submit",
        choices=("local", "slurm"),
        default="local",
        help="on this machine's GPUs (or cores), or as one job array of Slurm (default: local)",
    )
    group.add_argument(
        "--nproc-per-node", type=_positive, metavar="N", help="instead of the sweep file's"
    )
    group.add_argument(
        "--at-once", type=_positive, metavar="N", help="so many runs at a time at most"
    )
    group.add_argument(
        "--retries",
        type=_count,
        default=0,
        metavar="N",
        help="so many more times a run that fails is tried (default: 0)",
    )
    group.add_argument(
        "--notify",
        metavar="COMMAND",
        help="run with a line of JSON on its standard input when a run fails for good, and when "
        "all are finished",
    )
    group = parser.add_argument_group("with --submit slurm (launch/slurm.sbatch says the rest)")
    group.add_argument("--nodes", type=_positive, default=1, metavar="N", help="a run (default: 1)")
    group.add_argument(
        "--gpus", type=_count, metavar="N", help="a node (default: one a process; 0: none)"
    )
    group.add_argument(
        "--cpus", type=_positive, metavar="N", help="a node (default: data.workers a process)"
    )
    group.add_argument("--partition", metavar="NAME")
    group.add_argument("--account", metavar="NAME")
    group.add_argument("--time-limit", metavar="[D-]HH:MM:SS", help="of a job; the run goes on")
    group.add_argument(
        "--sbatch-option",
        action="append",
        default=[],
        metavar="OPTION",
        help="any other of sbatch's, for example --sbatch-option=--qos=high; several times",
    )
    group.add_argument(
        "--sbatch-file",
        type=Path,
        default=slurm.SBATCH_FILE,
        metavar="FILE",
        help="a copy of yours",
    )


def selected(arguments: argparse.Namespace) -> tuple[list[PlannedRun], int]:
    """Return the chosen runs, and their processes a node.

    Raises:
        UserError: the sweep or the choice is wrong.
    """
    runs, processes = expand(arguments.sweep, arguments.overrides)
    runs = only(runs, arguments.only)
    if arguments.shard is not None:
        runs = shard(runs, arguments.shard)
    return runs, arguments.nproc_per_node or processes


def resources(
    arguments: argparse.Namespace, runs: Sequence[PlannedRun], processes: int
) -> slurm.Resources:
    """Return what each of the runs asks of Slurm.

    Raises:
        UserError: there is no such file for sbatch.
    """
    if not arguments.sbatch_file.is_file():
        raise UserError(f"--sbatch-file {arguments.sbatch_file}: there is no such file")
    workers = max(run.config.data.workers for run in runs)
    return slurm.Resources(
        nodes=arguments.nodes,
        gpus=processes if arguments.gpus is None else arguments.gpus,
        cpus=arguments.cpus or processes * max(1, workers),
        partition=arguments.partition,
        account=arguments.account,
        time_limit=arguments.time_limit,
        at_once=arguments.at_once,
        more=tuple(arguments.sbatch_option),
        file=arguments.sbatch_file.resolve(),
    )


def prepare(
    works: Sequence[Work],
    runs: Sequence[PlannedRun],
    processes: int,
    arguments: argparse.Namespace,
    kind: str = "",
) -> tuple[Path, list[str]]:
    """Write what one array of the works, of these runs, needs; return its folder and its command.

    Raises:
        UserError: there is no such file for sbatch.
    """
    asked = resources(arguments, runs, processes)
    folder = slurm.new_folder(launch_folder(runs), arguments.sweep.stem + kind)
    facts = {
        "sweep": str(arguments.sweep),
        "retries": arguments.retries,
        "notify": arguments.notify,
        "shown": arguments.dry_run,
    }
    slurm.write_submission(folder, works, facts)
    return folder, slurm.sbatch_command(folder, len(works), processes, asked)


def launch_folder(runs: Sequence[PlannedRun]) -> Path:
    """Return where what belongs to starting the runs is kept: consoles, submissions.

    Beside their root, in which every folder is a run.
    """
    root = runs[0].directory.path.parent.absolute()
    return root.with_name(f"{root.name}.launch")


def _bounded(lowest: int, told: str) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isdecimal() or int(text) < lowest:
            raise argparse.ArgumentTypeError(f"{text}: expected {told}")
        return int(text)

    return parse


_positive = _bounded(1, "a positive number")
_count = _bounded(0, "0 or more")


def rate(text: str) -> float:
    """Parse images/s."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}: expected images per second")
    return value
