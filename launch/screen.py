"""The ledger on a terminal or in a pipe, once or again and again."""

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from launch.ledger import Line
from launch.show import line_text, table, totals_text

Screen = tuple[Callable[[str], None], Callable[[object], None]]


def print_table(title: str, made: Table, notes: Sequence[str], file: IO[str] | None = None) -> None:
    """Print a table; where nobody's terminal has a width, as wide as it is."""
    out = file or sys.stdout
    width = None if out.isatty() else 200
    console = Console(file=out, width=width, highlight=False, markup=False, soft_wrap=True)
    console.print(title)
    console.print(made, soft_wrap=False)
    for note in notes:
        console.print(note)


def print_ledger(lines: Sequence[Line], title: str) -> None:
    """Print the ledger: a table on a terminal, a line a run elsewhere."""
    if sys.stdout.isatty():
        print_table(title, table(lines), [totals_text(lines)])
        return
    for line in lines:
        print(line_text(line))
    print(totals_text(lines))


def watch(lines: Callable[[], list[Line]], title: str, seconds: float) -> None:
    """Show the ledger anew every so many seconds, until all runs are finished or Ctrl-C."""
    with suppress(KeyboardInterrupt), live(lines, title, seconds) as (_, tick):
        now = lines()
        while any(line.standing.state != "finished" for line in now):
            if not sys.stdout.isatty():
                print_ledger(now, title)
                sys.stdout.flush()
            time.sleep(seconds)
            tick(())
            now = lines()
    print_ledger(lines(), title)


@contextmanager
def plain() -> Iterator[Screen]:
    """Give out what prints a line, and what does nothing."""
    yield lambda text: print(text, flush=True), lambda _: None


@contextmanager
def live(lines: Callable[[], list[Line]], title: str, every: float = 5.0) -> Iterator[Screen]:
    """Give out what prints a line, and what is to be called often to keep a table below it true.

    There is a table only on a terminal.

    Args:
        lines: the ledger as it is.
        title: of the table.
        every: s between two looks at the run directories.
    """
    if not sys.stdout.isatty():
        with plain() as screen:
            yield screen
        return
    console = Console(highlight=False)
    with Live(console=console, auto_refresh=False, transient=True) as shown:
        looked = -math.inf

        def tick(_: object) -> None:
            nonlocal looked
            if time.monotonic() - looked >= every:
                looked = time.monotonic()
                shown.update(_at_work(lines(), title, console.height - 8), refresh=True)

        tick(())
        yield lambda text: console.print(text, markup=False), tick


def _at_work(lines: Sequence[Line], title: str, height: int) -> Group:
    """Return the runs that something happens to, as many as there is room for, and the totals."""
    quiet = ("finished", "not started")
    active = [line for line in lines if line.standing.state not in quiet]
    shown = table(active[: max(1, height)])
    return Group(Text(title), shown, Text(totals_text(lines)))
