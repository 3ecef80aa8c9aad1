"""What a set of runs says to a claim: effect, interval, corrected p, verdict."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
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


def directed(known: Difference, p: float | None, unit: str = "points") -> Finding:
    """Return what a difference says to a claim that it is above 0.

    Args:
        known: the difference.
        p: of none, corrected.
        unit: of the difference.
    """
    return finding_of(known, "t", p, verdict(known.mean > 0, p), unit)


def finding_of(
    known: Difference, test: str, p: float | None, said: str, unit: str = "points"
) -> Finding:
    """Return what a test of a difference says; of one without a spread, why there is none."""
    interval = "" if known.interval is None else " [{:+.3f}, {:+.3f}]".format(*known.interval)
    effect = f"{known.mean:+.3f}{interval} {unit}"
    if known.error is None:
        told = f"n = {known.n}, all alike: no test" if known.spreads else "one run, no test"
        return Finding(told, effect, p, said)
    needed = seeds_needed(known.mean, known.spreads, known.networks)
    return Finding(f"{known.method} {test}, n = {known.n}", effect, p, said, f"{needed or ''}")


def verdict(right: bool, p: float | None) -> str:
    """Return what a corrected p says to a claim in whose direction the effect is, or is not."""
    if p is None or p >= ALPHA:
        return "not decided"
    return "supported" if right else "contradicted"


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
    finding = directed(known, known.p)
    return replace(finding, test=finding.test + without)
