"""What runs show: spreads, intervals, and tests of differences (SciPy's and statsmodels')."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, variance
from typing import Literal

from scipy import stats

StdevFormula = Literal["sample", "paper"]
Values = Mapping[int, float]  # accuracies in percent, by seed

CONFIDENCE = 0.95
# Points. Accuracies are counts of images, so what varies by less is the rounding of their
# differences: no two runs differ by so little, and no set of images is so large.
_ROUNDING = 1e-9


def stdev(values: Sequence[float], padding: str, formula: StdevFormula) -> float | None:
    """Return the spread of the runs; None for a single run.

    'sample' is sqrt(SS / (n - 1)). 'paper' is what Tables 2 and 3 print: the same for reflection
    and replication padding, but sqrt(SS / (n + 1)) for zero and partial (results/paper/README.md).
    """
    if len(values) < 2:
        return None
    mean = fmean(values)
    squares = sum((value - mean) ** 2 for value in values)
    six_cells = formula == "paper" and padding in ("zero", "partial")
    return math.sqrt(squares / (len(values) + (1 if six_cells else -1)))


def half_interval(values: Sequence[float]) -> float | None:
    """Return half the 95 % confidence interval of a mean (Student's t); None for a single run."""
    if len(values) < 2:
        return None
    return _t(len(values) - 1) * math.sqrt(variance(values) / len(values))


@dataclass(frozen=True)
class Difference:
    """A difference of two means and what speaks for it.

    Attributes:
        mean: in percentage points.
        error, freedom: its standard error and that error's degrees of freedom; None where there is
            one run a side, or nothing varies: then nothing can be tested.
        method: 'paired' by seed, or 'Welch' of all runs, where `difference` does not pair them;
            'paired and Welch' of several networks.
        n: runs of the smaller side, pairs under 'paired'; pooled, of all networks.
        spreads: standard deviations, of the pairs' differences or, under Welch, of both sides; of
            each network after the other, () where one has a single run.
        networks: over which it is the mean.
    """

    mean: float
    error: float | None
    freedom: float | None
    method: Literal["paired", "Welch", "paired and Welch"]
    n: int
    spreads: tuple[float, ...] = ()
    networks: int = 1

    @property
    def interval(self) -> tuple[float, float] | None:
        """The 95 % confidence interval."""
        if self.error is None:
            return None
        reach = _t(self.freedom) * self.error
        return self.mean - reach, self.mean + reach

    @property
    def p(self) -> float | None:
        """Of no difference, two-sided, uncorrected."""
        if self.error is None:
            return None
        return 2 * float(stats.t.sf(abs(self.mean) / self.error, self.freedom))

    def equivalence(self, margin: float) -> float | None:
        """Return p of a difference of `margin` points or more: two one-sided tests (TOST)."""
        if self.error is None:
            return None
        return max(self.not_below(margin), self.not_above(-margin))

    def not_below(self, bound: float) -> float | None:
        """Return p of a difference of `bound` points or more, one-sided: it speaks for less."""
        if self.error is None:
            return None
        return float(stats.t.sf((bound - self.mean) / self.error, self.freedom))

    def not_above(self, bound: float) -> float | None:
        """Return p of a difference of `bound` points or less, one-sided: it speaks for more."""
        if self.error is None:
            return None
        return float(stats.t.sf((self.mean - bound) / self.error, self.freedom))


def difference(values: Values, base: Values, pair: bool = True) -> Difference | None:
    """Return mean(values) - mean(base), paired over the seeds that both have.

    One seed means the same first weights, order, crops and flips under every padding. Of a single
    shared seed nothing can be tested: where both sides have more runs, Welch's test takes them all.

    Args:
        values, base: the two sides.
        pair: False: Welch's test in any case, for runs whose seeds nobody knows (the paper's).

    Returns:
        None where a side has no runs.
    """
    return pooled([(values, base)], pair)


def pooled(pairs: Iterable[tuple[Values, Values]], pair: bool = True) -> Difference | None:
    """Return the mean over networks of their differences, each network counting alike.

    The error is that of the runs, not that of a choice among all networks there could be; its
    degrees of freedom are Satterthwaite's.
    """
    means, samples, runs, methods = [], [], 0, set()
    for values, base in pairs:
        if not values or not base:
            continue
        common = _shared(values, base) if pair else set()
        sides = [[values[seed] - base[seed] for seed in sorted(common)]]
        methods.add("paired" if common else "Welch")
        if not common:
            sides = [list(values.values()), list(base.values())]
        means.append(fmean(sides[0]) - (0 if common else fmean(sides[1])))
        samples += sides
        runs += min(map(len, sides))
    if not means:
        return None
    error, freedom = _error(samples, len(means))
    lonely = any(len(sample) < 2 for sample in samples)
    spreads = () if lonely else tuple(map(statistics.stdev, samples))
    method = " and ".join(sorted(methods, reverse=True))
    return Difference(fmean(means), error, freedom, method, runs, spreads, len(means))


def _shared(values: Values, base: Values) -> set[int]:
    """Return the seeds to pair; none where Welch's test of all runs says more."""
    common = values.keys() & base.keys()
    return set() if len(common) == 1 and min(len(values), len(base)) > 1 else common


def _error(samples: list[list[float]], parts: int) -> tuple[float | None, float | None]:
    """Return the standard error of a mean over `parts`, and its degrees of freedom."""
    if any(len(sample) < 2 for sample in samples):
        return None, None
    squares = [variance(sample) / len(sample) / parts**2 for sample in samples]
    if math.sqrt(sum(squares)) < _ROUNDING:  # the same number of images in all runs
        return None, None
    weights = sum(
        square**2 / (len(sample) - 1) for square, sample in zip(squares, samples, strict=True)
    )
    return math.sqrt(sum(squares)), sum(squares) ** 2 / weights


def _t(freedom: float) -> float:
    return float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom))


def holm(probabilities: Sequence[float | None]) -> list[float | None]:
    """Return the p-values corrected for all of them being looked at (Holm); None stays None."""
    from statsmodels.stats.multitest import multipletests  # half a second, for those who need it

    known = [p for p in probabilities if p is not None]
    if not known:
        return list(probabilities)
    corrected = iter(multipletests(known, method="holm")[1].tolist())
    return [None if p is None else next(corrected) for p in probabilities]


@dataclass(frozen=True)
class VarianceRatio:
    """Variance of `base` over that of `values`, by the F-test; above 1: `values` spread less."""

    ratio: float
    low: float
    high: float
    p: float


def variance_ratio(pairs: Iterable[tuple[Values, Values]]) -> VarianceRatio | None:
    """Return base's variance over values', of one network or pooled over several.

    Pooled: sums of squares around each network's own means, over their degrees of freedom. A
    network with one run on either side does not count: each has a spread of its own.

    Returns:
        None without two runs a side, or where a side does not vary at all.
    """
    squares, freedom = [0.0, 0.0], [0, 0]
    for sides in pairs:
        if min(map(len, sides)) < 2:
            continue
        for i, side in enumerate(sides):
            squares[i] += variance(side.values()) * (len(side) - 1)
            freedom[i] += len(side) - 1
    if not all(squares):
        return None
    ratio = (squares[1] / freedom[1]) / (squares[0] / freedom[0])
    f = stats.f(freedom[1], freedom[0])
    tail = (1 - CONFIDENCE) / 2
    p = min(1.0, 2 * float(min(f.cdf(ratio), f.sf(ratio))))
    low, high = (float(ratio / f.ppf(q)) for q in (1 - tail, tail))
    return VarianceRatio(ratio, low, high, p)
