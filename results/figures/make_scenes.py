"""The figures of segmentation runs (Section 4.2)."""

from functools import partial

from matplotlib.figure import Figure

from records.errors import RunError
from results.collect import Run
from results.departures import not_cityscapes
from results.diverged import without_diverged
from results.figures.accuracies import accuracies
from results.figures.border_distance import border_curves
from results.figures.choices import Choices
from results.figures.curves import curves
from results.figures.each_run import RUNS, each_run
from results.figures.left_out import left_out_samples
from results.figures.planned import NUMBERS, Planned, of_panels
from results.figures.side_by_side import RULE, side_by_side
from results.mode_scores import own_scores
from results.pairing import matched
from results.saved_predictions import has_scenes

_PAIR = f"image, truth, zero, partial, on tiles %s overlap: {RULE}"
_DOTS = "The best epoch's mIoU; every run, means and their intervals (Table 5)"
_LEFT_OUT = "Fig. 7: what Table 7's proportions leave out of the centre"


def of_scenes(runs: list[Run], choices: Choices) -> list[Planned]:
    """Return what can be drawn of segmentation runs, in the paper's order.

    Args:
        runs: of segmentation, as `collect` returns them; none: nothing is drawn.
        choices: where the images are.
    """
    if not runs:
        return []
    dots = partial(accuracies, runs, "best", not not_cityscapes(runs))
    overlapping, apart = (partial(_side_by_side, mode, choices) for mode in ("tile 1/3", "tile 0"))
    return [
        Planned("miou_best", _DOTS, dots, NUMBERS),
        *of_panels(runs, "fig_6", f"Fig. 6: {_PAIR % 'with 1/3'}", overlapping),
        Planned("fig_7_left_out", _LEFT_OUT, partial(_left_out, choices, runs)),
        *of_panels(runs, "fig_8", f"Fig. 8: {_PAIR % 'without'}", apart),
        *of_panels(runs, "border", "mIoU by the distance to the border", _border, NUMBERS),
        *of_panels(runs, "curves", "mIoU over the iterations", curves),
        *of_panels(runs, "runs", RUNS, each_run),
    ]


def _left_out(choices: Choices, runs: list[Run]) -> Figure:
    own = runs[0].settings.get("eval.tile", 1024)
    tile = next((one.tile for one in own_scores(runs)), own)
    return left_out_samples(choices.images(runs[0]), tile)


def _side_by_side(mode: str, choices: Choices, runs: list[Run]) -> Figure:
    """Draw the pair of the closest regular mIoU, as Tables 6 and 7 choose it."""
    kept, notes = without_diverged(runs, ("best",))
    pair = matched(own_scores(kept))
    if pair is None:
        raise RunError("no evaluation of a zero and of a partial run; evaluate.py makes them")
    if lacking := [f"{one.run.path}" for one in pair if not has_scenes(one, mode)]:
        raise RunError(
            f"no predictions of the pair with the closest regular mIoU; python evaluate.py "
            f"{' '.join(lacking)} --save-predictions makes them"
        )
    return side_by_side(pair, mode, choices.images(pair[0].run), notes)


def _border(runs: list[Run]) -> Figure:
    kept, notes = without_diverged(runs, ("best",))
    return border_curves(own_scores(kept), notes)
