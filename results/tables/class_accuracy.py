"""Two sets of evaluations class by class, and what each of them mixes up."""

import numpy as np

from foundation.words import counted
from records.errors import RunError
from results.predictions import Predictions, class_accuracy, confusions, same_images
from results.render import Table
from results.tables.groups_alike import Groups, flat, means_of, names_of, title_of
from results.tables.rows import cell

_SHOWN = 20  # classes, and confusions of a side


def per_class_table(a: Groups[Predictions], b: Groups[Predictions]) -> Table:
    """Return the classes whose accuracy differs most between two sets of evaluations.

    Args:
        a, b: of `alike`.

    Raises:
        RunError: they are not of the same images and classes.
    """
    first, other = flat(a), flat(b)
    same_images([*first, *other])
    if len({one.classes for one in (*first, *other)}) > 1:
        raise RunError(
            f"{first[0].file} and {other[0].file}: name different classes; those of an older "
            f"version have numbers for names until evaluate.py runs again"
        )
    means = [
        np.mean([class_accuracy(group).mean(axis=0) for group in side.values()], axis=0)
        for side in (a, b)
    ]
    gain = means[1] - means[0]
    counts = np.bincount(first[0].label, minlength=len(gain))
    order = [i for i in np.argsort(-np.abs(gain), kind="stable").tolist() if counts[i]]
    return Table(
        name="compare_classes",
        title=title_of("Classes whose accuracy (%) differs most", a, b),
        names=1,
        columns=("class", "images", "A", "B", "B - A"),
        rows=tuple(
            (
                first[0].classes[i],
                str(counts[i]),
                *(cell(float(value)) for value in (means[0][i], means[1][i], gain[i])),
            )
            for i in order[:_SHOWN]
        ),
        notes=(
            f"{means_of(a, b, 'evaluations')}; {min(_SHOWN, len(order))} of {len(order)} classes.",
        ),
    )


def confusion_table(groups: Groups[Predictions], side: str = "") -> Table:
    """Return the pairs of classes that a set of evaluations mixes up most.

    Raises:
        RunError: the evaluations are not of the same images.
    """
    found = flat(groups)
    same_images(found)
    table = confusions(found)
    images = table.sum(axis=1)
    np.fill_diagonal(table, 0)
    n, names = len(table), found[0].classes
    order = np.argsort(-table, axis=None, kind="stable")[:_SHOWN].tolist()
    rows = [
        (names[i // n], names[i % n], str(count), f"{100 * count / images[i // n]:.1f} %")
        for i in order
        if (count := int(table.flat[i]))
    ]
    evaluations = ("run's evaluation", "runs' evaluations")
    return Table(
        name="confusions" + (f"_{side.lower()}" if side else ""),
        title="Largest confusions" + (f" of {side}" if side else ""),
        names=2,
        columns=("class", "taken for", "times", "of the class's images"),
        rows=tuple(rows),
        notes=(f"Over {counted(len(found), *evaluations)} of {names_of(groups)}.",),
    )
