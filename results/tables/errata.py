"""The printed stdev column against both formulas (results/paper/README.md)."""

import math
from statistics import fmean

from results import printed
from results.numbers import printed_numbers
from results.render import Table


def errata_table() -> Table:
    """Return all 40 rows of Tables 2 and 3: the printed stdev, and what the runs give."""
    rows = []
    for number in (2, 3):
        cells = {row["Network"]: row["stdev"] for row in printed.table(number)}
        for key, values in printed_numbers(number).items():
            name = printed.network(*key)
            mean = fmean(values.values())
            squares = sum((value - mean) ** 2 for value in values.values())
            six, sample = math.sqrt(squares / 6), math.sqrt(squares / 4)
            # A third decimal apart: runs are printed rounded.
            fits = {
                formula: abs(float(cells[name]) - value) < 1.1e-3
                for formula, value in (("sqrt(SS/6)", six), ("sqrt(SS/4)", sample))
            }
            met = " and ".join(formula for formula, fit in fits.items() if fit) or "neither"
            rows.append((f"{number}", name, cells[name], f"{six:.4f}", f"{sample:.4f}", met))
    return Table(
        name="errata_stdev",
        title="The paper's stdev column: printed, and recomputed from its printed runs",
        names=2,
        columns=("Table", "Network", "printed", "sqrt(SS/6)", "sqrt(SS/4)", "printed is"),
        rows=tuple(rows),
        notes=(
            "SS: sum of the five runs' squared deviations. sqrt(SS/4) is the sample stdev; "
            "sqrt(SS/6) is a population stdev over six cells, the runs and their average, and is "
            "18 % smaller.",
        ),
    )
