"""A table as LaTeX: in blocks and on as many pages as it takes to be read."""

import re
import textwrap
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

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

# Points, of article's text and footnotesize: generous, for nobody has measured the text yet.
_TEXT_WIDTH, _TEXT_HEIGHT, _LINE, _LETTER, _GAP = 345, 500, 9.6, 4.4, 6
_WIDEST = _TEXT_WIDTH / 0.7
_WRAPPED = 20  # letters a line, of a column of words

_BOUND = re.compile(r"±|p( \(Holm\))?$|(diff )?interval$|.* ±$|.* n$")  # to the column before

Grid = Sequence[Sequence[str]]


@dataclass(frozen=True)
class _Column:
    place: int
    wrap: int  # letters a line, 0: none of its cells is broken
    width: float  # points


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
    columns = [_named(text) for text in columns]
    rows = [[_named(text) for text in row] for row in rows]
    blocks = []
    for shown in _blocks(names, columns, rows):
        scale = min(1.0, _TEXT_WIDTH / sum(column.width for column in shown))
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


def _blocks(names: int, columns: Sequence[str], rows: Grid) -> list[list[_Column]]:
    """Return the columns of each block: as few blocks as can be read, of like widths."""
    known = [_column(j, columns[j], [row[j] for row in rows], 0) for j in range(len(columns))]
    if sum(column.width for column in known) <= _WIDEST:
        return [known]
    known = [_column(j, columns[j], [row[j] for row in rows], _WRAPPED) for j in range(len(known))]
    heads, others = known[:names], known[names:]
    cuts = [i for i in range(1, len(others)) if not _BOUND.match(columns[others[i].place])]
    for count in range(len(cuts) + 1):
        if count > 3:  # a table of very many seeds: a block a column or so, without looking for it
            return [[*heads, *others[i : i + 3]] for i in range(0, len(others), 3)]
        splits = [[0, *cut, len(others)] for cut in combinations(cuts, count)]
        parts = [[others[a:b] for a, b in zip(s, s[1:], strict=False)] for s in splits]
        best = min(parts, key=lambda part: max(map(_width, part)))
        if max(map(_width, best)) + _width(heads) <= _WIDEST:
            break
    return [[*heads, *part] for part in best]


def _width(columns: Sequence[_Column]) -> float:
    return sum(column.width for column in columns)


def _column(place: int, heading: str, cells: Sequence[str], limit: int) -> _Column:
    longest = max(map(len, [*cells, *_stacked(heading, cells).split("\n")]))
    if not limit or longest <= limit or not any(" " in cell for cell in cells):
        return _Column(place, 0, longest * _LETTER + _GAP)
    words = [word for text in (*cells, heading) for word in text.split()]
    wrap = max(limit, *map(len, words))
    return _Column(place, wrap, wrap * _LETTER * 1.1 + _GAP)


def _stacked(heading: str, cells: Sequence[str]) -> str:
    """Return a heading, in two lines where it is longer than what stands below."""
    if " " not in heading or len(heading) <= max(map(len, cells), default=0):
        return heading
    spaces = [i for i, mark in enumerate(heading) if mark == " "]
    cut = min(spaces, key=lambda i: max(i, len(heading) - i))
    return f"{heading[:cut]}\n{heading[cut + 1 :]}"


def _lines(shown: Sequence[_Column], row: Sequence[str]) -> int:
    """Return the lines that a row takes, rather one too many than too few."""
    return max(len(textwrap.wrap(row[c.place], c.wrap * 5 // 6)) if c.wrap else 1 for c in shown)


def _height(shown: Sequence[_Column], rows: Grid, scale: float) -> float:
    return _LINE * scale * (3 + sum(_lines(shown, row) for row in rows))


def _pages(shown: Sequence[_Column], rows: Grid, scale: float) -> list[range]:
    """Return which rows stand together; more than a page holds are parted."""
    parts, first = [], 0
    for i in range(1, len(rows)):
        if _height(shown, rows[first : i + 1], scale) > _TEXT_HEIGHT:
            parts.append(range(first, i))
            first = i
    return [*parts, range(first, len(rows))]


def _block(
    shown: Sequence[_Column],
    names: int,
    columns: Sequence[str],
    rows: Grid,
    part: tuple[range, frozenset[tuple[int, int]]],
) -> str:
    places, bold = part
    spec = [
        f"p{{{c.width - _GAP:.0f}pt}}" if c.wrap else "l" if c.place < names else "r" for c in shown
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


def _heading(column: _Column, heading: str, cells: Sequence[str], names: int) -> str:
    if column.wrap:
        return rf"\raggedright {latex_text(heading)}"
    lines = [latex_text(line) for line in _stacked(heading, cells).split("\n")]
    side, stack = "l" if column.place < names else "r", r"\\".join(lines)
    return rf"\shortstack[{side}]{{{stack}}}" if len(lines) > 1 else stack


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


_MARKS = {
    "\\": r"\textbackslash{}",
    **{mark: f"\\{mark}" for mark in "_%&#{}$"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "→": r"$\rightarrow$",
    "≥": r"$\geq$",
    "≤": r"$\leq$",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
    **{"“": "``", "”": "''", "‘": "`", "’": "'"},
    **{"ß": r"\ss{}", "æ": r"\ae{}", "Æ": r"\AE{}", "ø": r"\o{}", "Ø": r"\O{}", "œ": r"\oe{}"},
    **{"Œ": r"\OE{}", "ł": r"\l{}", "Ł": r"\L{}"},
}
_ACCENTS = {
    **{"\u0300": "`", "\u0301": "'", "\u0302": "^", "\u0303": "~", "\u0308": '"'},
    **{"\u0304": "=", "\u0307": ".", "\u030a": "r", "\u030b": "H", "\u030c": "v", "\u0327": "c"},
}


def latex_text(text: str) -> str:
    """Return a text as LaTeX; a mark that plain pdflatex does not know is named by its number."""
    escaped = "".join(map(_mark, _named(text)))
    # A hyphen before a digit is a minus sign.
    return re.sub(r"(?<![\w.-])-(\d[\d.]*)", r"$-\1$", escaped)


def _named(text: str) -> str:
    """Return a text in one line, with names for the marks that cannot be set."""
    folded = " ".join(text.split())
    return "".join(mark if _mark(mark) else f"[U+{ord(mark):04X}]" for mark in folded)


def _mark(mark: str) -> str:
    """Return what LaTeX calls a mark, '' for what it cannot set."""
    if known := _MARKS.get(mark):
        return known
    if " " <= mark <= "~":
        return mark
    base, *accents = unicodedata.normalize("NFD", mark)
    if len(accents) == 1 and accents[0] in _ACCENTS and base.isascii() and base.isalpha():
        return rf"\{_ACCENTS[accents[0]]}{{{base}}}"
    return ""
