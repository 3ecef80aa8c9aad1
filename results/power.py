"""How many seeds find an effect in 80 % of studies."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

from scipy import stats

_POWER = 0.8


def seeds_needed(mean: float, spreads: Sequence[float], alpha: float = 0.05) -> int | None:
    """Return the runs a side with which a difference is found in 80 % of studies (t-test).

    Args:
        mean: the difference; of several networks, the mean over them.
        spreads: the two sides' standard deviations, of each network after the other.
        alpha: chance of finding one that is not there.

    Returns:
        None beyond 10,000, or without a spread.
    """
    from statsmodels.stats.power import TTestPower

    # Of one network that of two samples; a mean over k networks has k times less variance, and k
    # times the degrees of freedom.
    spread, count = math.sqrt(fmean([one**2 for one in spreads])), len(spreads)
    if not spread or not mean:
        return None
    power = TTestPower()

    def enough(runs: int) -> bool:
        effect = abs(mean) / spread * math.sqrt(count / 2 * runs / 2)
        freedom = count * (runs - 1)
        return power.power(effect / math.sqrt(freedom + 1), freedom + 1, alpha) >= _POWER

    return _fewest(enough)


def seeds_for_ratio(ratio: float, networks: int = 1, alpha: float = 0.05) -> int | None:
    """Return the same for a ratio of variances (F-test), pooled over `networks`."""

    def enough(runs: int) -> bool:
        f = stats.f(networks * (runs - 1), networks * (runs - 1))
        above, below = f.sf(f.ppf(1 - alpha / 2) / ratio), f.cdf(f.ppf(alpha / 2) / ratio)
        return above + below >= _POWER

    return None if ratio == 1 else _fewest(enough)


def _fewest(enough: Callable[[int], bool]) -> int | None:
    """Return the lowest number from 2 that is enough; None beyond 10,000."""
    low, high = 1, 2
    while not enough(high):
        low, high = high, 2 * high
        if high > 10_000:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
