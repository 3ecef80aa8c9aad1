"""All figures that can be made from the runs at hand."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from records.errors import RunError
from results.collect import Run, of_task
from results.departures import not_imagenet
from results.figures import style
from results.figures.accuracies import accuracies
from results.figures.activation_maps import activation_maps, comparable, read_activations
from results.figures.contact_sheet import contact_sheet, images
from results.figures.curves import curves
from results.figures.drawing import padding_layer
from results.figures.each_run import each_run
from results.figures.make_scenes import Drawings, scene_drawings
from results.figures.where import where
from results.known import zero_and_partial
from results.predictions import Predictions, predictions
from results.tables.rows import groups

_COMMAND = "python -m commands.activations RUN_DIR ... --images INDEX ... --out FOLDER"


def make_figures(
    runs: list[Run], out: Path, activations: Path | None = None, data: Path | None = None
) -> list[str]:
    """Write the figures as <name>.svg and <name>.png, and tell of each, in the paper's order.

    The paper's numbers are drawn beside the runs' own where nothing sets those apart from it.

    Args:
        runs: as `collect` returns them, of one task or both.
        out: folder, made where there is none.
        activations: folder of what commands/activations.py wrote (Fig. 5).
        data: the images' folder (Figs. 4, 6 to 8); None: the runs' own data.root.

    Returns:
        The name of each figure that was written, '<name>: <reason>' of each that cannot be made.

    Raises:
        FileError: `out` cannot be written.
    """
    drawings = _image_drawings(of_task(runs, "classification"), activations, data)
    drawings += scene_drawings(of_task(runs, "segmentation"), data)
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


def _image_drawings(runs: list[Run], activations: Path | None, data: Path | None) -> Drawings:
    """Return what can be drawn of classification runs; without any, of no runs at all."""
    if not runs:
        return [
            ("fig_2_padding", padding_layer),
            *(_activations(activations) if activations else []),
        ]
    paper = not not_imagenet(runs)
    return [
        ("fig_1_best", partial(accuracies, runs, "best", paper)),
        ("fig_1_last5_avg", partial(accuracies, runs, "last5_avg", paper)),
        ("fig_2_padding", padding_layer),
        *_by_network(runs, "fig_3", curves),
        *_by_network(runs, "fig_4", partial(_sheet, data)),
        *_activations(activations),
        *_by_network(runs, "where", _where),
        *_by_network(runs, "runs", each_run),
    ]


def _by_network(runs: list[Run], name: str, draw: Callable[[list[Run]], Figure]) -> Drawings:
    archs = dict.fromkeys(arch for arch, _ in groups(runs))  # in the paper's order
    return [
        (f"{name}_{arch}", partial(draw, [run for run in runs if run.arch == arch]))
        for arch in archs
    ]


def _own(runs: list[Run]) -> list[Predictions]:
    return [predictions(run, run.padding) for run in runs]


def _sheet(data: Path | None, runs: list[Run]) -> Figure:
    zero, partial, notes = zero_and_partial(runs)
    settings = zero[0].settings
    split = images(data or Path(settings["data.root"]), settings.get("data.exclude"))
    return contact_sheet(_own(zero), _own(partial), split, zero[0].arch, notes)


def _where(runs: list[Run]) -> Figure:
    zero, partial, notes = zero_and_partial(runs)
    return where(_own(zero), _own(partial), zero[0].arch, notes)


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
