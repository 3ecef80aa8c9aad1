"""Fig. 1: the accuracy of every run, a panel a network (and split)."""

from statistics import fmean

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from records.errors import RunError
from records.score import SCORES
from results import printed
from results.collect import Run
from results.diverged import diverged_runs, with_note
from results.figures import style
from results.grouping import by_panel
from results.notes import few_epochs
from results.numbers import Measure, numbers_of
from results.statistics import half_interval

_TABLE = {"best": 2, "last5_avg": 3}  # the paper's, of the printed means
_TOLD = {"best": "of the best epoch", "last5_avg": "mean of the last 5 epochs"}
_COLUMNS = 3  # panels side by side


@style.styled
def accuracies(runs: list[Run], measure: Measure = "best", paper: bool = False) -> Figure:
    """Return Fig. 1: all paddings of a network side by side, each run a dot.

    The bar is the mean over the seeds, its whiskers the mean's 95 % interval (Student's t); a
    padding with one seed has its dot alone. Each panel has an axis of its own.

    Args:
        runs: of one task, as `collect` returns them; unfinished ones do not count.
        measure: 'best' (Tables 2, 5) or 'last5_avg' (Table 3), in percent.
        paper: the runs can be compared with the paper's: its printed means are drawn hollow.

    Raises:
        RunError: no run is finished.
    """
    values = _values(runs, measure)
    if not values:
        raise RunError("no run is finished")
    means = _printed(measure, runs[0].task) if paper else {}
    rows = -(-len(values) // _COLUMNS)
    columns = min(len(values), _COLUMNS)
    widest = max(map(len, values.values()))
    several = any(len(runs) > 1 for groups in values.values() for runs in groups.values())
    figure = Figure(figsize=(max(4.5, columns * (1.2 + 0.6 * widest)), 0.8 + 2.9 * rows))
    figure.get_layout_engine().set(hspace=0.06)
    panels = [*figure.subplots(rows, columns, squeeze=False).flat]
    looks = style.looks({padding for groups in values.values() for padding in groups})
    for panel, (name, groups) in zip(panels, values.items(), strict=False):
        _panel(panel, groups, {padding: means.get((name, padding)) for padding in groups}, looks)
        panel.set_title(name)
    for unused in panels[len(values) :]:
        unused.remove()
    score = SCORES[runs[0].settings["task"]].title
    figure.supylabel(f"{score}, {_TOLD[measure]} (%)", fontsize=9)
    figure.legend(handles=_legend(several, bool(means)), loc="outside upper center", ncols=4)
    unfinished = sum(not run.finished for run in runs)
    style.caption(
        figure,
        f"Unfinished and not shown: {unfinished} of {len(runs)} runs." if unfinished else "",
        *few_epochs(runs, measure),
        *with_note(diverged_runs(runs, (measure,))),
    )
    return figure


def _values(runs: list[Run], measure: Measure) -> dict[str, dict[str, list[float]]]:
    """Return {network and split: {padding: percents}}, in the paper's order, of finished runs."""
    return {
        panel: {
            padding: [*values.values()]
            for (_, padding), values in numbers_of(part, measure).items()
        }
        for panel, part in by_panel([run for run in runs if run.finished]).items()
    }


def _printed(measure: Measure, task: str) -> dict[tuple[str, str], float]:
    if task == "segmentation":
        cells = [
            (split, *key, printed.miou_row(*key, split)["mean"])
            for split, rows in printed.miou_runs().items()
            for key in rows
        ]
        return {(f"{arch} {split}", padding): float(mean) for split, arch, padding, mean in cells}
    rows = {row["Network"]: float(row["average"]) for row in printed.table(_TABLE[measure])}
    return {
        (arch, padding): rows[printed.network(arch, padding)]
        for arch in printed.ARCHITECTURES
        for padding in printed.PADDINGS
    }


def _panel(
    panel: Axes,
    groups: dict[str, list[float]],
    papers_mean: dict[str, float | None],
    looks: dict[str, style.Look],
) -> None:
    for place, (padding, values) in enumerate(groups.items()):
        look = looks[padding]
        # Side by side in the order of the seeds, so that equal values do not hide each other.
        spread = np.linspace(-0.36, -0.04, len(values)) if len(values) > 1 else np.zeros(1)
        panel.plot(place + spread, values, look.marker, color=look.colour, alpha=0.75, mew=0)
        reach = half_interval(values)
        if reach is not None:
            panel.errorbar(place + 0.2, fmean(values), reach, color=style.INK, capsize=3, lw=1.2)
            panel.plot([place + 0.12, place + 0.28], [fmean(values)] * 2, color=style.INK, lw=2.2)
        if (mean := papers_mean[padding]) is not None:
            panel.plot(place + 0.42, mean, "o", mfc="white", mec=style.INK, ms=5.5, clip_on=False)
    panel.set_xticks(range(len(groups)), list(groups))
    panel.set_xlim(-0.55, len(groups) - 0.4)
    panel.yaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10]))
    panel.ticklabel_format(axis="y", useOffset=False)
    panel.grid(True, axis="y")


def _legend(intervals: bool, paper: bool) -> list[Line2D]:
    def mark(label: str, marker: str, **more: object) -> Line2D:
        return Line2D([], [], ls="", color=style.INK, marker=marker, label=label, **more)

    shown = [mark("a run", "o", mew=0)]
    shown += [mark("mean and its 95 % interval", "_", ms=9, mew=2)] if intervals else []
    return shown + ([mark("the paper's mean", "o", mfc="white")] if paper else [])
