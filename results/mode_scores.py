"""What evaluate.py measured of segmentation runs: regular, in tiles, near the border."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from records.errors import RunError
from records.iou import CLASSES, miou
from results.checked import again, checked, place
from results.collect import Run

MODES = ("regular", "tile 0", "tile 1/3")
SHARES = ("1/3", "1/2", "2/3", "3/4", "7/8")  # of height and of width that are left out (Table 7)
READINGS = ("image", "tile")  # the centre of what is left out; the paper does not say

Scores = Mapping[str, float | None]  # mIoU in percent; None: nothing is labelled there


@dataclass(frozen=True)
class ModeScores:
    """One run's evaluation under one padding.

    Attributes:
        run: the run.
        padding: that it was evaluated with.
        modes: by MODES.
        leave_out: by READINGS and SHARES, on non-overlapping tiles.
        border: of 'regular' and 'tile 0', by ring: 'from' and 'to' px from the border.
        tile: px, side of the tiles.
    """

    run: Run
    padding: str
    modes: Mapping[str, float]
    leave_out: Mapping[str, Scores]
    border: Mapping[str, Mapping[tuple[int, int | None], float | None]]
    tile: int


def own_scores(runs: list[Run]) -> list[ModeScores]:
    """Return the evaluations of the finished runs, each under its own padding; some have none.

    Raises:
        RunError: one is not of its run's best checkpoint, contradicts itself, or was made with
            other tiles than the others.
    """
    evaluated = [run for run in runs if run.finished and run.padding in run.evaluations]
    return alike([mode_scores(run, run.padding) for run in evaluated])


def alike(found: list[ModeScores]) -> list[ModeScores]:
    """Return the evaluations, or raise a RunError where two were made with other tiles."""
    for one in found[1:]:
        if one.tile != found[0].tile:
            raise RunError(
                f"{place(one.run, one.padding)}: tile is {one.tile}, {found[0].tile} in "
                f"{place(found[0].run, found[0].padding)}; {again(one.run, one.padding)} "
                f"eval.tile={found[0].tile}"
            )
    return found


def rings_of(found: Sequence[ModeScores], mode: str) -> list[tuple[int, int | None]]:
    """Return the rings that any of the evaluations has, from the border inwards."""
    rings = {ring for one in found for ring in one.border.get(mode, {})}
    return sorted(rings, key=lambda ring: ring[0])


def ring_name(ring: tuple[int, int | None]) -> str:
    """Return a ring's distances: '0', '4-7', '64+'."""
    start, end = ring
    if end is None:
        return f"{start}+"
    return f"{start}" if end == start + 1 else f"{start}-{end - 1}"


def mode_scores(run: Run, padding: str) -> ModeScores:
    """Return a run's evaluation under a padding.

    Raises:
        RunError: as own_scores.
    """
    result = checked(run, padding)
    try:
        return ModeScores(
            run=run,
            padding=padding,
            modes={mode: _labelled(result["modes"][mode]) for mode in MODES},
            leave_out={
                reading: {share: _miou(result["leave_out"][reading][share]) for share in SHARES}
                for reading in READINGS
            },
            border={
                mode: {(ring["from"], ring["to"]): _miou(ring) for ring in rings}
                for mode, rings in result["border"].items()
            },
            tile=_tile(result, run.flip),
        )
    except _Contradiction as error:
        told = str(error)
    except (KeyError, TypeError, AttributeError) as error:
        told = f"is damaged or of another version ({error!r})"
    raise RunError(f"{place(run, padding)}: {told}; {again(run, padding)}")


class _Contradiction(Exception):
    """A number is not what its counts say."""


def _tile(result: dict[str, Any], flip: bool) -> int:
    if result["flip"] is not flip:
        raise _Contradiction(f"flip is {result['flip']}, by the file's name {flip}")
    return result["tile"]


def _labelled(measured: dict[str, Any]) -> float:
    if (value := _miou(measured)) is None:
        raise _Contradiction("nothing is labelled")
    return value


def _miou(measured: dict[str, Any]) -> float | None:
    """Return the mean IoU in percent that the counts give, which are what is believed."""
    table, said = measured["confusion"], measured["miou"]
    counts = [count for row in table for count in row]
    whole = len(table) == CLASSES and all(len(row) == CLASSES for row in table)
    if not whole or not all(type(count) is int and count >= 0 for count in counts):
        raise _Contradiction(f"a confusion matrix is not {CLASSES} x {CLASSES} counts")
    value = miou(table)
    known = isinstance(said, int | float) and not isinstance(said, bool)
    if said is not value and not (known and value is not None and abs(said - value) < 1e-6):
        raise _Contradiction(f"miou {said} is not {value}, which its confusion matrix gives")
    return value
