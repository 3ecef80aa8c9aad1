"""Fig. 4: images that every partial run gets right and every zero run wrong (Section 4.1)."""

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from data.index import load_index
from data.store.dataset import DataError
from data.store.split import Split
from records.errors import RunError
from results.figures import style
from results.known import gained
from results.predictions import Predictions, same_images

_COLUMNS, _ROWS = 6, 4
_SIDE = 224  # px that a picture is shown with


def images(root: Path, exclude: str | None) -> Split:
    """Return a data set's validation images.

    Args:
        root: an image folder or shards.
        exclude: as data.exclude.

    Raises:
        RunError: it is not at hand.
    """
    try:
        return load_index(root, exclude).val
    except DataError as error:
        raise RunError(f"no images ({error}); name their folder with --data") from None


@style.styled
def contact_sheet(
    zero: Sequence[Predictions],
    partial: Sequence[Predictions],
    split: Split,
    name: str,
    notes: Sequence[str] = (),
) -> Figure:
    """Return Fig. 4, with the counts in both directions.

    Of more images than fit, evenly spaced ones are shown, which belong to classes of all kinds.

    Args:
        zero, partial: evaluations of a network's runs, each under its own padding.
        split: the images, of `images`.
        name: of the network.
        notes: to stand below, of the runs that are left out.

    Raises:
        RunError: there are no such images, or the evaluations or `split` are of others.
    """
    same_images([*zero, *partial])
    if not np.array_equal(split.labels, zero[0].label):
        raise RunError(f"{split.root}: is not what {zero[0].file} was made of; give it with --data")
    places, lost = gained(zero, partial), gained(partial, zero)
    if not len(places):
        raise RunError(f"no image is wrong in all zero and right in all partial runs of {name}")
    shown = places[np.linspace(0, len(places) - 1, min(len(places), _COLUMNS * _ROWS)).astype(int)]
    rows = -(-len(shown) // _COLUMNS)
    figure = Figure(figsize=(1.75 * _COLUMNS, 2.2 * rows + 0.8))
    grid = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes, place in zip(grid, shown.tolist(), strict=False):
        axes.imshow(_picture(split, place))
        (taken, _), *_ = Counter(int(one.prediction[place]) for one in zero).most_common()
        names = zero[0].classes
        told = (names[zero[0].label[place]], f"zero: {names[taken]}")
        axes.set_title("\n".join(style.shortened(line, 22) for line in told), fontsize=style.SMALL)
    for axes in grid:
        axes.set_axis_off()
    figure.suptitle(
        f"{name}: wrong in all {len(zero)} zero runs, right in all {len(partial)} partial runs: "
        f"{len(places):,} images; the reverse: {len(lost):,}"
    )
    style.caption(
        figure,
        f"{len(shown):,} of {len(places):,} images"
        + ", evenly spaced in the validation set's order" * (len(shown) < len(places))
        + ". First line: the true class; second: what most zero runs see.",
        *notes,
    )
    return figure


def _picture(split: Split, place: int) -> Image.Image:
    """Return the middle square of an image, as the network saw it but for the resizing."""
    try:
        with Image.open(io.BytesIO(split.read(place))) as image:
            side = min(image.size)
            left, top = ((length - side) // 2 for length in image.size)
            square = image.convert("RGB").crop((left, top, left + side, top + side))
    except (DataError, OSError) as error:
        raise RunError(f"{split.name(place)}: cannot be shown ({error})") from None
    return square.resize((_SIDE, _SIDE))
