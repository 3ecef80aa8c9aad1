"""How many seeds find an effect in 80 % of studies."""

import math
from collections.abc import Callable, Sequence

from scipy import stats

_POWER = 0.8
_ALPHA = 0.05  # of a single test, uncorrected


def seeds_needed(mean: float, spreads: Sequence[float], networks: int = 1) -> int | None:
    """Return the runs a side with which a difference is found in 80 % of studies (t-test).

    Args:
        mean: the difference; of several networks, the mean over them.
        spreads: standard deviations of each network's samples, one (of differences) or two.
        networks: their number.

    Returns:
        None beyond 10,000, or without a spread.
    """
    from statsmodels.stats.power import TTestPower

    squares = sum(one**2 for one in spreads)
    if not squares or not mean:
        return None
    power = TTestPower()

    def enough(runs: int) -> bool:
        in_errors = abs(mean) * networks * math.sqrt(runs / squares)
        freedom = len(spreads) * (runs - 1)
        # In the effect's direction alone: of the other, SciPy (1.17) can say no more than nan, and
        # with such a power it adds nothing.
        effect, count = in_errors / math.sqrt(freedom + 1), freedom + 1
        return power.power(effect, count, _ALPHA / 2, alternative="larger") >= _POWER

    return _fewest(enough)


def seeds_for_ratio(ratio: float, networks: int = 1) -> int | None:
    """Return the same for a ratio of variances (F-test), pooled over `networks`."""

    def enough(runs: int) -> bool:
        f = stats.f(networks * (runs - 1), networks * (runs - 1))
        above, below = f.sf(f.ppf(1 - _ALPHA / 2) / ratio), f.cdf(f.ppf(_ALPHA / 2) / ratio)
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
