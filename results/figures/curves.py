"""Fig. 3: accuracy after every epoch, and how many epochs an accuracy takes (Section 4.1)."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from records.errors import RunError
from records.score import SCORES
from results.collect import Run
from results.figures import style
from results.notes import unfinished
from results.time_to_accuracy import Curves, at_level, first_epoch, mean_curve

_ENOUGH = 10  # epochs that are worth a closer look at their last part


@style.styled
def curves(runs: list[Run], accuracy: float | None = None) -> Figure:
    """Return Fig. 3: each padding's mean over its seeds after every epoch, in a band min .. max.

    A dot marks the first epoch after which the mean curve is at `accuracy` or above.

    Args:
        runs: of one network and split; unfinished and diverged ones do not count.
        accuracy: to mark, in percent; None: the network's level, `at_level`.

    Raises:
        RunError: no run is finished.
    """
    if not any(run.finished for run in runs):
        raise RunError("no run is finished")
    measured, level, left = at_level(runs)
    level = level if accuracy is None else accuracy
    longest, score = max((run.rows for run in runs if run.finished), key=len), SCORES[runs[0].task]
    trained = [score.done(row) for row in longest]
    panels = 2 if len(trained) >= _ENOUGH else 1
    figure = Figure(figsize=(8.4 if panels == 2 else 5.6, 3.8))
    panel, *close = figure.subplots(1, panels, squeeze=False).flat
    for axes in (panel, *close):
        _lines(axes, measured, trained, level)
        axes.grid(True, axis="y")
        axes.set_xlabel(f"{score.unit} trained")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panel.set_xlim(0, trained[-1] * 1.02)
    for axes in close:
        _zoom(axes, measured, trained)
        axes.set_title(f"the last 40 % of the {score.unit}")
    panel.set_title(runs[0].panel)
    panel.set_ylabel(f"{score.title}, validation (%)")
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, handlelength=4)
    style.caption(
        figure,
        f"Lines: mean over the seeds; bands: lowest to highest; marks: first mean of "
        f"{level:g} % or more.",
        *left,
        *unfinished(runs),
    )
    return figure


def _lines(axes: Axes, measured: Curves, trained: list[int], level: float) -> None:
    axes.axhline(level, color=style.PALE, lw=0.8)
    looks = style.looks(measured)
    for padding, seeds in measured.items():
        look, curve = looks[padding], mean_curve(seeds)
        low, high = zip(*((min(v), max(v)) for v in zip(*seeds.values(), strict=True)), strict=True)
        places = trained[: len(curve)]
        if len(seeds) > 1:
            axes.fill_between(
                places, [*map(float, low)], [*map(float, high)], color=look.colour, alpha=0.15, lw=0
            )
        first = first_epoch(curve, level)
        told = "not reached" if first is None else f"after {trained[first]:,}"
        count = f"{len(seeds)} seed{'s' if len(seeds) > 1 else ''}"
        axes.plot(
            places,
            [*map(float, curve)],
            color=look.colour,
            ls=look.line,
            marker=look.marker,
            markevery=[] if first is None else [first],
            label=f"{padding} ({count}): {level:g} % {told}",
        )


def _zoom(axes: Axes, measured: Curves, trained: list[int]) -> None:
    """Show the last part of training, where the curves lie within a few points."""
    start = len(trained) * 6 // 10
    shown = [float(value) for seeds in measured.values() for value in mean_curve(seeds)[start:]]
    margin = 0.08 * (max(shown) - min(shown)) or 1.0
    first, last = trained[start], trained[-1]
    axes.set_xlim(first, last + 0.02 * (last - first))
    axes.set_ylim(min(shown) - margin, max(shown) + margin)
