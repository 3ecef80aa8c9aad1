"""Text as LaTeX that plain pdflatex can set."""

import re
import unicodedata

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
    escaped = "".join(map(_mark, one_line(text)))
    # A hyphen before a digit is a minus sign.
    return re.sub(r"(?<![\w.-])-(\d[\d.]*)", r"$-\1$", escaped)


def one_line(text: str) -> str:
    """Return a text in one line, with numbers for the marks that cannot be set."""
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
