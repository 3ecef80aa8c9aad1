"""One look for all figures: what stands for which padding, sizes of text, files."""

import io
import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from foundation.files import write_atomically, writing

P = ParamSpec("P")
T = TypeVar("T")

SMALL = 8  # pt: captions, numbers in maps
PNG_DPI = 200
INK = "#333333"
PALE = "#b0b0b0"


@dataclass(frozen=True)
class Look:
    """What stands for a padding: each of the three tells it apart by itself, in grey print too."""

    colour: str
    marker: str
    line: Any  # as Matplotlib takes a line style


# Okabe and Ito's colours, which colour-blind readers tell apart; zero blue and partial red, as in
# the paper's Fig. 1.
_LOOKS = {
    "zero": Look("#0072B2", "o", (0, (4, 1.5))),
    "partial": Look("#D55E00", "s", "-"),
    "reflect": Look("#009E73", "^", (0, (1, 1))),
    "replicate": Look("#CC79A7", "D", (0, (5, 1.5, 1, 1.5))),
}
# What other paddings have, in their order of names; the lengths make 140 looks.
_COLOURS = ("#56B4E9", "#E69F00", "#666666", "#000000")
_MARKERS = ("v", "P", "X", "<", "*", ">", "p")
_LINES = ((0, (7, 2)), (0, (3, 1, 1, 1, 1, 1)), (0, (1, 2.5)), (0, (9, 1, 2, 1)), (0, (2, 2)))

_LOOK_OF_ALL = {
    "font.family": "DejaVu Sans",  # comes with Matplotlib: the same on every machine
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "xtick.labelsize": SMALL,
    "ytick.labelsize": SMALL,
    "legend.fontsize": SMALL,
    "legend.frameon": False,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.5,
    "lines.markersize": 5,
    "hatch.linewidth": 0.6,
    "mathtext.fontset": "dejavusans",
    "text.parse_math": False,  # a name with a dollar sign is a name; formulas say so themselves
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",  # readable on machines without the font
    "svg.hashsalt": "partial convolution based padding",
}


def looks(paddings: Collection[str]) -> dict[str, Look]:
    """Return what stands for each padding of a figure: the paper's have the same in every one."""
    found = {padding: _LOOKS[padding] for padding in paddings if padding in _LOOKS}
    for i, padding in enumerate(sorted(set(paddings) - found.keys())):
        found[padding] = Look(
            _COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], _LINES[i % len(_LINES)]
        )
    return found


def readable_on(colour: Sequence[float]) -> str:
    """Return the colour of text, black or white, that contrasts more with a ground (WCAG)."""
    return "black" if contrast(colour, (0, 0, 0)) >= contrast(colour, (1, 1, 1)) else "white"


def contrast(one: Sequence[float], other: Sequence[float]) -> float:
    """Return WCAG's contrast of two colours, 1 to 21, whose red, green and blue are 0 to 1."""
    light, dark = sorted(map(_luminance, (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Sequence[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def shortened(text: str, letters: int) -> str:
    """Return a text of at most so many letters; one that is cut ends in an ellipsis."""
    return text if len(text) <= letters else f"{text[: letters - 1]}…"


def styled(draw: Callable[P, T]) -> Callable[P, T]:
    """Let a function draw in this look, whatever a user's matplotlibrc says."""
    rc = {key: value for key, value in matplotlib.rcParamsDefault.items() if key != "backend"}

    @wraps(draw)
    def drawing(*args: P.args, **kwargs: P.kwargs) -> T:
        with matplotlib.rc_context(rc | _LOOK_OF_ALL):
            return draw(*args, **kwargs)

    return drawing


@styled
def save(figure: Figure, folder: Path, name: str) -> None:
    """Write <name>.svg and <name>.png into `folder`; the same figure gives the same bytes.

    Raises:
        FileError: they cannot be written.
    """
    svg, png = io.StringIO(), io.BytesIO()
    # No date and no version: they would make every file another one.
    FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None, "Creator": None})
    figure.set_dpi(PNG_DPI)
    FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / f"{name}.svg", svg.getvalue().encode())
    write_atomically(folder / f"{name}.png", png.getvalue())


def caption(figure: Figure, *sentences: str) -> None:
    """Write what the reader has to know below a figure; '' are left out."""
    width = int(15 * figure.get_figwidth())  # characters that fit
    lines = [line for sentence in sentences for line in textwrap.wrap(sentence, width)]
    figure.supxlabel("\n".join(lines), x=0.01, ha="left", fontsize=SMALL)
