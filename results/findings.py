"""What a set of runs says to a claim: effect, interval, corrected p, verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import stdev
from typing import Any

from results.power import seeds_needed
from results.statistics import Difference, Values, holm, pooled

ALPHA = 0.05
POOLED = "all networks"


@dataclass(frozen=True)
class Finding:
    """What one set of runs says to one claim of one network.

    Attributes:
        test: its name, with the networks that a pooled test leaves out.
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


def runs_needed(known: Difference, *sides: tuple[Values, Values]) -> str:
    """Return the runs a padding that find a difference in 80 % of studies, '' where unknown.

    Args:
        known: the difference.
        sides: its two sides; pooled, of each network.
    """
    if any(len(side) < 2 for both in sides for side in both):
        return ""
    runs = seeds_needed(known.mean, [stdev(side.values()) for both in sides for side in both])
    return "" if runs is None else str(runs)


Sides = Mapping[str, tuple[Values, Values]]  # by network: the two sides of a comparison


def poolable(sides: Sides) -> tuple[Sides, str]:
    """Return the networks with two runs a side, and the words that name the others.

    Where a single network has them there is nothing to pool, and all are returned.
    """
    kept = {name: both for name, both in sides.items() if min(map(len, both)) > 1}
    left = [name for name in sides if name not in kept]
    if len(kept) < 2 or not left:
        return sides, ""
    return kept, f", without {', '.join(left)}"


def pooled_finding(sides: Sides, pair: bool) -> Finding:
    """Return what the mean over networks says to a claim that the first sides are higher."""
    kept, without = poolable(sides)
    known = pooled(kept.values(), pair)
    finding = directed(known, known.p, runs_needed(known, *kept.values()))
    return replace(finding, test=finding.test + without)
