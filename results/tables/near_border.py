"""Tables 6 and 7 (tiles, the centre left out), and mIoU by the distance to the border."""

from collections.abc import Callable
from functools import cache

from results import printed
from results.collect import Run
from results.mode_scores import MODES, SHARES, ModeScores, own_scores, ring_name, rings_of
from results.notes import about
from results.pairing import matched
from results.render import Table
from results.tables.matched import Lines, Row, mean_rows, pair_rows
from results.tables.rows import Columns

_PAPERS = ("cv2", "deeplabv3plus_wrn38")  # whose runs Tables 6 and 7 are of


def tile_table(runs: list[Run], seeds: int, columns: Columns = "all") -> Table:
    """Return Table 6: whole images against tiles.

    Args:
        runs: of segmentation, as `collect` returns them.
        seeds: runs of a complete mean.
        columns: 'paper': the pairs and the paper's columns alone.

    Raises:
        RunError: as `own_scores`.
    """
    lines = _lines(own_scores(runs), lambda one: [one.modes[mode] for mode in MODES])
    title = "Table 6: mIoU (%) of whole images and of tiles"
    rows = _rows(lines, 6, seeds, columns)
    beside = any("paper Regular" in row for row in rows)
    told = ("paper, difference: of its printed cells.",) if beside else ()
    return _table(("table_6_tiles", title), rows, runs, (*_pair_notes(runs, columns), *told))


def leave_out_table(runs: list[Run], seeds: int, reading: str, columns: Columns = "all") -> Table:
    """Return Table 7: the centre left out, on tiles without overlap.

    Args:
        runs, seeds, columns: as tile_table.
        reading: whose centre, of READINGS.

    Raises:
        RunError: as `own_scores`.
    """

    def values(one: ModeScores) -> list[float | None]:
        left = [one.leave_out[reading][share] for share in SHARES]
        return [one.modes["regular"], one.modes["tile 0"], *left]

    rows = _rows(_lines(own_scores(runs), values), 7, seeds, columns)
    title = f"Table 7: mIoU (%) on tiles without overlap, the centre of each {reading} left out"
    told = "The paper does not say whether the centre is the image's or each tile's: both are made."
    notes = (told, *_pair_notes(runs, columns))
    return _table((f"table_7_{reading}", title), rows, runs, notes)


def border_table(runs: list[Run], seeds: int, mode: str) -> Table:
    """Return mIoU by the distance of a pixel to the nearest border, means over the seeds.

    Args:
        runs, seeds: as tile_table.
        mode: 'regular': to the image's border; 'tile 0': to its tile's.

    Raises:
        RunError: as `own_scores`.
    """
    found = own_scores(runs)
    rings = rings_of(found, mode)
    lines = _lines(found, lambda one: [one.border.get(mode, {}).get(ring) for ring in rings])
    border = "image's" if mode == "regular" else "tile's"
    title = f"{mode}: mIoU (%) by the distance to the {border} border (px; 0: the outermost line)"
    name = f"border_{mode.replace(' ', '_')}"
    rows = mean_rows(lines, [ring_name(ring) for ring in rings], seeds)
    return _table((name, title), rows, runs, (_MEANS,))


def _lines(found: list[ModeScores], values: Callable[[ModeScores], list[float | None]]) -> Lines:
    lines: Lines = {}
    for one in sorted(found, key=_order):
        paddings = lines.setdefault((one.run.split, one.run.arch), {})
        paddings.setdefault(one.padding, {})[one.run.seed] = tuple(values(one))
    return lines


def _order(one: ModeScores) -> tuple:
    run = one.run
    return run.split, printed.place(run.arch, run.padding), run.seed


def _rows(lines: Lines, number: int, seeds: int, columns: Columns) -> list[Row]:
    heading = tuple(printed.table(number)[0])[1:]
    if columns == "paper":
        return pair_rows(lines, heading, {})
    return [
        *pair_rows(lines, heading, {_PAPERS: _printed(number)}),
        *mean_rows(lines, heading, seeds),
    ]


@cache
def _printed(number: int) -> list[Row]:
    """Return the paper's cells of its pair: zero, partial, difference (Table 6: computed)."""
    rows = [list(row.values())[1:] for row in printed.table(number)]
    if len(rows) == 2:
        rows.append([f"{float(b) - float(a):.3f}" for a, b in zip(*rows, strict=True)])
    heading = [f"paper {name}" for name in tuple(printed.table(number)[0])[1:]]
    return [dict(zip(heading, cells, strict=True)) for cells in rows]


def _table(
    names: tuple[str, str], rows: list[Row], runs: list[Run], notes: tuple[str, ...]
) -> Table:
    """Return the table; a cell that a row lacks is empty.

    Args:
        names: the file's name, and the title.
        rows, runs: its rows, and what they are of.
        notes: of its own, where it has rows.
    """
    heading = tuple(dict.fromkeys(name for row in rows for name in row))
    return Table(
        name=names[0],
        title=names[1],
        names=3,
        columns=heading or ("Network", "split", "runs"),
        rows=tuple(tuple(row.get(name, "") for name in heading) for row in rows),
        notes=(
            *((*_tiles(runs), *notes) if rows else ()),
            *_not_evaluated(runs),
            *about(runs),
        ),
    )


def _tiles(runs: list[Run]) -> tuple[str, ...]:
    first, *_ = own_scores(runs)
    return (f"Tiles of {first.tile} px, {_FLIPPED[first.run.flip]}.",)


_FLIPPED = {True: "each image's mirror image averaged in", False: "without mirror images"}
_PAIR = (
    "Pair: the zero and the partial run whose regular mIoU lie closest, the paper's comparison; "
    "it was picked, so nothing is tested."
)
_MEANS = (
    "mean: over all seeds; difference: paired by seed, over the seeds that both have, or Welch's. "
    "[ ]: 95 % interval (Student's t); p: Holm's correction over this table."
)


def _pair_notes(runs: list[Run], columns: Columns) -> tuple[str, ...]:
    """Return the notes that say how pairs are chosen and which they are."""
    found, told = sorted(own_scores(runs), key=_order), []
    for panel in dict.fromkeys(one.run.panel for one in found):
        if pair := matched([one for one in found if one.run.panel == panel]):
            zero, partial = pair
            apart = partial.modes["regular"] - zero.modes["regular"]
            told.append(f"{zero.run.path.name} and {partial.run.path.name} ({apart:+.3f})")
    named = (_PAIR, f"Pairs: {'; '.join(told)}.") if told else ()
    return (*named, *((_MEANS,) if columns == "all" else ()))


def _not_evaluated(runs: list[Run]) -> tuple[str, ...]:
    """Return the note that says which command evaluates what has not been."""
    finished = [run for run in runs if run.finished]
    left = [run for run in finished if run.padding not in run.evaluations]
    if not left:
        return () if finished else ("No run is finished.",)
    paths = " ".join(str(run.path) for run in left)
    return (f"Not evaluated yet: {len(left)} of {len(finished)} finished runs; make it up by: "
            f"python evaluate.py {paths}{' eval.flip=true' * left[0].flip}",)  # fmt: skip
