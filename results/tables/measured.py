"""Tables of what the benchmarks measured, from their JSON files."""

from pathlib import Path
from typing import Any

from foundation.files import read_json
from records.errors import RunError
from results.render import Table
from results.tables.accuracy import Columns
from results.tables.speed import device_notes, speed_table


def measured_tables(folder: Path, columns: Columns = "all") -> list[Table]:
    """Return one table for every file in `folder`, none where there is no such folder.

    Args:
        folder: of the benchmarks' files.
        columns: of Table 1; 'paper': without the paper's numbers beside ours.

    Raises:
        RunError: a file is not a benchmark's.
    """
    return [measured_table(file, columns) for file in sorted(folder.glob("*.json"))]


def measured_table(file: Path, columns: Columns = "all") -> Table:
    """Return the table of one file: Table 1 where its rows are paddings (RunError as above)."""
    measured = read_json(file)
    try:
        rows = measured["rows"]
        if any("padding" in row for row in rows):
            return speed_table(file, columns)
        keys = list(dict.fromkeys(key for row in rows for key in row))
        names = sum(all(isinstance(row[key], str) for row in rows) for key in keys)
        title = f"{measured['benchmark']}, {measured['setting']}"
        notes = device_notes(measured)
        if not keys:
            raise KeyError("rows")
    except (KeyError, TypeError) as error:
        raise RunError(f"{file}: not written by a benchmark ({error!r}); move it away") from None
    return Table(
        name=file.stem,
        title=title,
        names=names,
        columns=tuple(keys),
        rows=tuple(tuple(_cell(row.get(key)) for key in keys) for row in rows),
        notes=notes,
    )


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value >= 1000 else f"{value:#.3g}".rstrip(".")
    return "" if value is None else str(value)
