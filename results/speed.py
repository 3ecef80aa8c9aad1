"""Table 1 from the JSON files of the benchmarks, with the paper's figures beside ours."""

from pathlib import Path
from typing import Any

from records.run_dir import RunError, read_json
from results import printed
from results.tables import Table

_LATER = " (2nd - nth)"


def speed_tables(folder: Path) -> list[Table]:
    """Return one table for every file in `folder`, none where there is no such folder.

    Raises:
        RunError: a file is not a benchmark's.
    """
    return [speed_table(file) for file in sorted(folder.glob("*.json"))]


def speed_table(file: Path) -> Table:
    """Return the table of one file (RunError as above)."""
    measured = read_json(file)
    try:
        rows, notes = _rows(measured), _notes(measured)
        title = f"Table 1: {measured['benchmark']}, {measured['setting']}"
    except (KeyError, TypeError) as error:
        raise RunError(f"{file}: not written by a benchmark ({error!r}); move it away") from None
    memory = ("peak memory (MiB)", "relative") if _has_memory(measured) else ()
    paper = () if _has_memory(measured) else ("paper running time", "paper relative")
    return Table(
        name=f"table_1_{file.stem}",
        title=title,
        names=1,
        columns=("", "running time (ms)", "relative", *memory, *paper),
        rows=tuple(rows),
        notes=notes,
    )


def _rows(measured: dict[str, Any]) -> list[tuple[str, ...]]:
    paper = {row["Network"]: row for row in printed.table(1)}
    # The paper timed one image in eager mode; beside anything else its numbers would mislead.
    shown = paper if measured["batch"] == 1 and not measured["compiled"] else {}
    rows = []
    for row in measured["rows"]:
        name = printed.network(row["arch"], row["padding"])
        base = next(
            other
            for other in measured["rows"]
            if other["arch"] == row["arch"] and other["padding"] == "zero"
        )
        if _has_memory(measured):
            peak, least = row["peak_mib"], base["peak_mib"]
            cells = (f"{row['ms']:.3f}", _percent(row["relative"]))
            rows.append((name, *cells, f"{peak:.1f}", _percent(peak / least)))
            continue
        lines = {name: (row["ms"], row["relative"])}
        if row["padding"] != "zero":
            lines = {name + _LATER: (row["ms"], row["relative"])}
            if row["first_ms"] is not None:
                first = {name + " (1st)": (row["first_ms"], row["first_ms"] / base["ms"])}
                lines = first | lines
        for label, (time, relative) in lines.items():
            theirs = shown.get(label, {})
            printed_cells = (theirs.get("running time", ""), theirs.get("relative", ""))
            rows.append((label, f"{time:.3f}", _percent(relative), *printed_cells))
    return rows


def _has_memory(measured: dict[str, Any]) -> bool:
    return any("peak_mib" in row for row in measured["rows"])


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.2f}%"


def _notes(measured: dict[str, Any]) -> tuple[str, ...]:
    versions = ", ".join(f"{k} {v}" for k, v in measured["versions"].items() if v)
    return (
        f"{measured['devices']}; {versions}; {measured['rounds']} interleaved rounds, medians; "
        f"relative: median of the rounds' ratios to zero padding.",
        f"Measured by: {measured['measured_by']} ({measured['started'][:10]}).",
    )
