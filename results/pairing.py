"""The pair of runs that the paper compares: of the closest regular mIoU (Tables 6 and 7)."""

from collections.abc import Sequence

from results.mode_scores import ModeScores
from results.statistics import Values


def closest(zero: Values, partial: Values) -> tuple[int, int] | None:
    """Return the seeds of the two runs whose values lie closest; of equals the lowest seeds."""
    pairs = [(abs(zero[i] - partial[j]), i, j) for i in zero for j in partial]
    return min(pairs)[1:] if pairs else None


def matched(found: Sequence[ModeScores]) -> tuple[ModeScores, ModeScores] | None:
    """Return the zero and the partial run of the closest regular mIoU, the paper's way of choosing.

    Args:
        found: of one network and split.
    """
    zero, partial = (
        {one.run.seed: one for one in found if one.run.padding == padding}
        for padding in ("zero", "partial")
    )
    seeds = closest(_regular(zero), _regular(partial))
    return None if seeds is None else (zero[seeds[0]], partial[seeds[1]])


def _regular(side: dict[int, ModeScores]) -> Values:
    return {seed: one.modes["regular"] for seed, one in side.items()}
