"""One look for all figures: what stands for which padding, sizes of text, files."""

import io
import zlib
from collections.abc import Callable
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
_OTHERS = (
    Look("#56B4E9", "v", (0, (7, 2))),
    Look("#E69F00", "P", (0, (3, 1, 1, 1, 1, 1))),
    Look("#666666", "X", (0, (1, 2.5))),
)

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
    "figure.constrained_layout.use": True,
    "svg.fonttype": "path",  # readable on machines without the font
    "svg.hashsalt": "partial convolution based padding",
}


def look(padding: str) -> Look:
    """Return what stands for a padding, in every figure the same; other ones share three looks."""
    return _LOOKS.get(padding) or _OTHERS[zlib.crc32(padding.encode()) % len(_OTHERS)]


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
    figure.supxlabel("\n".join(filter(None, sentences)), x=0.01, ha="left", fontsize=SMALL)
