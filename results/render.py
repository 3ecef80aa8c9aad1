"""A table as Markdown, CSV or LaTeX text."""

import csv
import io
from collections.abc import Iterable
from dataclasses import dataclass

SUFFIXES = {"markdown": ".md", "csv": ".csv", "latex": ".tex"}

_LATEX = str.maketrans({"_": r"\_", "%": r"\%", "&": r"\&", "#": r"\#"})


@dataclass(frozen=True)
class Table:
    """A table of text cells; '-' where the paper has it, '' for what does not exist yet."""

    name: str  # file name without suffix
    title: str
    names: int  # leading columns that hold names, not numbers
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def render(table: Table, style: str) -> str:
    """Return the table's text in one of SUFFIXES' styles.

    CSV holds the cells alone; the other two carry title and notes.
    """
    return {"markdown": _markdown, "csv": _csv, "latex": _latex}[style](table)


def _markdown(table: Table) -> str:
    lines = [table.columns, *table.rows]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(table.columns))]
    left = [i < table.names for i in range(len(widths))]  # numbers line up on the right
    rule = [
        "-" * (w - 1) + ("-" if is_name else ":") for w, is_name in zip(widths, left, strict=True)
    ]

    def line(cells: Iterable[str]) -> str:
        columns = zip(cells, widths, left, strict=True)
        aligned = [cell.ljust(w) if is_name else cell.rjust(w) for cell, w, is_name in columns]
        return f"| {' | '.join(aligned)} |"

    text = [f"**{table.title}**", "", line(table.columns), line(rule), *map(line, table.rows)]
    text += ["", *(f"- {note}" for note in table.notes)] if table.notes else []
    return "\n".join(text) + "\n"


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def _latex(table: Table) -> str:
    """Return a table environment; needs the booktabs package."""

    def line(cells: tuple[str, ...]) -> str:
        return " & ".join(_latex_cell(cell) for cell in cells) + r" \\"

    notes = " ".join(_latex_cell(note) for note in table.notes)
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{_latex_cell(table.title)}. {notes}}}",
            rf"\begin{{tabular}}{{{'l' * table.names}{'r' * (len(table.columns) - table.names)}}}",
            r"\toprule",
            line(table.columns),
            r"\midrule",
            *(line(row) for row in table.rows),
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )


def _latex_cell(text: str) -> str:
    # A hyphen before a digit is a minus sign.
    number = text.startswith("-") and len(text) > 1
    return f"${text}$" if number else text.translate(_LATEX)
