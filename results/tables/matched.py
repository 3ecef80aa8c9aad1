"""Rows of Tables 6 and 7: one pair of runs of like regular mIoU, then the means of all seeds."""

from collections.abc import Sequence

from foundation.words import counted
from results import printed
from results.pairing import closest
from results.statistics import Difference, Values, difference, holm
from results.tables.rows import cell, incomplete, mean, p_cell

Study = tuple[str, str]  # split, network
Percents = dict[int, tuple[float | None, ...]]  # by seed, one for each column
Lines = dict[Study, dict[str, Percents]]  # ... and by padding
Row = dict[str, str]  # cells by column


def pair_rows(lines: Lines, heading: Sequence[str], papers: dict[Study, list[Row]]) -> list[Row]:
    """Return three rows a study that has both: the zero run, the partial run, their difference.

    Args:
        lines: percents, the first column regular.
        heading: the columns' names.
        papers: the paper's cells of its studies, to stand in the same rows.
    """
    rows = []
    for study, paddings in lines.items():
        zero, partial = (paddings.get(padding, {}) for padding in ("zero", "partial"))
        seeds = closest(_column(zero, 0), _column(partial, 0))
        if seeds is None:
            continue
        sides = zero[seeds[0]], partial[seeds[1]]
        apart = [None if None in both else both[1] - both[0] for both in zip(*sides, strict=True)]
        three = [
            _row(study, "zero", f"pair: seed {seeds[0]}", heading, [cell(v) for v in sides[0]]),
            _row(study, "partial", f"pair: seed {seeds[1]}", heading, [cell(v) for v in sides[1]]),
            _row(study, _LESS_ZERO, "pair", heading, [cell(v) for v in apart]),
        ]
        rows += [a | b for a, b in zip(three, papers.get(study, [{}] * 3), strict=True)]
    return rows


_LESS_ZERO = "partial - zero"


def mean_rows(lines: Lines, heading: Sequence[str], seeds: int) -> list[Row]:
    """Return a row for each padding's mean, then those of its difference to zero padding.

    Args:
        lines: percents.
        heading: the columns' names.
        seeds: runs of a complete mean.
    """
    tests = {
        (study, padding): [
            difference(_column(percents, i), _column(paddings["zero"], i))
            for i in range(len(heading))
        ]
        for study, paddings in lines.items()
        for padding, percents in paddings.items()
        if padding != "zero" and "zero" in paddings
    }
    known = {(*key, i): one for key, each in tests.items() for i, one in enumerate(each) if one}
    p_of = dict(zip(known, holm([one.p for one in known.values()]), strict=True))
    rows = []
    for study, paddings in lines.items():
        for padding, percents in paddings.items():
            means = [cell(mean(_column(percents, i))) for i in range(len(heading))]
            told = incomplete(len(percents), seeds) or f" of {counted(len(percents), 'seed')}"
            rows.append(_row(study, padding, f"mean{told}", heading, means))
        for padding in paddings:
            each = tests.get((study, padding), [])
            p = [p_of.get((study, padding, i)) for i in range(len(each))]
            rows += _difference_rows(study, f"{padding} - zero", heading, each, p)
    return rows


def _difference_rows(
    study: Study,
    name: str,
    heading: Sequence[str],
    each: list[Difference | None],
    corrected: list[float | None],
) -> list[Row]:
    known = [one for one in each if one]
    if not known:
        return []
    told = f"mean, {known[0].method}, n = {known[0].n}"
    rows = [_row(study, name, told, heading, [cell(one and one.mean) for one in each])]
    intervals = [one and one.interval for one in each]
    if any(intervals):
        shown = [f"[{i[0]:.3f}, {i[1]:.3f}]" if i else "" for i in intervals]
        rows.append(_row(study, name, "95 % interval", heading, shown))
        rows.append(_row(study, name, "p (Holm)", heading, [p_cell(p) for p in corrected]))
    return rows


def _row(study: Study, name: str, told: str, heading: Sequence[str], cells: list[str]) -> Row:
    split, arch = study
    row = {"Network": printed.network(arch, name), "split": printed.split(split), "runs": told}
    return row | dict(zip(heading, cells, strict=True))


def _column(percents: Percents, i: int) -> Values:
    return {seed: values[i] for seed, values in percents.items() if values[i] is not None}
