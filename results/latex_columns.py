"""Columns of a LaTeX table: how wide each is, and which stand beside each other."""

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

# Points, of article's text and footnotesize: generous, for nobody has measured the text yet.
TEXT_WIDTH = 345
_LETTER, _GAP = 4.4, 6
_WIDEST = TEXT_WIDTH / 0.7  # what is wider would be shrunk below 70 %
_WRAPPED = 20  # letters a line, of a column of words

_BOUND = re.compile(r"±|p( \(Holm\))?$|(diff )?interval$|.* ±$|.* n$")  # to the column before

Grid = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Column:
    """A column of a block; of the table it is number `place`."""

    place: int
    wrap: int  # letters a line, 0: none of its cells is broken
    width: float  # points, with the gap

    @property
    def text_width(self) -> float:
        """Points, without the gap."""
        return self.width - _GAP


def column_blocks(names: int, columns: Sequence[str], rows: Grid) -> list[list[Column]]:
    """Return the columns of each block: as few blocks as can be read, of like widths."""
    known = [_column(j, columns[j], [row[j] for row in rows], 0) for j in range(len(columns))]
    if total_width(known) <= _WIDEST:
        return [known]
    known = [_column(j, columns[j], [row[j] for row in rows], _WRAPPED) for j in range(len(known))]
    heads, others = known[:names], known[names:]
    cuts = [i for i in range(1, len(others)) if not _BOUND.match(columns[others[i].place])]
    for count in range(len(cuts) + 1):
        if count > 3:  # a table of very many seeds: a block a column or so, without looking for it
            return [[*heads, *others[i : i + 3]] for i in range(0, len(others), 3)]
        splits = [[0, *cut, len(others)] for cut in combinations(cuts, count)]
        parts = [[others[a:b] for a, b in zip(s, s[1:], strict=False)] for s in splits]
        best = min(parts, key=lambda part: max(map(total_width, part)))
        if max(map(total_width, best)) + total_width(heads) <= _WIDEST:
            break
    return [[*heads, *part] for part in best]


def total_width(columns: Sequence[Column]) -> float:
    """Return the points that columns take side by side."""
    return sum(column.width for column in columns)


def _column(place: int, heading: str, cells: Sequence[str], limit: int) -> Column:
    longest = max(map(len, [*cells, *stacked(heading, cells).split("\n")]))
    if not limit or longest <= limit or not any(" " in cell for cell in cells):
        return Column(place, 0, longest * _LETTER + _GAP)
    words = [word for text in (*cells, heading) for word in text.split()]
    wrap = max(limit, *map(len, words))
    return Column(place, wrap, wrap * _LETTER * 1.1 + _GAP)


def stacked(heading: str, cells: Sequence[str]) -> str:
    """Return a heading, in two lines where it is longer than what stands below."""
    if " " not in heading or len(heading) <= max(map(len, cells), default=0):
        return heading
    spaces = [i for i, mark in enumerate(heading) if mark == " "]
    cut = min(spaces, key=lambda i: max(i, len(heading) - i))
    return f"{heading[:cut]}\n{heading[cut + 1 :]}"


def lines(shown: Sequence[Column], row: Sequence[str]) -> int:
    """Return the lines that a row takes, rather one too many than too few."""
    return max(len(textwrap.wrap(row[c.place], c.wrap * 5 // 6)) if c.wrap else 1 for c in shown)
