"""The claims of Sections 1 and 4.1, about classification, tested on a set of runs."""

from statistics import NormalDist, stdev

from results import printed
from results.collect import Run
from results.findings import (
    ALPHA,
    POOLED,
    Finding,
    Findings,
    corrected,
    directed,
    finding_of,
    poolable,
    pooled_finding,
    verdict,
)
from results.numbers import Accuracies, Numbers
from results.power import seeds_for_ratio
from results.statistics import Difference, Values, difference, variance_ratio
from results.time_to_accuracy import at_level, epochs_to

BEATS = "partial beats zero (Sections 1, 4.1; Tables 2, 3)"
STEADIER = "partial spreads less than zero (Section 4.1)"
SIMILAR = "{} is similar to zero or worse (Section 4.1)"
WITHIN = "{} is within the margin of zero"
SOONER = "partial needs fewer epochs than zero (Fig. 3)"
SUFFERS = "zero's weights lose more under partial than the reverse (Table 4)"
ONE_RUN = "one run of each shows that partial beats zero"
_OTHERS = [claim.format(p) for p in ("reflect", "replicate") for claim in (SIMILAR, WITHIN)]
ORDER = (BEATS, STEADIER, *_OTHERS, SOONER, SUFFERS)


def accuracy_findings(numbers: Numbers, cross: Accuracies, margin: float, pair: bool) -> Findings:
    """Return all that can be said of these numbers."""
    sides = {
        (arch, padding): (values, zero)
        for (arch, padding), values in numbers.items()
        if padding != "zero" and values and (zero := numbers.get((arch, "zero"), {}))
    }
    to_zero = {key: difference(*both, pair) for key, both in sides.items()}
    tested = corrected({key: known.p for key, known in to_zero.items()})
    partial = {arch: both for (arch, padding), both in sides.items() if padding == "partial"}
    found: dict[tuple[str, str], Finding | None] = {}
    for (arch, padding), known in to_zero.items():
        if padding == "partial":
            found[BEATS, arch] = directed(known, tested[arch, padding])
            found[ONE_RUN, arch] = _one_run(*sides[arch, padding])
    if len(partial) > 1:
        found[BEATS, POOLED] = pooled_finding(partial, pair)
    others = {key: known for key, known in to_zero.items() if key[1] != "partial"}
    found |= _similar(others, margin) | _steadier(partial) | _suffers(cross, pair)
    return {key: one for key, one in found.items() if one}


def _similar(others: dict[tuple[str, str], Difference], margin: float) -> Findings:
    """Return what other paddings' differences say to 'similar to zero or worse'.

    That is less than `margin` points above zero: the upper of equivalence's two one-sided tests,
    and contradicted by the one of the other direction. 'Similar' alone takes both (TOST).
    """
    less = corrected({key: known.not_below(margin) for key, known in others.items()})
    more = corrected({key: known.not_above(margin) for key, known in others.items()})
    within = corrected({key: known.equivalence(margin) for key, known in others.items()})
    said: Findings = {}
    for (arch, padding), known in others.items():
        key = arch, padding
        above = more[key] is not None and more[key] < ALPHA
        p, test = (more[key], "t > margin") if above else (less[key], "t < margin")
        said[SIMILAR.format(padding), arch] = finding_of(known, test, p, verdict(not above, p))
        p = within[key]
        said[WITHIN.format(padding), arch] = finding_of(known, "TOST", p, verdict(True, p))
    return said


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
    p_of = corrected({arch: ratio and ratio.p for arch, ratio in ratios.items()})
    tests = {arch: (ratio, p_of[arch]) for arch, ratio in ratios.items() if ratio}
    kept, without = poolable(partial)
    if len(tests) > 1 and (all_ := variance_ratio(kept.values())):
        tests[POOLED] = (all_, all_.p)
    counted = {arch: 1 for arch in tests} | {POOLED: len(kept)}
    return {
        (STEADIER, arch): Finding(
            "F" + without * (arch == POOLED),
            f"variance ratio {ratio.ratio:.2f} [{ratio.low:.2f}, {ratio.high:.2f}]",
            p,
            verdict(ratio.ratio > 1, p),
            f"{seeds_for_ratio(ratio.ratio, counted[arch]) or ''}",
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
    p_of = corrected({arch: one.p for arch, one in known.items()})
    return {(SUFFERS, arch): directed(one, p_of[arch]) for arch, one in known.items()}


def sooner(runs: list[Run]) -> Findings:
    """Compare the epochs to a network's level, which all of these runs reach (`at_level`)."""
    known, levels = {}, {}
    finished = [run for run in runs if run.finished]
    for arch in dict.fromkeys(run.arch for run in finished):
        curves, level, _ = at_level([run for run in finished if run.arch == arch])
        if {"zero", "partial"} <= curves.keys():
            taken = epochs_to(curves, level)
            levels[arch] = level
            known[arch] = difference(taken["zero"], taken["partial"])
    p_of = corrected({arch: one.p for arch, one in known.items()})
    return {
        (SOONER, arch): directed(one, p_of[arch], f"epochs sooner at {levels[arch]:g} %")
        for arch, one in known.items()
    }


def printed_cross() -> Accuracies:
    """Return Table 4's runs; both are ResNet-50's."""
    names = {printed.network("resnet50", padding): padding for padding in printed.PADDINGS}
    return {
        ("resnet50", names[row["Training"]], names[row["Inference"]]): {
            seed: float(row[str(seed)]) for seed in range(1, 6)
        }
        for row in printed.table(4)
    }
