"""All figures that can be made from the runs at hand."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from records.errors import RunError
from results.collect import Run
from results.departures import not_imagenet
from results.figures import style
from results.figures.accuracies import accuracies
from results.figures.activation_maps import activation_maps, comparable, read_activations
from results.figures.curves import curves
from results.figures.drawing import padding_layer
from results.figures.each_run import each_run
from results.tables.rows import groups

_COMMAND = "python -m commands.activations RUN_DIR ... --images INDEX ... --out FOLDER"

Drawings = list[tuple[str, Callable[[], Figure]]]  # name of the files, and what draws them


def make_figures(
    runs: list[Run], out: Path, activations: Path | None = None, data: Path | None = None
) -> list[str]:
    """Write the figures as <name>.svg and <name>.png, and tell of each, in the paper's order.

    The paper's numbers are drawn beside the runs' own where nothing sets those apart from it.

    Args:
        runs: of one study, as `collect` returns them.
        out: folder, made where there is none.
        activations: folder of what commands/activations.py wrote (Fig. 5).
        data: the images' folder (Fig. 4); None: the runs' own data.root.

    Returns:
        The name of each figure that was written, '<name>: <reason>' of each that cannot be made.

    Raises:
        FileError: `out` cannot be written.
    """
    paper = not not_imagenet(runs)
    drawings: Drawings = [
        ("fig_1_best", partial(accuracies, runs, "best", paper)),
        ("fig_1_last5_avg", partial(accuracies, runs, "last5_avg", paper)),
        ("fig_2_padding", padding_layer),
        *_by_network(runs, "fig_3", curves),
        # Fig. 4, the images of `data`: its pairs of name and function go here.
        *_activations(activations),
        *_by_network(runs, "runs", each_run),
    ]
    told = []
    for name, draw in drawings:
        try:
            figure = draw()
        except RunError as error:
            told.append(f"{name}: {error}")
            continue
        style.save(figure, out, name)
        told.append(name)
    return told


def _by_network(runs: list[Run], name: str, draw: Callable[[list[Run]], Figure]) -> Drawings:
    archs = dict.fromkeys(arch for arch, _ in groups(runs))  # in the paper's order
    return [
        (f"{name}_{arch}", partial(draw, [run for run in runs if run.arch == arch]))
        for arch in archs
    ]


def _activations(folder: Path | None) -> Drawings:
    try:
        compared = comparable(read_activations(folder)) if folder else {}
    except RunError as error:
        return [("fig_5", partial(_refuse, str(error)))]
    if not compared:
        return [("fig_5", partial(_refuse, f"no activations; {_COMMAND}"))]
    return [(f"fig_5_{arch}", partial(activation_maps, found)) for arch, found in compared.items()]


def _refuse(reason: str) -> Figure:
    raise RunError(reason)
