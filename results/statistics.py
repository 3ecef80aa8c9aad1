"""The spread of runs, as it should be and as the paper prints it."""

import math
from statistics import fmean
from typing import Literal

StdevFormula = Literal["sample", "paper"]


def stdev(values: list[float], padding: str, formula: StdevFormula) -> float | None:
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
