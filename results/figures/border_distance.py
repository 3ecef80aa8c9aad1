"""mIoU by the distance to the border: where the paddings part (Section 4.2.1)."""

from collections.abc import Sequence
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from records.errors import RunError
from results import printed
from results.figures import style
from results.mode_scores import ModeScores, ring_name, rings_of
from results.statistics import Values, difference, half_interval

_MODES = {"regular": "the image's border", "tile 0": "the tile's border"}


@style.styled
def border_curves(found: Sequence[ModeScores], notes: Sequence[str] = ()) -> Figure:
    """Return mIoU in rings around the border, and below what each padding has over zero.

    Args:
        found: evaluations of one network and split, each run under its own padding.
        notes: to stand below, of the runs that are left out.

    Raises:
        RunError: there are none, or none with rings.
    """
    modes = [mode for mode in _MODES if rings_of(found, mode)]
    if not modes:
        raise RunError("no evaluations; run evaluate.py on the run directories")
    figure = Figure(figsize=(4.6 * len(modes), 5.4))
    grid = figure.subplots(2, len(modes), squeeze=False, height_ratios=(1.4, 1), sharex="col")
    for (upper, lower), mode in zip(grid.T, modes, strict=True):
        rings = rings_of(found, mode)
        values = _values(found, mode, rings)
        looks = {padding: _drawn(look) for padding, look in style.looks(values).items()}
        for place, (padding, columns) in enumerate(values.items()):
            _line(upper, padding, columns, place / 12, looks[padding])
            if padding != "zero" and "zero" in values:
                _lead(lower, columns, values["zero"], looks[padding])
        upper.set_title(f"{mode}: distance to {_MODES[mode]}")
        lower.axhline(0, color=style.INK, lw=0.8)
        lower.set_xticks(range(len(rings)), [ring_name(ring) for ring in rings])
        lower.set_xlabel("distance (px; 0: the outermost line)")
        for axes in (upper, lower):
            axes.grid(True, axis="y")
    grid[0, 0].set_ylabel("mIoU (%)")
    grid[1, 0].set_ylabel("mIoU over zero (points)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    look = dict(loc="outside upper center", ncols=4, handlelength=4)
    figure.legend(handles, labels, title=found[0].run.panel, **look)
    style.caption(
        figure,
        "Points: means over the seeds; bars: 95 % intervals (Student's t), below paired by seed "
        "where the sides share seeds.",
        "mIoU of a ring is of that ring's pixels alone; rings differ in their classes.",
        *notes,
    )
    return figure


def _values(
    found: Sequence[ModeScores], mode: str, rings: list[tuple[int, int | None]]
) -> dict[str, list[Values]]:
    """Return {padding: a column of {seed: percent} each ring}."""
    ordered = sorted(found, key=lambda one: printed.place("", one.padding))
    return {
        padding: [
            {
                one.run.seed: value
                for one in ordered
                if one.padding == padding
                and (value := one.border.get(mode, {}).get(ring)) is not None
            }
            for ring in rings
        ]
        for padding in dict.fromkeys(one.padding for one in ordered)
    }


def _line(
    axes: Axes, padding: str, columns: list[Values], aside: float, look: dict[str, object]
) -> None:
    known = [(i + aside, [*column.values()]) for i, column in enumerate(columns) if column]
    seeds = max(len(values) for _, values in known)
    axes.errorbar(
        [place for place, _ in known],
        [fmean(values) for _, values in known],
        [half_interval(values) or 0 for _, values in known] if seeds > 1 else None,
        label=f"{padding} ({seeds} seed{'s' if seeds > 1 else ''})",
        **look,
    )


def _lead(axes: Axes, columns: list[Values], zero: list[Values], look: dict[str, object]) -> None:
    pairs = zip(columns, zero, strict=True)
    known = [(i, one) for i, both in enumerate(pairs) if (one := difference(*both))]
    bars = [(one.interval[1] - one.mean) if one.interval else 0 for _, one in known]
    places, means = [i for i, _ in known], [one.mean for _, one in known]
    axes.errorbar(places, means, bars if any(bars) else None, **look)


def _drawn(look: style.Look) -> dict[str, object]:
    return dict(color=look.colour, marker=look.marker, ls=look.line, capsize=2, elinewidth=1)
