"""How many epochs an accuracy takes (Section 4.1, Fig. 3)."""

from statistics import fmean

from results import printed
from results.collect import Run
from results.notes import about
from results.render import Table
from results.time_to_accuracy import LEVEL, at_level, epochs_to, first_epoch, mean_curve


def epochs_table(runs: list[Run], accuracy: float | None = None) -> Table:
    """Return how many epochs each padding takes to an accuracy, counted from 1 (Fig. 3).

    Args:
        runs: of any networks; unfinished ones do not count.
        accuracy: in percent; None: each network's level, `at_level`.
    """
    rows, left = [], []
    finished = [run for run in sorted(runs, key=_place) if run.finished]
    for arch in dict.fromkeys(run.arch for run in finished):
        measured, level, apart = at_level([run for run in finished if run.arch == arch])
        left += apart
        asked = level if accuracy is None else accuracy
        for padding, seeds in epochs_to(measured, asked).items():
            taken = [epoch + 1 for epoch in seeds.values() if epoch is not None]
            curve = first_epoch(mean_curve(measured[padding]), asked)
            cells = (f"{fmean(taken):.1f}", str(min(taken)), str(max(taken))) if taken else ()
            rows.append(
                (printed.network(arch, padding), f"{asked:g}")
                + (*(cells or ("", "", "")), f"{len(taken)}/{len(seeds)}")
                + ("" if curve is None else str(curve + 1),)
            )
    columns = ("Network", "accuracy", "mean", "min", "max", "seeds that reach it", "mean curve")
    notes = ["Epochs trained until a validation accuracy is first reached; mean over the seeds."]
    if accuracy is None:
        notes.append(LEVEL)
    notes.append("Paper, mean curve of ResNet-50 at 74.9 %: zero 68 epochs, partial 63.")
    notes += (*left, *about(runs))
    title = "Figure 3: Epochs to an accuracy"
    return Table("fig_3_epochs", title, 1, columns, tuple(rows), tuple(notes))


def _place(run: Run) -> tuple:
    return printed.place(run.arch, run.padding)
