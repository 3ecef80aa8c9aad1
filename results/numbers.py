"""The numbers that stand for runs, ours and the paper's, by network, padding and seed."""

from functools import cache
from typing import Literal, get_args

from records.errors import RunError
from results import printed
from results.checked import again, checked, place
from results.collect import Run
from results.grouping import by_split, groups
from results.mode_scores import alike, mode_scores
from results.statistics import Values

Measure = Literal["best", "last5_avg"]
MEASURES: tuple[Measure, ...] = get_args(Measure)
Key = tuple[str, str, str]  # split, network, padding
Numbers = dict[tuple[str, str], Values]  # by network and padding, percent
Accuracies = dict[tuple[str, str, str], Values]  # by network, training and inference padding


def numbers_of(runs: list[Run], measure: Measure) -> Numbers:
    """Return the finished runs' numbers by network, padding and seed, in the paper's order."""
    return {
        key: {run.seed: getattr(run, measure) for run in group if run.finished}
        for key, group in groups(runs).items()
    }


@cache
def printed_numbers(number: int) -> Numbers:
    """Return the paper's own runs (Table 2 or 3); their columns stand for seeds."""
    suffix = {2: "_best", 3: "_last5_avg"}[number]
    rows = {row["Network"]: row for row in printed.table(number)}
    return {
        (arch, padding): {
            int(column.removesuffix(suffix)): float(text)
            for column, text in rows[printed.network(arch, padding)].items()
            if column.endswith(suffix)
        }
        for arch in printed.ARCHITECTURES
        for padding in printed.PADDINGS
    }


def miou_numbers(runs: list[Run]) -> dict[Key, Values]:
    """Return the finished runs' best mIoU by split, network, padding and seed, in percent."""
    return {
        (split, *key): values
        for split, part in by_split(runs).items()
        for key, values in numbers_of(part, "best").items()
    }


def printed_miou_numbers() -> dict[Key, Values]:
    """Return Table 5's own runs; their columns stand for seeds."""
    return {
        (split, *key): values
        for split, rows in printed.miou_runs().items()
        for key, values in rows.items()
    }


def evaluated(runs: list[Run]) -> Accuracies:
    """Return every evaluation's top-1 or regular mIoU by network, both paddings, and seed.

    The first padding is the training's, the second the inference's.

    Raises:
        RunError: as cross_table.
    """
    finished = [run for run in runs if run.finished and run.evaluations]
    alike([mode_scores(run, used) for run in finished if run.split for used in run.evaluations])
    return {
        (arch, trained, used): {
            run.seed: _evaluated(run, used) for run in group if used in run.evaluations
        }
        for (arch, trained), group in groups(finished).items()
        for used in _in_order(trained, {name for run in group for name in run.evaluations})
    }


def _evaluated(run: Run, padding: str) -> float:
    if run.split:
        return mode_scores(run, padding).modes["regular"]
    result = checked(run, padding)
    correct, said = result.get("correct1"), result.get("top1")
    top1 = 100 * correct / result["count"] if type(correct) is int else None
    if top1 is None or not isinstance(said, int | float) or not abs(said - top1) < 1e-6:
        raise RunError(
            f"{place(run, padding)}: top1 {said} is not {correct} of {result['count']} images in "
            f"percent; {again(run, padding)}"
        )
    return top1


def _in_order(trained: str, used: set[str]) -> list[str]:
    """Return the training padding first, then the others in the paper's order."""
    return sorted(used, key=lambda name: (name != trained, printed.place("", name)))
