"""The claims of Section 4.2, about segmentation, tested on a set of runs."""

from collections.abc import Mapping

from results import printed
from results.findings import (
    POOLED,
    Finding,
    Findings,
    corrected,
    directed,
    pooled_finding,
)
from results.mode_scores import ModeScores
from results.numbers import Key
from results.statistics import Values, difference

BEATS_MIOU = "partial beats zero in mIoU (Table 5)"
TILES = "tiles, overlap {}, help partial more than zero (Table 6)"
CENTRE = "partial leads by more without the centre, 7/8 of each {} (Table 7)"
TILES_0, TILES_THIRD = TILES.format("0"), TILES.format("1/3")
CENTRE_IMAGE, CENTRE_TILE = CENTRE.format("image"), CENTRE.format("tile")
ORDER = (BEATS_MIOU, TILES_0, TILES_THIRD, CENTRE_IMAGE, CENTRE_TILE)

Gains = Mapping[str, Mapping[tuple[str, str], Mapping[str, Values]]]
# By claim, (split, network) and padding: what each run gains, in points.


def miou_findings(numbers: Mapping[Key, Values], pair: bool) -> Findings:
    """Return what best mIoUs say to Table 5's claim.

    Args:
        numbers: percents by split, network, padding and seed.
        pair: whether seeds pair.
    """
    sides = {
        (split, arch): (values, zero)
        for (split, arch, padding), values in numbers.items()
        if padding == "partial" and values and (zero := numbers.get((split, arch, "zero"), {}))
    }
    known = {study: difference(*both, pair) for study, both in sides.items()}
    p_of = corrected({study: one.p for study, one in known.items()})
    found = {
        (BEATS_MIOU, study_name(study)): directed(one, p_of[study]) for study, one in known.items()
    }
    if len(sides) > 1:
        named = {study_name(study): both for study, both in sides.items()}
        found[BEATS_MIOU, POOLED] = pooled_finding(named, pair)
    return found


def gain_findings(gains: Gains, pair: bool) -> Findings:
    """Return what the runs' gains say: partial's against zero's, a family each claim."""
    found: dict[tuple[str, str], Finding] = {}
    for claim, studies in gains.items():
        known = {
            study: one
            for study, sides in studies.items()
            if (one := difference(sides.get("partial", {}), sides.get("zero", {}), pair))
        }
        p_of = corrected({study: one.p for study, one in known.items()})
        for study, one in known.items():
            found[claim, study_name(study)] = directed(one, p_of[study])
    return found


def gains_of(found: list[ModeScores]) -> Gains:
    """Return what each run gains by tiles, and by leaving the centre out of tiles."""
    gains: dict[str, dict] = {claim: {} for claim in ORDER[1:]}
    for one in found:
        regular, tile = one.modes["regular"], one.modes["tile 0"]
        gained = {TILES_0: tile - regular, TILES_THIRD: one.modes["tile 1/3"] - regular}
        for claim, reading in ((CENTRE_IMAGE, "image"), (CENTRE_TILE, "tile")):
            if (left := one.leave_out[reading]["7/8"]) is not None:
                gained[claim] = left - tile
        for claim, points in gained.items():
            sides = gains[claim].setdefault((one.run.split, one.run.arch), {})
            sides.setdefault(one.padding, {})[one.run.seed] = points
    return gains


def printed_gains() -> Gains:
    """Return those of Tables 6 and 7: one run each, on either reading of 'center'."""
    tiles, centre = (
        {padding: [float(v) for v in list(row.values())[1:]] for padding, row in rows}
        for rows in (zip(("zero", "partial"), printed.table(n), strict=False) for n in (6, 7))
    )
    points = {
        TILES_0: {padding: {0: row[1] - row[0]} for padding, row in tiles.items()},
        TILES_THIRD: {padding: {0: row[2] - row[0]} for padding, row in tiles.items()},
    }
    left = {padding: {0: row[-1] - row[1]} for padding, row in centre.items()}
    points |= {CENTRE_IMAGE: left, CENTRE_TILE: left}
    return {claim: {("cv2", "deeplabv3plus_wrn38"): sides} for claim, sides in points.items()}


def study_name(study: tuple[str, str]) -> str:
    """Return a split and network as tables name them, for example 'WN38 cv2 (additional)'."""
    split, arch = study
    return f"{printed.network(arch, '').rstrip('_')} {printed.split(split)}"
