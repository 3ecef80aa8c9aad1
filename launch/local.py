"""Works on this machine, with their progress on the terminal and notices to a person."""

from collections.abc import Callable, Sequence
from pathlib import Path

from foundation.files import writing
from launch import screen
from launch.attempts import Pool, Reports
from launch.ledger import Line
from launch.notice import notify, notify_failure
from launch.places import Place
from launch.standing import Standing
from launch.work import Work


def do_here(
    works: Sequence[Work],
    pool: tuple[int, Sequence[Place], int],
    folder: Path,
    sweep: str,
    notice: str | None,
    lines: Callable[[], list[Line]] | None = None,
) -> bool:
    """Do the works on this machine; return whether they were stopped.

    Where one has the whole machine, its console is this command's; several write theirs to files,
    beside a live table on a terminal.

    Args:
        works: to do.
        pool: their processes, the places for them, and further attempts at each.
        folder: where the consoles go.
        sweep: its file, for titles and notices.
        notice: command that is to hear of failures and of the end.
        lines: the ledger as it is, for a live table; None: without one.
    """
    processes, places, retries = pool
    several = len(places) > 1
    logs = folder / "console" if several else None
    if logs is not None:
        with writing(logs):
            logs.mkdir(parents=True, exist_ok=True)
    before = all(work.standing().state == "finished" for work in works)

    def failed(work: Work, known: Standing) -> None:
        notify_failure(notice, sweep, work, known)

    with screen.live(lines, sweep) if several and lines else screen.plain() as (say, tick):
        reports = Reports(say, tick, failed)
        stopped = Pool(processes, places, retries, logs, reports).do(works)
    if not before and all(work.standing().state == "finished" for work in works):
        notify(notice, "sweep complete", sweep=sweep, runs=len(works))
    return stopped
