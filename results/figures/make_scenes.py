"""The figures of segmentation runs (Section 4.2)."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from matplotlib.figure import Figure

from records.errors import RunError
from results import printed
from results.collect import Run
from results.departures import not_cityscapes
from results.figures.accuracies import accuracies
from results.figures.border_distance import border_curves
from results.figures.curves import curves
from results.figures.each_run import each_run
from results.figures.left_out import left_out_samples
from results.figures.side_by_side import side_by_side
from results.mode_scores import own_scores
from results.saved_predictions import has_scenes
from results.tables.diverged import without_diverged
from results.tables.matched import matched

Drawings = list[tuple[str, Callable[[], Figure]]]  # name of the files, and what draws them


def scene_drawings(runs: list[Run], data: Path | None = None) -> Drawings:
    """Return what can be drawn of segmentation runs, in the paper's order.

    Args:
        runs: of segmentation, as `collect` returns them; none: nothing is drawn.
        data: the data set's folder; None: the runs' own data.root.
    """
    if not runs:
        return []
    return [
        ("miou_best", partial(accuracies, runs, "best", not not_cityscapes(runs))),
        *_by_panel(runs, "fig_6", partial(_side_by_side, "tile 1/3", data)),
        ("fig_7_left_out", partial(_left_out, data, runs)),
        *_by_panel(runs, "fig_8", partial(_side_by_side, "tile 0", data)),
        *_by_panel(runs, "border", _border),
        *_by_panel(runs, "curves", curves),
        *_by_panel(runs, "runs", each_run),
    ]


def _by_panel(runs: list[Run], name: str, draw: Callable[[list[Run]], Figure]) -> Drawings:
    """Return a drawing for each network and split."""
    ordered = sorted(runs, key=lambda run: (printed.place(run.arch, ""), run.split))
    return [
        (f"{name}_{panel.replace(' ', '_')}", partial(draw, [r for r in runs if r.panel == panel]))
        for panel in dict.fromkeys(run.panel for run in ordered)
    ]


def _left_out(data: Path | None, runs: list[Run]) -> Figure:
    settings = runs[0].settings
    tile = next((one.tile for one in own_scores(runs)), settings.get("eval.tile", 1024))
    return left_out_samples(data or Path(settings["data.root"]), tile)


def _side_by_side(mode: str, data: Path | None, runs: list[Run]) -> Figure:
    """Draw the pair of the closest regular mIoU among the runs whose predictions are at hand."""
    kept, notes = without_diverged(runs, ("best",))
    pair = matched([one for one in own_scores(kept) if has_scenes(one, mode)])
    if pair is None:
        raise RunError(
            "no predictions of a zero and of a partial run; evaluate.py RUN_DIR ... "
            "--save-predictions makes them"
        )
    return side_by_side(pair, mode, data or Path(pair[0].run.settings["data.root"]), notes)


def _border(runs: list[Run]) -> Figure:
    kept, notes = without_diverged(runs, ("best",))
    return border_curves(own_scores(kept), notes)
