"""What a user says of the figures."""

from dataclasses import dataclass
from pathlib import Path

from foundation.homes import expanded
from results.collect import Run


@dataclass(frozen=True)
class Choices:
    """What figures are made of beside the runs.

    Attributes:
        activations: folder of what commands/activations.py wrote (Fig. 5).
        data: the images' folder (Figs. 4, 6 to 8); None: the runs' own data.root.
        accuracy: that Fig. 3 counts epochs to, in percent; None: each network's own.
    """

    activations: Path | None = None
    data: Path | None = None
    accuracy: float | None = None

    def images(self, run: Run) -> Path:
        """Return the folder of a run's images."""
        return self.data or expanded(run.settings["data.root"], "data.root")


NONE = Choices()
