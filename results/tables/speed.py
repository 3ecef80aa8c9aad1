"""Table 1 from the JSON files of the benchmarks, with the paper's figures beside ours."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from foundation.files import read_json
from records.errors import RunError
from results import printed
from results.render import Table
from results.tables.accuracy import Columns


def speed_table(file: Path, columns: Columns = "all") -> Table:
    """Return the table of one file.

    Args:
        file: a benchmark's.
        columns: 'paper': without the paper's numbers beside ours.

    Raises:
        RunError: it is not a benchmark's.
    """
    measured = read_json(file)
    try:
        rows, notes = _rows(measured), _notes(measured)
        title = f"Table 1: {measured['benchmark']}, {measured['setting']}"
    except (KeyError, TypeError) as error:
        raise RunError(f"{file}: not written by a benchmark ({error!r}); move it away") from None
    memory = ("peak memory (MiB)", "relative") if _has_memory(measured) else ()
    beside = columns == "all" and not _has_memory(measured)
    paper = ("paper running time", "paper relative") if beside else ()
    heading = ("", "running time (ms)", "relative", *memory, *paper)
    return Table(
        name=f"table_1_{file.stem}",
        title=title,
        names=1,
        columns=heading,
        rows=tuple(row[: len(heading)] for row in rows),  # the paper's cells stand last
        notes=notes,
    )


def _rows(measured: dict[str, Any]) -> list[tuple[str, ...]]:
    rows = measured["rows"]
    if _has_memory(measured):
        least = {row["arch"]: row["peak_mib"] for row in rows if row["padding"] == "zero"}
        return [_step_row(row, least[row["arch"]]) for row in rows]
    paper = {row["Network"]: row for row in printed.table(1)}
    # The paper timed one image of 224 px; beside anything else its numbers would mislead.
    shown = paper if measured["as_the_paper"] else {}
    return [line for row in rows for line in _iteration_rows(row, shown)]


def _step_row(row: dict[str, Any], least: float) -> tuple[str, ...]:
    peak = row["peak_mib"]
    return (
        printed.network(row["arch"], row["padding"]),
        f"{row['ms']:.3f}",
        _percent(row["relative"]),
        f"{peak:.1f}",
        _percent(peak / least),
    )


def _iteration_rows(
    row: dict[str, Any], paper: dict[str, dict[str, str]]
) -> Iterator[tuple[str, ...]]:
    name = printed.network(row["arch"], row["padding"])
    lines = {name: ("ms", "relative")}
    if row["padding"] != "zero":
        first = {name + " (1st)": ("first_ms", "first_relative")} if "first_ms" in row else {}
        lines = first | {name + " (2nd - nth)": ("ms", "relative")}
    for label, (time, relative) in lines.items():
        theirs = paper.get(label, {})
        cells = theirs.get("running time", ""), theirs.get("relative", "")
        yield label, f"{row[time]:.3f}", _percent(row[relative]), *cells


def _has_memory(measured: dict[str, Any]) -> bool:
    return any("peak_mib" in row for row in measured["rows"])


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.2f}%"


def _notes(measured: dict[str, Any]) -> tuple[str, ...]:
    device, command = device_notes(measured)
    return f"{device}; relative: median of the rounds' ratios to zero padding.", command


def device_notes(measured: dict[str, Any]) -> tuple[str, str]:
    """Return on what, how often and by what command a benchmark's file was measured."""
    versions = ", ".join(f"{k} {v}" for k, v in measured["versions"].items() if v)
    return (
        f"{measured['devices']}; {versions}; {measured['rounds']} interleaved rounds, medians",
        f"Measured by: {measured['measured_by']} ({measured['started'][:10]}).",
    )
