"""The plan of a sweep: what there is to do, what it costs, and whether it can begin."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich import box
from rich.table import Table
from rich.text import Text

from configs.schema import Config
from foundation.errors import UserError
from foundation.homes import expanded
from foundation.words import counted
from launch.costs import disk
from launch.ledger import Line, totals
from launch.show import hours


def plan_table(lines: Sequence[Line]) -> Table:
    """Return the runs with the GPU-hours and the disk that each takes."""
    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("run", no_wrap=True)
    made.add_column("state")
    for name in ("done", "GPU-hours left", "disk (GB)"):
        made.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        known, size = line.standing, disk(line.run.config)
        made.add_row(
            Text(line.run.config.run.name),
            Text(known.state),
            line.place,
            "?" if line.left is None else hours(line.left / 3600),
            "?" if size is None else f"{size.kept / 1e9:.2f}",
        )
    return made


def plan_sums(lines: Sequence[Line], gpus: int | None) -> list[str]:
    """Return what there is to do in all, what it takes, and where the figures come from.

    Args:
        lines: of the ledger.
        gpus: that are at work together (processes, on a CPU); None: unknown.
    """
    sums = totals(lines)
    todo = sums["runs"] - sums["states"].get("finished", 0)
    left = sums["gpu_hours_left"]
    told = f"{todo} of {sums['runs']} runs to do: "
    if left is None:
        told += "an unknown number of GPU-hours (the number of images is not known yet)"
    else:
        told += f"{hours(left)} GPU-hours"
        if gpus and left:
            told += f", {hours(left / gpus)} h with the {gpus} at work here"
    sizes = [disk(line.run.config) for line in lines]
    kept = sum(size.kept for size in sizes if size)
    root = lines[0].run.directory.path.parent
    free = shutil.disk_usage(_existing(root)).free
    room = f"{kept / 1e9:,.0f} GB of checkpoints when all are finished (train.keep), "
    room += f"{free / 1e9:,.0f} GB free in {root}"
    if free < kept * todo / max(1, len(lines)):
        room += ": TOO LITTLE; train.keep=best takes less, or choose another run.root"
    sources = Counter(line.unit.source for line in lines if line.unit and line.left)
    by = [f"GPU-hours by {source} ({counted(n, 'run')})" for source, n in sources.items()]
    return [told, room, *by]


def _existing(path: Path) -> Path:
    path = path.absolute()
    return next(folder for folder in (path, *path.parents) if folder.exists())


def check_places(lines: Sequence[Line], images_here: bool) -> None:
    """Find what is wrong for a whole sweep before any of it begins.

    Args:
        lines: of the ledger.
        images_here: whether the runs are done on this machine; a login node may lack the images.

    Raises:
        UserError: the images are missing, or another recipe's runs are in the place of these.
    """
    others = [
        f"{line.run.directory.path} ({line.standing.reason})"
        for line in lines
        if line.standing.state == "another recipe"
    ]
    if others:
        raise UserError(
            f"runs of another recipe are in the place of {len(others)} of this sweep's; "
            f"give it another run.root: {'; '.join(others)}"
        )
    if not images_here:
        return
    missing = [line.run.config for line in lines if line.standing.state != "finished"]
    for task, root in {(one.task, one.data.root) for one in missing if not _is_noise(one)}:
        place = expanded(root, "data.root")
        names = ("train", "val") if task == "classification" else ("leftImg8bit", "gtFine")
        if (place / "shards.json").is_file() or all((place / name).is_dir() for name in names):
            continue
        what = "image folder or shards" if task == "classification" else "Cityscapes folder"
        raise UserError(f"{root}: has no {names[0]}/ and {names[1]}/; set data.root to your {what}")


def _is_noise(config: Config) -> bool:
    return config.task == "classification" and config.data.backend == "synthetic"
