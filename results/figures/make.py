"""All figures that can be made from the runs at hand."""

from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from records.errors import RunError
from results.collect import Run, of_task
from results.departures import not_imagenet
from results.figures import style
from results.figures.accuracies import accuracies
from results.figures.activation_maps import activation_maps, comparable, read_activations
from results.figures.choices import NONE, Choices
from results.figures.contact_sheet import contact_sheet, images
from results.figures.curves import curves
from results.figures.drawing import padding_layer
from results.figures.each_run import RUNS, each_run
from results.figures.make_scenes import of_scenes
from results.figures.planned import NUMBERS, Planned, Told, of_panels
from results.figures.where import where
from results.known import zero_and_partial
from results.predictions import Predictions, predictions
from results.render import file_name

_COMMAND = "python -m commands.activations RUN_DIR ... --images INDEX ... --out FOLDER"


def make_figures(runs: list[Run], out: Path, choices: Choices = NONE) -> list[Told]:
    """Write the figures as <name>.svg and <name>.png, and tell of each, in the paper's order.

    The paper's numbers are drawn beside the runs' own where nothing sets those apart from it.

    Args:
        runs: as `collect` returns them, of one task or both.
        out: folder, made where there is none.
        choices: what else they are made of.

    Raises:
        FileError: `out` cannot be written.
    """
    planned = _of_images(of_task(runs, "classification"), choices)
    planned += of_scenes(of_task(runs, "segmentation"), choices)
    told = []
    for one in planned:
        reason = None
        try:
            style.save(one.draw(), out, one.name)
        except RunError as error:
            reason = str(error)
        told.append(Told(one.name, one.caption, one.tabulated, reason))
    return told


def _of_images(runs: list[Run], choices: Choices) -> list[Planned]:
    """Return what can be drawn of classification runs; without any, of no runs at all."""
    told = "Fig. 2: what partial convolution based padding does"
    drawing = Planned("fig_2_padding", told, padding_layer)
    maps = _activations(choices.activations)
    if not runs:
        return [drawing, *(maps if choices.activations else [])]
    epochs = partial(curves, accuracy=choices.accuracy)
    paper = not not_imagenet(runs)
    dots = [
        Planned(f"fig_1_{measure}", told, partial(accuracies, runs, measure, paper), NUMBERS)
        for measure, told in _DOTS.items()
    ]
    return [
        *dots,
        drawing,
        *of_panels(runs, "fig_3", "Fig. 3: accuracy over the epochs", epochs, _EPOCHS),
        *of_panels(runs, "fig_4", _GAINED, partial(_sheet, choices), NUMBERS),
        *maps,
        *of_panels(runs, "where", "Where partial padding helps", _where, NUMBERS),
        *of_panels(runs, "runs", RUNS, each_run),
    ]


_DOTS = {
    "best": "Fig. 1: the best epoch's top-1; every run, means and their intervals",
    "last5_avg": "Fig. 1: the mean of the last five epochs; every run, means and intervals",
}
_EPOCHS = "the epochs that it marks"
_GAINED = "Fig. 4: images that partial padding gets right and zero padding does not"


def _own(runs: list[Run]) -> list[Predictions]:
    return [predictions(run, run.padding) for run in runs]


def _sheet(choices: Choices, runs: list[Run]) -> Figure:
    zero, partial, notes = zero_and_partial(runs)
    split = images(choices.images(zero[0]), zero[0].settings.get("data.exclude"))
    return contact_sheet(_own(zero), _own(partial), split, zero[0].arch, notes)


def _where(runs: list[Run]) -> Figure:
    zero, partial, notes = zero_and_partial(runs)
    return where(_own(zero), _own(partial), zero[0].arch, notes)


def _activations(folder: Path | None) -> list[Planned]:
    told = "Fig. 5: activation maps"
    try:
        compared = comparable(read_activations(folder)) if folder else {}
        reason = f"no activations; {_COMMAND}"
    except RunError as error:
        compared, reason = {}, str(error)
    if not compared:
        return [Planned("fig_5", told, partial(_refuse, reason))]
    return [
        Planned(file_name("fig_5", arch), f"{told}, {arch}", partial(activation_maps, found))
        for arch, found in compared.items()
    ]


def _refuse(reason: str) -> Figure:
    raise RunError(reason)
