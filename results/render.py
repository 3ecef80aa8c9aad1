"""A table as Markdown, CSV, LaTeX or HTML text."""

import csv
import html
import io
import re
from collections.abc import Iterable
from dataclasses import dataclass

from results.latex import latex_table

SUFFIXES = {"markdown": ".md", "csv": ".csv", "latex": ".tex", "html": ".html"}


@dataclass(frozen=True)
class Table:
    """A table of text cells; '-' where the paper has it, '' for what does not exist yet."""

    name: str  # file name without suffix
    title: str
    names: int  # leading columns that hold names, not numbers
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]
    bold: frozenset[tuple[int, int]] = frozenset()  # (row, column) of cells in bold type


def file_name(kind: str, network: str) -> str:
    """Return the name of a network's table or figure, without suffix, for any folder.

    Args:
        kind: what it is, for example 'fig_3'.
        network: of any name ('hf/timm_net'), with its split where it has one. What some system
            has no room for in a file's name stands as in addresses: %2F is a slash.
    """
    known = re.sub(r'[\x00-\x1f%/\\:*?"<>|]', lambda mark: f"%{ord(mark[0]):02X}", network)
    return f"{kind}_{known.replace(' ', '_')}"


def render(table: Table, style: str) -> str:
    """Return the table's text in one of SUFFIXES' styles.

    CSV holds the cells alone; the others carry title and notes.
    """
    return {"markdown": _markdown, "csv": _csv, "latex": _latex, "html": html_table}[style](table)


def _emphasized(table: Table, before: str, after: str) -> list[list[str]]:
    """Return the rows with marks around what is bold."""
    return [
        [f"{before}{cell}{after}" if (i, j) in table.bold else cell for j, cell in enumerate(row)]
        for i, row in enumerate(table.rows)
    ]


def _markdown(table: Table) -> str:
    # A bar or a line's end would end the cell.
    rows = [
        [_folded(cell).replace("|", r"\|") for cell in row]
        for row in (table.columns, *_emphasized(table, "**", "**"))
    ]
    widths = [max(3, *(len(row[i]) for row in rows)) for i in range(len(table.columns))]
    left = [i < table.names for i in range(len(widths))]  # numbers line up on the right
    rule = [
        "-" * (w - 1) + ("-" if is_name else ":") for w, is_name in zip(widths, left, strict=True)
    ]

    def line(cells: Iterable[str]) -> str:
        columns = zip(cells, widths, left, strict=True)
        aligned = [cell.ljust(w) if is_name else cell.rjust(w) for cell, w, is_name in columns]
        return f"| {' | '.join(aligned)} |"

    text = [f"**{_folded(table.title)}**", "", line(rows[0]), line(rule), *map(line, rows[1:])]
    text += ["", *(f"- {_folded(note)}" for note in table.notes)] if table.notes else []
    return "\n".join(text) + "\n"


def _folded(text: str) -> str:
    return re.sub(r"\s*[\n\r]\s*", " ", text)


def _csv(table: Table) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(table.columns)
    writer.writerows(table.rows)
    return text.getvalue()


def _latex(table: Table) -> str:
    return latex_table(table.title, table.names, table.columns, table.rows, table.notes, table.bold)


def html_table(table: Table) -> str:
    """Return a <table> with its caption, and its notes below."""

    def row(cells: Iterable[str], numbers: str) -> str:
        marked = [
            f'<th scope="row">{cell}</th>' if i < table.names else f"<{numbers}>{cell}</{numbers}>"
            for i, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(marked)}</tr>"

    head = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in table.columns)
    escaped = [[html.escape(cell) for cell in cells] for cells in table.rows]
    for i, j in table.bold:
        escaped[i][j] = f"<strong>{escaped[i][j]}</strong>"
    notes = "".join(f"<li>{html.escape(note)}</li>" for note in table.notes)
    lines = [
        f'<table id="table-{html.escape(table.name)}">',  # a page's sections have names, too
        f"<caption>{html.escape(table.title)}</caption>",
        f"<thead><tr>{head}</tr></thead>",
        "<tbody>",
        *(row(cells, "td") for cells in escaped),
        "</tbody>",
        "</table>",
        *([f"<ul>{notes}</ul>"] if notes else []),
    ]
    return "\n".join(lines) + "\n"
