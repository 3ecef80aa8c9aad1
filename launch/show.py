"""The ledger for people: a table on a terminal, a line a run elsewhere."""

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from launch.ledger import Line, totals
from records.score import SCORES

_STYLES = {
    "finished": "green",
    "running": "bold cyan",
    "failed": "bold red",
    "damaged": "bold red",
    "another recipe": "bold red",
    "interrupted": "yellow",
}


def line_text(line: Line) -> str:
    """Return a run's line for a log: its directory, state, place, and what else is known."""
    known, path = line.standing, line.run.directory.path
    place = line.place
    if known.state == "finished":
        return f"{path}  finished  {place}  {known.reason}"
    if known.state in ("another recipe", "damaged"):
        return f"{path}  {known}"
    parts = [f"{path}", f"{known}", place, *_facts(line)]
    return "  ".join(part for part in parts if part)


def _facts(line: Line) -> list[str]:
    known = line.standing
    return [
        f"step {known.step}{f'/{known.steps}' if known.steps else ''}" if known.step else "",
        "" if known.best is None else f"best {_title(line)}{known.best:.3f}",
        *([_speed(known.images_per_second), f"ETA {_time(known.eta)}"] if known.eta else []),
        f"on {known.host}" if known.state == "running" and known.host else "",
        f"{known.restarts} restarts" if known.restarts else "",
    ]


def totals_text(lines: Sequence[Line]) -> str:
    """Return the sweep in one line: how many runs are how, hours spent and left, when it ends."""
    sums = totals(lines)
    states = dict(sums["states"])
    parts = [f"{states.pop('finished', 0)} of {sums['runs']} runs finished"]
    parts += [f"{number} {state}" for state, number in states.items()]
    left = sums["gpu_hours_left"]
    if sums["gpu_hours_spent"] or left:
        parts.append(f"{hours(sums['gpu_hours_spent'])} GPU-hours spent")
        parts.append(f"{'an unknown number' if left is None else hours(left)} left")
    if sums["hours_left"]:
        parts.append(
            f"{_time(3600 * sums['hours_left'])} to the end on the {sums['gpus_at_work']} at work"
        )
    return ", ".join(parts)


def table(lines: Sequence[Line]) -> Table:
    """Return the ledger as a table for a terminal."""
    made = Table(box=box.SIMPLE_HEAD)
    made.add_column("run", no_wrap=True)
    made.add_column("state", no_wrap=True)
    for name in ("done", "step", "best", "images/s", "ETA"):
        made.add_column(name, justify="right", no_wrap=True)
    made.add_column("host", no_wrap=True)
    made.add_column("restarts", justify="right")
    made.add_column("what there is to say", overflow="fold")
    for line in lines:
        made.add_row(*_cells(line))
    return made


def _cells(line: Line) -> list[Any]:
    known = line.standing
    running = known.state == "running"
    said = "" if known.state == "finished" else known.reason
    return [
        Text(line.run.config.run.name),
        Text(known.state, style=_STYLES.get(known.state, "dim")),
        line.place,
        f"{known.step or ''}",
        "" if known.best is None else f"{_title(line)}{known.best:.3f}",
        _number(known.images_per_second),
        _time(known.eta) if running and known.eta else "",
        Text(known.host if running else ""),
        f"{known.restarts or ''}",
        Text(said),
    ]


def _title(line: Line) -> str:
    """Return what the score is called where it is not an accuracy."""
    task = line.run.config.task
    return "" if task == "classification" else f"{SCORES[task].title} "


def hours(value: float) -> str:
    """Return hours as people read them."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def _speed(value: float | None) -> str:
    return "" if value is None else f"{_number(value)} images/s"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _time(seconds: float | None) -> str:
    """Return a duration as d h, h min or min s."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    whole_hours, minutes = divmod(minutes, 60)
    days, whole_hours = divmod(whole_hours, 24)
    if days:
        return f"{days} d {whole_hours} h"
    return f"{whole_hours} h {minutes} min" if whole_hours else f"{minutes} min {rest} s"
