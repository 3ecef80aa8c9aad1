"""Tables printed, and written to files where that is asked."""

import sys
from collections.abc import Iterable
from pathlib import Path

from foundation.files import write_atomically, writing
from results.render import SUFFIXES, Table, render

NOTES_SUFFIX = ".notes.txt"


def show(tables: Iterable[Table], style: str, out: Path | None) -> None:
    """Print the tables, and write each to a file where asked.

    A CSV file has no place for a title and notes: they go to stderr, and into a file beside it.

    Args:
        tables: each of a name of its own.
        style: one of SUFFIXES.
        out: folder of the files, made where there is none; None: no files.

    Raises:
        FileError: `out` cannot be written.
    """
    tables = list(tables)
    texts = {table.name + SUFFIXES[style]: render(table, style) for table in tables}
    notes = {table.name + NOTES_SUFFIX: _notes(table) for table in tables if style == "csv"}
    if out:  # first: whoever reads what is printed may stop early
        with writing(out):
            out.mkdir(parents=True, exist_ok=True)
        for name, text in (texts | notes).items():
            write_atomically(out / name, text.encode(errors="backslashreplace"))
    print("\n".join(notes.values()), end="", file=sys.stderr)
    print("\n".join(texts.values()))


def _notes(table: Table) -> str:
    return "".join(f"{line}\n" for line in (table.title, *table.notes))
