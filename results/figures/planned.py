"""Which figures are asked for, and what came of each."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from matplotlib.figure import Figure

from results.collect import Run
from results.grouping import by_panel
from results.render import file_name

NUMBERS = "its numbers"


@dataclass(frozen=True)
class Planned:
    """A figure that is asked for.

    Attributes:
        name: of its files, without suffix.
        caption: what it shows.
        draw: makes it; raises a RunError where it cannot be made.
        tabulated: what of it stands in tables, too; '' if it is alone in the picture.
    """

    name: str
    caption: str
    draw: Callable[[], Figure]
    tabulated: str = ""


@dataclass(frozen=True)
class Told:
    """What came of a figure.

    Attributes:
        name, caption, tabulated: as Planned.
        reason: why it was not made, None if it was.
    """

    name: str
    caption: str
    tabulated: str
    reason: str | None = None

    @property
    def line(self) -> str:
        """The name, and the reason if there is one."""
        return self.name if self.reason is None else f"{self.name}: {self.reason}"


def of_panels(
    runs: list[Run],
    name: str,
    caption: str,
    draw: Callable[[list[Run]], Figure],
    tabulated: str = "",
) -> list[Planned]:
    """Return a figure for each network and split, whose name and caption say which it is of."""
    return [
        Planned(file_name(name, panel), f"{caption}, {panel}", partial(draw, part), tabulated)
        for panel, part in by_panel(runs).items()
    ]
