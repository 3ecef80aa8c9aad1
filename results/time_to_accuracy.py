"""How many epochs an accuracy takes (Section 4.1, Fig. 3)."""

import math
from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from statistics import mean

from records.score import SCORES
from results import printed
from results.collect import Run
from results.diverged import without_diverged

Curve = Sequence[Fraction]  # percent, exact, after each epoch
Curves = Mapping[str, Mapping[int, Curve]]  # {padding: {seed: curve}}


def curves_of(runs: Iterable[Run]) -> dict[str, dict[int, list[Fraction]]]:
    """Return {padding: {seed: per-epoch score}} of a network's finished runs, in paper's order."""
    curves: dict[str, dict[int, list[Fraction]]] = {}
    for run in sorted(runs, key=lambda run: (printed.place(run.arch, run.padding), run.seed)):
        if run.finished:
            value = SCORES[run.settings["task"]].value
            curves.setdefault(run.padding, {})[run.seed] = [value(row) for row in run.rows]
    return curves


def at_level(runs: list[Run]) -> tuple[dict[str, dict[int, list[Fraction]]], float, tuple]:
    """Return a network's curves, the accuracy to compare them at, and a note of what is left out.

    The accuracy is `default_accuracy`: one for the network, wherever it stands.

    Args:
        runs: of one network and split, one of them finished; those that diverged do not count.
    """
    kept, notes = without_diverged(runs)
    curves = curves_of(kept)
    return curves, default_accuracy(curves), notes


def epochs_to(curves: Curves, accuracy: float) -> dict[str, dict[int, int | None]]:
    """Return the first epoch after which each curve is at `accuracy` or above.

    Epochs count from 0, as in metrics.jsonl. Shown to people they count from 1: the paper's model
    "takes 63 epochs to achieve the score" of 74.9 % (Section 4.1), which is a number of epochs.

    Args:
        curves: {padding: {seed: percent after each epoch}}.
        accuracy: in percent.

    Returns:
        {padding: {seed: epoch, None where the accuracy is never reached}}.
    """
    return {
        padding: {seed: first_epoch(curve, accuracy) for seed, curve in seeds.items()}
        for padding, seeds in curves.items()
    }


def default_accuracy(curves: Curves) -> float:
    """Return the accuracy to compare at where nobody names one, in percent.

    It is one point below the highest multiple of 0.1 that every run reaches: the highest itself is
    met by chance, late, where the curves are flat. Under zero and partial padding, where both are
    there: a third padding must not move their comparison. For ResNet-50 the paper's own runs
    (Table 2) make it 74.9, the paper's example.
    """
    both = {padding: curves[padding] for padding in ("zero", "partial") if padding in curves}
    compared = both if len(both) == 2 else curves
    reached = min(max(curve) for seeds in compared.values() for curve in seeds.values())
    return max(math.floor(reached * 10) - 10, 0) / 10


LEVEL = (
    "The accuracy: one point below the highest 0.1 that every zero and partial run of the network "
    "reaches (every run, where one of the two is missing)."
)


def first_epoch(curve: Curve, accuracy: float) -> int | None:
    """Return the first epoch, from 0, after which a curve is at `accuracy` or above."""
    return next((i for i, value in enumerate(curve) if float(value) >= accuracy), None)


def mean_curve(seeds: Mapping[int, Curve]) -> list[Fraction]:
    """Return the mean over the seeds after each epoch."""
    return [mean(values) for values in zip(*seeds.values(), strict=True)]
