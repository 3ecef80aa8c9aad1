"""Every run's curves: what a mean hides, a run that goes astray above all."""

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from records.errors import RunError
from records.score import SCORES
from results import printed
from results.collect import Run
from results.figures import style

RUNS = "Every run's curves"


@style.styled
def each_run(runs: list[Run]) -> Figure:
    """Return validation score and training loss of each run after every epoch.

    Args:
        runs: of one network and split; unfinished ones too, as far as they are.

    Raises:
        RunError: none has finished an epoch.
    """
    shown = [run for run in runs if run.rows]
    if not shown:
        raise RunError("no epoch is finished")
    score = SCORES[shown[0].settings["task"]]
    figure = Figure(figsize=(8.4, 3.8))
    left, right = figure.subplots(1, 2)
    seen: set[str] = set()
    looks = style.looks({run.padding for run in shown})
    for run in sorted(shown, key=lambda run: (printed.place(run.arch, run.padding), run.seed)):
        look = looks[run.padding]
        trained = [score.done(row) for row in run.rows]
        for axes, key in ((left, score.key), (right, "train_loss")):
            values = [row.get(key) for row in run.rows]
            if any(value is None for value in values):
                continue
            label = run.padding if axes is left and run.padding not in seen else None
            axes.plot(trained, values, color=look.colour, ls=look.line, lw=0.8, label=label)
            if not run.finished:  # where it stands
                axes.plot(trained[-1:], values[-1:], color=look.colour, marker="x")
        seen.add(run.padding)
    left.set_ylabel(f"{score.title}, validation (%)")
    right.set_ylabel("training loss")
    left.set_title(shown[0].panel)
    for axes in (left, right):
        axes.grid(True, axis="y")
        axes.set_xlabel(f"{score.unit} trained")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    figure.legend(loc="outside upper center", ncols=4, handlelength=4)
    style.caption(figure, "A line a run; a cross where an unfinished one stands.")
    return figure
