"""What a set of runs says to a claim: effect, interval, corrected p, verdict."""

from dataclasses import dataclass
from statistics import stdev
from typing import Any

from results.statistics import Difference, Values, holm, seeds_needed

ALPHA = 0.05
POOLED = "all networks"


@dataclass(frozen=True)
class Finding:
    """What one set of runs says to one claim of one network.

    Attributes:
        test: its name.
        effect: with its unit and, in brackets, its 95 % confidence interval.
        p: corrected by Holm within its claim's family; None where nothing can be tested.
        verdict: 'supported', 'not decided' or 'contradicted'.
        seeds: runs a padding with which the effect is found in 80 % of studies.
    """

    test: str
    effect: str
    p: float | None
    verdict: str
    seeds: str = ""


Findings = dict[tuple[str, str], Finding]  # by claim and network


def corrected(tests: dict[Any, float | None]) -> dict[Any, float | None]:
    """Return a family's p-values, corrected by Holm."""
    return dict(zip(tests, holm(list(tests.values())), strict=True))


def directed(known: Difference, p: float | None, seeds: str = "", unit: str = "points") -> Finding:
    """Return what a difference says to a claim that it is above 0."""
    interval = "" if known.interval is None else " [{:+.3f}, {:+.3f}]".format(*known.interval)
    return Finding(
        f"{known.method} t, n = {known.n}",
        f"{known.mean:+.3f}{interval} {unit}",
        p,
        verdict(known.mean > 0, p),
        seeds,
    )


def verdict(right: bool, p: float | None) -> str:
    """Return what a corrected p says to a claim in whose direction the effect is, or is not."""
    if p is None or p >= ALPHA:
        return "not decided"
    return "supported" if right else "contradicted"


def runs_needed(known: Difference, sides: tuple[Values, Values]) -> str:
    """Return the runs a side that find a difference in 80 % of studies, '' where unknown."""
    if any(len(side) < 2 for side in sides):
        return ""
    runs = seeds_needed(known.mean, [stdev(side.values()) for side in sides])
    return "" if runs is None else str(runs)
