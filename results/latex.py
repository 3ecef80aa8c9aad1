"""A table as LaTeX: in blocks and on as many pages as it takes to be read."""

import re
from collections.abc import Sequence

from results.latex_columns import (
    TEXT_WIDTH,
    Column,
    Grid,
    column_blocks,
    lines,
    stacked,
    total_width,
)
from results.latex_text import latex_text, one_line

_DOCUMENT = """\
% By itself a document, inside one (\\input) a table; needs booktabs and graphicx.
\\ifdefined\\maketitle\\let\\closing\\relax\\else
\\documentclass{article}\\usepackage{booktabs,graphicx}
\\begin{document}\\def\\closing{\\end{document}}\\fi
TABLES\\closing
"""

# What fits is set in footnotesize (8 pt), what does not is shrunk, to 70 % at the least.
_BLOCK = """\
\\sbox0{\\footnotesize\\setlength\\tabcolsep{3pt}\\begin{tabular}{SPEC}
\\toprule
HEADING
\\midrule
BODY
\\bottomrule
\\end{tabular}}%
\\ifdim\\wd0>\\linewidth\\resizebox{\\linewidth}{!}{\\usebox0}\\else\\usebox0\\fi
"""

_TEXT_HEIGHT, _LINE = 500, 9.6  # points


def latex_table(
    title: str,
    names: int,
    columns: Sequence[str],
    rows: Grid,
    notes: Sequence[str],
    bold: frozenset[tuple[int, int]],
) -> str:
    """Return table environments that compile by themselves, too, and fit the text's width.

    Columns that would have to be shrunk too far stand in blocks below each other, each with the
    names; words are broken into lines; what is higher than a page goes on in another environment.

    Args:
        title: the caption; LaTeX numbers it.
        names: leading columns that hold names.
        columns, rows: the cells' texts.
        notes: paragraphs below.
        bold: (row, column) of cells in bold type.
    """
    columns = [one_line(text) for text in columns]
    rows = [[one_line(text) for text in row] for row in rows]
    blocks = []
    for shown in column_blocks(names, columns, rows):
        scale = min(1.0, TEXT_WIDTH / total_width(shown))
        for part in _pages(shown, rows, scale):
            height = _height(shown, [rows[i] for i in part], scale)
            blocks.append((height, _block(shown, names, columns, rows, (part, bold))))
    caption = latex_text(re.sub(r"^(Table|Figure) \d+(, [^:]*)?: ", "", title))
    below = "".join(
        rf"\par\smallskip\parbox{{\linewidth}}{{\raggedright\footnotesize {latex_text(note)}}}"
        + "\n"
        for note in notes
        if note
    )
    below_height = sum(_LINE * (1 + len(note) // 85) for note in notes)
    tables = _environments(blocks, below_height, caption)
    tables[-1] = tables[-1].replace("\\end{table}", f"{below}\\end{{table}}")
    return _DOCUMENT.replace("TABLES", "".join(tables))


def _height(shown: Sequence[Column], rows: Grid, scale: float) -> float:
    return _LINE * scale * (3 + sum(lines(shown, row) for row in rows))


def _pages(shown: Sequence[Column], rows: Grid, scale: float) -> list[range]:
    """Return which rows stand together; more than a page holds are parted."""
    parts, first = [], 0
    for i in range(1, len(rows)):
        if _height(shown, rows[first : i + 1], scale) > _TEXT_HEIGHT:
            parts.append(range(first, i))
            first = i
    return [*parts, range(first, len(rows))]


def _block(
    shown: Sequence[Column],
    names: int,
    columns: Sequence[str],
    rows: Grid,
    part: tuple[range, frozenset[tuple[int, int]]],
) -> str:
    places, bold = part
    spec = [
        f"p{{{c.text_width:.0f}pt}}" if c.wrap else "l" if c.place < names else "r" for c in shown
    ]
    # \raggedright makes \\ a line's end, no row's.
    end = r"\tabularnewline" if any(c.wrap for c in shown) else r"\\"
    body = []
    for i in places:
        cells = []
        for c in shown:
            text = latex_text(rows[i][c.place])
            if c.wrap and c.place == 0 and i > places[0] and rows[i][0] == rows[i - 1][0]:
                text = ""  # words said once
            text = rf"\textbf{{{text}}}" if (i, c.place) in bold else text
            cells.append(rf"\raggedright {text}" if c.wrap else text)
        body.append(f"{' & '.join(cells)} {end}")
    heading = [_heading(c, columns[c.place], [row[c.place] for row in rows], names) for c in shown]
    parts = {
        "SPEC": "".join(spec),
        "HEADING": f"{' & '.join(heading)} {end}",
        "BODY": "\n".join(body),
    }
    return re.sub("|".join(parts), lambda found: parts[found[0]], _BLOCK)


def _heading(column: Column, heading: str, cells: Sequence[str], names: int) -> str:
    if column.wrap:
        return rf"\raggedright {latex_text(heading)}"
    texts = [latex_text(line) for line in stacked(heading, cells).split("\n")]
    side, stack = "l" if column.place < names else "r", r"\\".join(texts)
    return rf"\shortstack[{side}]{{{stack}}}" if len(texts) > 1 else stack


def _environments(blocks: list[tuple[float, str]], below: float, caption: str) -> list[str]:
    """Return the environments, each filled as far as a page goes."""
    groups: list[list[str]] = [[]]
    room = _TEXT_HEIGHT
    for i, (height, text) in enumerate(blocks):
        need = height + (below if i == len(blocks) - 1 else 0)
        if groups[-1] and need > room:
            groups.append([])
            room = _TEXT_HEIGHT
        groups[-1].append(text)
        room -= height + _LINE
    tables = []
    for i, texts in enumerate(groups):
        again = "\\addtocounter{table}{-1}\n" if i else ""
        if i and i % 10 == 0:  # LaTeX keeps 18 that wait for their page
            tables.append("\\clearpage\n")
        told = f"{caption} (continued)" if i else caption
        inside = "\\par\\medskip\n".join(texts)
        tables.append(
            f"\\begin{{table}}[htbp]\n\\centering\n{again}\\caption{{{told}}}\n{inside}\\end{{table}}\n"
        )
    return tables
