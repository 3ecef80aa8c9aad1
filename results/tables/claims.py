"""The claims of Sections 1 and 4.1, tested on the paper's printed runs and on ours beside them."""

from dataclasses import dataclass, replace
from statistics import NormalDist, stdev
from typing import Any

from results import printed
from results.collect import Run
from results.render import Table
from results.statistics import (
    Difference,
    Values,
    difference,
    holm,
    pooled,
    seeds_needed,
    variance_ratio,
)
from results.tables.accuracy import Measure, Numbers, numbers_of, printed_numbers
from results.tables.cross import Accuracies, evaluated
from results.tables.epochs import curves_of, default_accuracy, epochs_to
from results.tables.rows import p_cell

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


def claims_table(runs: list[Run], measure: Measure, margin: float) -> Table:
    """Return a row for each claim and network, the paper's runs and ours beside each other.

    Args:
        runs: of `collect`; none: the paper's alone.
        measure: Table 2's or Table 3's number of a run.
        margin: percentage points below which paddings are called similar.
    """
    number = 2 if measure == "best" else 3
    paper = _findings(printed_numbers(number), _printed_cross(), margin, pair=False)
    ours = _findings(numbers_of(runs, measure), evaluated(runs), margin, pair=True)
    ours |= _sooner(runs)
    keys = sorted(paper | ours, key=_place)
    nothing = Finding("", "", None, "")
    rows = [
        (claim, network, *_cells(paper.get(key, nothing)), *_cells(ours.get(key, nothing)))
        for key in keys
        for claim, network in [key]
    ]
    columns = ("test", "effect", "p (Holm)", "verdict", "seeds")
    sides = [f"{side}: {column}" for side in ("paper", "ours") for column in columns]
    return Table(
        name=f"claims_{measure}",
        title=f"The paper's claims, on its own printed runs and on ours ({measure} top-1)",
        names=2,
        columns=("claim", "network", *sides),
        rows=tuple(rows),
        notes=_notes(margin),
        bold=frozenset(
            (i, j)
            for i, row in enumerate(rows)
            for j, cell in enumerate(row)
            if cell in ("supported", "contradicted")
        ),
    )


BEATS = "partial beats zero (Sections 1, 4.1; Tables 2, 3)"
STEADIER = "partial spreads less than zero (Section 4.1)"
SIMILAR = "{} is similar to zero or worse (Section 4.1)"
SOONER = "partial needs fewer epochs than zero (Fig. 3)"
SUFFERS = "zero's weights lose more under partial than the reverse (Table 4)"
ONE_RUN = "one run of each shows that partial beats zero"
_ORDER = (BEATS, STEADIER, *(SIMILAR.format(p) for p in ("reflect", "replicate")), SOONER, SUFFERS)


def _place(key: tuple[str, str]) -> tuple:
    claim, network = key
    place = _ORDER.index(claim) if claim in _ORDER else len(_ORDER)
    return place, network == POOLED, printed.place(network, "")


def _cells(finding: Finding) -> tuple[str, ...]:
    return (finding.test, finding.effect, p_cell(finding.p), finding.verdict, finding.seeds)


def _findings(numbers: Numbers, cross: Accuracies, margin: float, pair: bool) -> Findings:
    """Return all that can be said of these numbers."""
    sides = {
        (arch, padding): (values, zero)
        for (arch, padding), values in numbers.items()
        if padding != "zero" and values and (zero := numbers.get((arch, "zero"), {}))
    }
    to_zero = {key: difference(*both, pair) for key, both in sides.items()}
    tested = _holm({key: known.p for key, known in to_zero.items()})
    others = {key: known for key, known in to_zero.items() if key[1] != "partial"}
    similar = _holm({key: known.equivalence(margin) for key, known in others.items()})
    partial = {arch: both for (arch, padding), both in sides.items() if padding == "partial"}
    found: dict[tuple[str, str], Finding | None] = {}
    for (arch, padding), known in to_zero.items():
        key = arch, padding
        if padding == "partial":
            found[BEATS, arch] = _directed(known, tested[key], _needed(known, sides[key]))
            found[ONE_RUN, arch] = _one_run(*sides[key])
        else:
            found[SIMILAR.format(padding), arch] = _similar(known, tested[key], similar[key])
    if len(partial) > 1:
        known = pooled(partial.values(), pair)
        found[BEATS, POOLED] = _directed(known, known.p)
    found |= _steadier(partial) | _suffers(cross, pair)
    return {key: one for key, one in found.items() if one}


def _holm(tests: dict[Any, float | None]) -> dict[Any, float | None]:
    return dict(zip(tests, holm(list(tests.values())), strict=True))


def _directed(known: Difference, p: float | None, seeds: str = "", unit: str = "points") -> Finding:
    """Return what a difference says to a claim that it is above 0."""
    interval = "" if known.interval is None else " [{:+.3f}, {:+.3f}]".format(*known.interval)
    return Finding(
        f"{known.method} t, n = {known.n}",
        f"{known.mean:+.3f}{interval} {unit}",
        p,
        _verdict(known.mean > 0, p),
        seeds,
    )


def _verdict(right: bool, p: float | None) -> str:
    if p is None or p >= ALPHA:
        return "not decided"
    return "supported" if right else "contradicted"


def _needed(known: Difference, sides: tuple[Values, Values]) -> str:
    if any(len(side) < 2 for side in sides):
        return ""
    runs = seeds_needed(known.mean, [stdev(side.values()) for side in sides])
    return "" if runs is None else str(runs)


def _similar(known: Difference, p: float | None, similar: float | None) -> Finding:
    """Return what a difference says to 'similar to zero or worse'.

    Args:
        known: the difference.
        p: of no difference, corrected.
        similar: of a difference of the margin or more (TOST), corrected.
    """
    finding = _directed(known, p)
    differs = finding.verdict != "not decided"
    if differs and (similar is None or similar >= ALPHA):
        return replace(finding, verdict="supported" if known.mean < 0 else "contradicted")
    test = finding.test.replace(" t,", " TOST,")
    return replace(finding, test=test, p=similar, verdict=_verdict(True, similar))


def _one_run(values: Values, base: Values) -> Finding | None:
    """Return how often a single run a side gives the right sign, by the two spreads (normal)."""
    if len(values) < 2 or len(base) < 2:
        return None
    each, other = list(values.values()), list(base.values())
    spread = (stdev(each) ** 2 + stdev(other) ** 2) ** 0.5
    if not spread:
        return None
    mean = sum(each) / len(each) - sum(other) / len(other)
    chance = NormalDist().cdf(mean / spread)
    effect = f"{100 * chance:.1f} % of pairs; effect / noise of a pair {mean / spread:.2f}"
    return Finding("normal, two spreads", effect, None, "")


def _steadier(partial: dict[str, tuple[Values, Values]]) -> Findings:
    ratios = {arch: variance_ratio([both]) for arch, both in partial.items()}
    corrected = _holm({arch: ratio and ratio.p for arch, ratio in ratios.items()})
    tests = {arch: (ratio, corrected[arch]) for arch, ratio in ratios.items() if ratio}
    if len(tests) > 1 and (all_ := variance_ratio(partial.values())):
        tests[POOLED] = (all_, all_.p)
    return {
        (STEADIER, arch): Finding(
            "F",
            f"variance ratio {ratio.ratio:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]",
            p,
            _verdict(ratio.ratio > 1, p),
        )
        for arch, (ratio, p) in tests.items()
    }


def _suffers(cross: Accuracies, pair: bool) -> Findings:
    """Compare what zero's weights lose under partial with what partial's lose under zero."""
    losses: dict[str, list[Values]] = {}
    for arch in dict.fromkeys(key[0] for key in cross):
        for trained, used in (("zero", "partial"), ("partial", "zero")):
            own, other = (cross.get((arch, trained, under), {}) for under in (trained, used))
            lost = {seed: own[seed] - other[seed] for seed in own.keys() & other.keys()}
            losses.setdefault(arch, []).append(lost)
    known = {
        arch: one for arch, sides in losses.items() if (one := difference(*sides, pair)) is not None
    }
    corrected = _holm({arch: one.p for arch, one in known.items()})
    return {(SUFFERS, arch): _directed(one, corrected[arch]) for arch, one in known.items()}


def _sooner(runs: list[Run]) -> Findings:
    """Compare the epochs to an accuracy that every zero and partial run of a network reaches."""
    known, levels = {}, {}
    for arch in dict.fromkeys(run.arch for run in runs):
        shown = [run for run in runs if run.arch == arch and run.padding in ("zero", "partial")]
        curves = curves_of(shown)
        if len(curves) == 2:
            levels[arch] = default_accuracy(curves)
            taken = epochs_to(curves, levels[arch])
            known[arch] = difference(taken["zero"], taken["partial"])
    corrected = _holm({arch: one.p for arch, one in known.items()})
    return {
        (SOONER, arch): _directed(one, corrected[arch], unit=f"epochs sooner at {levels[arch]:g} %")
        for arch, one in known.items()
    }


def _printed_cross() -> Accuracies:
    """Return Table 4's runs; both are ResNet-50's."""
    names = {printed.network("resnet50", padding): padding for padding in printed.PADDINGS}
    return {
        ("resnet50", names[row["Training"]], names[row["Inference"]]): {
            seed: float(row[str(seed)]) for seed in range(1, 6)
        }
        for row in printed.table(4)
    }


def _notes(margin: float) -> tuple[str, ...]:
    return (
        "paper: its printed runs; whose seeds pair is not known, so Welch. ours: paired by seed "
        "where both rows have one.",
        "p: two-sided. Holm: partial, reflect and replicate against zero over all networks are "
        "one family (Table 2's 15); spreads, epochs and Table 4 one each; a pooled test stands "
        "alone.",
        f"similar: within {margin:g} points by two one-sided tests (TOST; p is theirs, of one "
        "family of its own), or significantly worse.",
        f"supported, contradicted: p < {ALPHA:g} in the claim's direction, against it. Not decided "
        "is no evidence of no effect.",
        "seeds: runs a padding with which a t-test finds the effect in 80 % of studies, were "
        "effect and spreads as measured; without correction.",
    )
