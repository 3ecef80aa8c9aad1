"""Intervals, tests and power against statsmodels, and FIDELITY's figures on the printed runs."""

import math

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.meta_analysis import combine_effects
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower, tt_ind_solve_power
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW, ttost_ind

from results import printed
from results.findings import directed
from results.numbers import printed_numbers
from results.power import seeds_for_ratio, seeds_needed
from results.statistics import (
    difference,
    half_interval,
    holm,
    pooled,
    variance_ratio,
)
from tests.conftest import ROOT

NETWORKS = printed.ARCHITECTURES
STEPS = (0.1, 0.35, 0.2, 0.45, 0.3)


def sides(number, arch, padding="partial"):
    runs = printed_numbers(number)
    return runs[arch, padding], runs[arch, "zero"]


def lists(values, base):
    return list(values.values()), list(base.values())


@pytest.mark.parametrize("number", [2, 3])
@pytest.mark.parametrize("arch", NETWORKS)
def test_welch_is_statsmodels(number, arch):
    both = sides(number, arch)
    known = difference(*both, pair=False)
    theirs = CompareMeans(*map(DescrStatsW, lists(*both)))
    assert known.interval == pytest.approx(theirs.tconfint_diff(usevar="unequal"))
    assert known.p == pytest.approx(theirs.ttest_ind(usevar="unequal")[1])
    assert known.equivalence(0.25) == pytest.approx(
        ttost_ind(*lists(*both), -0.25, 0.25, usevar="unequal")[0]
    )


@pytest.mark.parametrize("arch", NETWORKS)
def test_paired_is_scipys_and_an_average_has_statsmodels_interval(arch):
    values, base = sides(2, arch)
    base = {seed: value for seed, value in base.items() if seed != 4} | {9: 50.0}
    common = sorted(values.keys() & base.keys())
    theirs = stats.ttest_rel([values[s] for s in common], [base[s] for s in common])
    known = difference(values, base)
    assert (known.method, known.n) == ("paired", 4)
    assert known.p == pytest.approx(theirs.pvalue)
    assert known.interval == pytest.approx(tuple(theirs.confidence_interval()))
    each = list(values.values())
    low, high = DescrStatsW(each).tconfint_mean()
    assert half_interval(each) == pytest.approx((high - low) / 2)


def test_the_figures_on_the_printed_runs():
    """Welch, Holm over Table 2's 15 comparisons, and the F-test, as they were worked out before."""
    runs = printed_numbers(2)
    keys = [key for key in runs if key[1] != "zero"]
    tests = [difference(runs[key], runs[key[0], "zero"], pair=False).p for key in keys]
    corrected = dict(zip(keys, holm(tests), strict=True))
    assert list(corrected.values()) == pytest.approx(multipletests(tests, method="holm")[1])
    expected = dict(zip(NETWORKS, (0.77, 0.0375, 0.0010, 0.26, 0.21), strict=True))
    for arch, p in expected.items():
        assert corrected[arch, "partial"] == pytest.approx(p, rel=0.05)
    ratios = {arch: variance_ratio([sides(2, arch)]) for arch in NETWORKS}
    assert [round(r.ratio, 1) for r in ratios.values()] == [4.0, 4.6, 2.2, 6.1, 1.0]
    assert [round(r.p, 2) for r in ratios.values()] == [0.21, 0.17, 0.47, 0.11, 1.00]
    low, high = difference(*sides(2, "vgg19_bn"), pair=False).interval
    assert (round(low, 3), round(high, 3)) == (0.352, 1.023)


def test_pooled_over_networks():
    """The mean of the differences, with the error that combining independent errors gives."""
    both = [sides(2, arch) for arch in NETWORKS]
    known = pooled(both, pair=False)
    each = [difference(*one, pair=False) for one in both]
    assert known.mean == pytest.approx(np.mean([one.mean for one in each]))
    assert known.error == pytest.approx(math.sqrt(sum(one.error**2 for one in each)) / 5)
    # An average that weighs by precision lies in its interval.
    fixed = combine_effects(*np.array([(one.mean, one.error**2) for one in each]).T)
    assert known.interval[0] < fixed.mean_effect_fe < known.interval[1]
    # One network's is its own.
    assert pooled(both[:1], pair=False) == each[0]


def test_variances_pooled_over_networks_are_a_permutations_too():
    """The F-test of all networks, beside shuffled labels of the runs' deviations."""
    both = [sides(2, arch) for arch in NETWORKS]
    known = variance_ratio(both)
    rng = np.random.default_rng(0)
    centred = [[np.array(x) - np.mean(x) for x in lists(*one)] for one in both]

    def ratio(groups):
        partial, zero = (np.concatenate([g[i] for g in groups]) for i in (0, 1))
        return (zero**2).sum() / (partial**2).sum()

    assert known.ratio == pytest.approx(ratio(centred))
    shuffled = []
    for _ in range(2000):
        mixed = [rng.permutation(np.concatenate(one)) for one in centred]
        shuffled.append(ratio([(m[:5], m[5:]) for m in mixed]))
    beyond = np.mean(np.abs(np.log(shuffled)) >= abs(math.log(known.ratio)))
    assert known.p == pytest.approx(beyond, abs=0.03)


@pytest.mark.parametrize("effect", [0.3, 1.0, 2.5])
def test_seeds_needed_is_statsmodels(effect):
    needed = seeds_needed(effect, [1.0, 1.0])
    power = [tt_ind_solve_power(effect, n, 0.05, None) for n in (needed, max(2, needed - 1))]
    assert power[0] >= 0.8
    assert needed == 2 or power[1] < 0.8
    assert seeds_needed(0.0, [1.0, 1.0]) is None
    assert seeds_needed(1e-4, [1.0, 1.0]) is None


def test_seeds_for_a_mean_over_networks_and_for_a_ratio_are_simulations():
    rng = np.random.default_rng(0)
    needed = seeds_needed(0.5, [1.0, 0.8] * 3, 3)
    assert needed < seeds_needed(0.5, [1.0, 0.8])
    found = 0
    for _ in range(1000):
        both = [
            [dict(enumerate(rng.normal(mean, sd, needed))) for mean, sd in ((0.5, 1.0), (0, 0.8))]
            for _ in range(3)
        ]
        found += pooled(both, pair=False).p < 0.05
    assert found / 1000 == pytest.approx(0.82, abs=0.04)
    for ratio, networks in ((4.0, 1), (3.0, 3), (0.25, 1)):
        freedom = networks * (seeds_for_ratio(ratio, networks) - 1)
        drawn = ratio * stats.f(freedom, freedom).rvs(4000, random_state=0)
        reject = (drawn > stats.f.ppf(0.975, freedom, freedom)) | (
            drawn < stats.f.ppf(0.025, freedom, freedom)
        )
        assert reject.mean() == pytest.approx(0.81, abs=0.03)
    assert seeds_for_ratio(1.0) is None


def test_one_shared_seed_throws_nothing_away():
    values = {seed: 76.5 + seed / 50 for seed in range(5, 10)}
    base = {seed: 76 + seed / 40 for seed in range(1, 6)}
    known = difference(values, base)
    assert (known.method, known.n) == ("Welch", 5)
    assert known.p == pytest.approx(stats.ttest_ind(*lists(values, base), equal_var=False).pvalue)
    # Where a side has but that run there is nothing else to show.
    assert difference({5: 77.0}, base).mean == pytest.approx(77 - base[5])
    assert difference({5: 77.0}, base).method == "paired"


def test_a_network_with_one_run_on_a_side_adds_no_spread():
    steady = [({1: 1.0, 2: 1.2, 3: 1.1}, {1: 1.0, 2: 1.3, 3: 1.1})] * 2
    wild = ({1: 50.0}, {1: 10.0, 2: 90.0, 3: 50.0})
    assert variance_ratio([*steady, wild]) == variance_ratio(steady)
    assert variance_ratio([wild]) is None


@pytest.mark.parametrize("images", [360, 655, 10_000, 50_000])
def test_rounding_decides_nothing(images):
    """As many images more in every pair: only the numbers' last bits differ."""
    rng = np.random.default_rng(images)
    for _ in range(100):
        counts = rng.integers(images // 3, images // 2, 3)
        more = int(rng.integers(1, images // 3))
        base, values = (
            {seed: 100 * (int(count) + extra) / images for seed, count in enumerate(counts)}
            for extra in (0, more)
        )
        known = difference(values, base)
        assert known.mean == pytest.approx(100 * more / images)
        assert (known.interval, known.p, known.equivalence(0.25)) == (None, None, None)
        told = directed(known, None)
        assert (told.test, told.verdict, told.seeds) == (
            *("n = 3, all alike: no test", "not decided", ""),
        )
        # One image is no rounding.
        assert difference(values, base | {0: base[0] - 100 / images}).p is not None


def test_seeds_of_a_paired_study_are_those_of_its_test():
    """statsmodels' one-sample power, and not that of two unpaired samples."""
    base = {seed: 70 + 2 * seed for seed in range(1, 6)}
    values = {seed: base[seed] + more for seed, more in zip(base, STEPS, strict=True)}
    known = difference(values, base)
    effect = known.mean / np.std([values[seed] - base[seed] for seed in base], ddof=1)
    needed = int(directed(known, known.p).seeds)
    power = [TTestPower().power(effect, runs, 0.05) for runs in (needed, needed - 1)]
    assert power[0] >= 0.8 > power[1]


@pytest.mark.parametrize("paired", [True, False])
def test_the_larger_the_effect_the_fewer_seeds(paired):
    spreads = [5.35] * (1 if paired else 2)
    needed = [seeds_needed(mean, spreads) for mean in np.geomspace(1, 1000, 200)]
    assert needed == sorted(needed, reverse=True)
    assert needed[-1] == 2


def test_similar_or_worse_is_one_sided():
    """SciPy's one-sample test on the differences, less the margin; TOST is statsmodels'."""
    base = {seed: 70.0 for seed in range(1, 6)}
    values = {seed: 70 - 0.3 + more for seed, more in zip(base, STEPS, strict=True)}
    known, apart = difference(values, base), [values[seed] - 70.0 for seed in base]
    less = stats.ttest_1samp(apart, 0.25, alternative="less").pvalue
    more = stats.ttest_1samp(apart, 0.25, alternative="greater").pvalue
    assert known.not_below(0.25) == pytest.approx(less)
    assert known.not_above(0.25) == pytest.approx(more)
    assert known.equivalence(0.25) == pytest.approx(DescrStatsW(apart).ttost_mean(-0.25, 0.25)[0])


def test_paired_and_welch_together_are_called_so():
    both = [
        ({1: 1.0, 2: 1.2, 3: 1.3}, {1: 0.9, 2: 1.0, 3: 1.3}),
        ({1: 1.0, 2: 1.2}, {3: 1.0, 4: 1.5}),
    ]
    assert pooled(both).method == "paired and Welch"


def test_what_cannot_be_tested():
    one = difference({1: 70.0}, {1: 69.0})
    assert (one.mean, one.interval, one.p, one.n) == (1.0, None, None, 1)
    assert difference({}, {1: 69.0}) is None
    same = difference({1: 70.0, 2: 71.0}, {1: 69.0, 2: 70.0})
    assert (same.interval, same.p, same.equivalence(0.5)) == (None, None, None)
    apart = difference({1: 70.0, 2: 71.0}, {3: 69.0, 4: 70.5})
    assert apart.method == "Welch"
    assert holm([None, 0.04, None, 0.03]) == [None, 0.06, None, 0.06]
    assert holm([None]) == [None]
    assert half_interval([1.0]) is None
    assert variance_ratio([({1: 1.0, 2: 1.0}, {1: 1.0, 2: 2.0})]) is None


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_the_pages_say_what_the_printed_runs_give(page):
    runs = printed_numbers(2)
    keys = [key for key in runs if key[1] != "zero"]
    tests = [difference(runs[key], runs[key[0], "zero"], pair=False).p for key in keys]
    p = {key[0]: p for key, p in zip(keys, holm(tests), strict=True) if key[1] == "partial"}
    everything = pooled([sides(2, arch) for arch in NETWORKS], pair=False)
    low, high = everything.interval
    text = " ".join((ROOT / page).read_text().split())
    for told in (
        f"VGG19-BN (p = {p['vgg19_bn']:.3f}) and ResNet-50 (p = {p['resnet50']:.3f})",
        f"{everything.mean:+.2f} points",
        f"({p['vgg16_bn']:.2f}, {p['resnet101']:.2f}, {p['resnet152']:.2f})",
    ):
        assert told in text
    assert f"{low:.2f} to {high:.2f}" in text or f"[{low:.2f}, {high:.2f}]" in text
