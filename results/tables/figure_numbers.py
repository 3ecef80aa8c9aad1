"""The numbers of the figures that are drawn from predictions, for those who cannot see them."""

import numpy as np

from records.errors import RunError
from results.collect import Run
from results.grouping import groups
from results.known import extreme_classes, gained, known_by, zero_and_partial
from results.predictions import Predictions, predictions, same_images
from results.render import Table, file_name
from results.tables.rows import cell

Sides = tuple[list[Predictions], list[Predictions]]  # of zero and of partial runs
Notes = tuple[str, ...]


def known_tables(runs: list[Run]) -> list[Table]:
    """Return Fig. 4's counts, then for each network its images and classes; [] without predictions.

    Args:
        runs: of classification. Networks whose predictions cannot be compared are left out; the
            list of figures says why.
    """
    found: dict[str, Sides] = {}
    left: dict[str, Notes] = {}
    for arch in dict.fromkeys(arch for arch, _ in groups(runs)):
        try:
            *both, notes = zero_and_partial([run for run in runs if run.arch == arch])
            sides = tuple([predictions(run, run.padding) for run in side] for side in both)
            same_images([one for side in sides for one in side])
        except RunError:
            continue
        found[arch], left[arch] = sides, notes
    if not found:
        return []
    made = [_directions(found, tuple(note for notes in left.values() for note in notes))]
    for arch, sides in found.items():
        made += [_images(arch, sides, left[arch]), _classes(arch, sides, left[arch])]
    return made


def _directions(found: dict[str, Sides], notes: Notes) -> Table:
    return Table(
        name="fig_4_counts",
        title="Figure 4: images that all runs of one padding get right and none of the other",
        names=1,
        columns=("Network", "zero runs", "partial runs", "images", "partial alone", "zero alone"),
        rows=tuple(
            (
                arch,
                *(str(len(side)) for side in (zero, partial)),
                f"{len(zero[0].label):,}",
                *(f"{len(gained(*sides)):,}" for sides in ((zero, partial), (partial, zero))),
            )
            for arch, (zero, partial) in found.items()
        ),
        notes=("partial alone: wrong in every zero run, right in every partial run.", *notes),
    )


def _images(arch: str, sides: Sides, notes: Notes) -> Table:
    counts = known_by(*sides)
    return Table(
        name=file_name("where_images", arch),
        title=f"{arch}: images by the number of runs that are right",
        names=1,
        columns=("zero runs", *(f"{j} partial" for j in range(counts.shape[1]))),
        rows=tuple((str(i), *(f"{n:,}" for n in row)) for i, row in enumerate(counts.tolist())),
        notes=notes,
    )


def _classes(arch: str, sides: Sides, notes: Notes) -> Table:
    order, *each = extreme_classes(*sides)
    zero, partial = (side.mean(axis=0) for side in each)
    first = sides[0][0]
    images = np.bincount(first.label, minlength=len(zero))
    return Table(
        name=file_name("where_classes", arch),
        title=f"{arch}: the classes that gain and lose most with partial padding (%)",
        names=1,
        columns=("class", "images", "zero", "partial", "partial - zero"),
        rows=tuple(
            (
                first.classes[i],
                str(images[i]),
                *(cell(float(v)) for v in (zero[i], partial[i], partial[i] - zero[i])),
            )
            for i in reversed(order)
        ),
        notes=("Picked by their gain, so each looks larger than it is.", *notes),
    )
