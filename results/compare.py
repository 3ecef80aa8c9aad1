"""Two sets of runs side by side: averages, recipes, classes, confusions."""

from collections.abc import Sequence

import numpy as np

from configs.same_data import same_data
from configs.schema import OPERATIONAL_KEYS
from records.errors import RunError
from records.score import SCORES
from results import printed
from results.collect import STUDIED, Run
from results.departures import setting_text
from results.predictions import (
    Predictions,
    class_accuracy,
    confusions,
    has_predictions,
    predictions,
    same_images,
)
from results.render import Table
from results.statistics import Values
from results.tables.accuracy import numbers_of
from results.tables.class_iou import class_iou_table
from results.tables.rows import average_cells, cell, diff_cells

_SHOWN = 20  # classes, and confusions of a side


def compare_tables(a: list[Run], b: list[Run], padding: str | None = None) -> list[Table]:
    """Return averages, then classes and confusions as far as there are predictions.

    Args:
        a, b: the two sides, of `collect`.
        padding: whose evaluations to take; None: each run's own padding; not of segmentation,
            whose classes are those of the best epochs.

    Raises:
        RunError: they are of two tasks.
    """
    tasks = {run.task for run in (*a, *b)}
    if len(tasks) > 1:
        raise RunError(f"runs of {' and '.join(sorted(tasks))}: compare two sets of one task")
    made = [_averages(a, b)]
    if tasks == {"segmentation"}:
        return [*made, *_scene_classes(a, b)]
    sides = {"A": _found(a, padding), "B": _found(b, padding)}
    known = {side: found for side, found in sides.items() if found}
    notes = [_without(side) for side in sides if side not in known]
    if len(known) == 2:
        try:
            made.append(per_class_table(sides["A"], sides["B"]))
        except RunError as error:
            notes.append(f"No comparison by classes: {error}")
    for side, found in known.items():
        try:
            made.append(confusion_table(found, side))
        except RunError as error:
            notes.append(f"No confusions of {side}: {error}")
    first = made[0]
    return [Table(**(vars(first) | {"notes": (*first.notes, *notes)})), *made[1:]]


def _found(runs: list[Run], padding: str | None) -> list[Predictions]:
    known = [(run, padding or run.padding) for run in runs if run.finished]
    return [predictions(run, used) for run, used in known if has_predictions(run, used)]


def _without(side: str) -> str:
    return f"{side} has no predictions: run evaluate.py on its run directories."


def _averages(a: list[Run], b: list[Run]) -> Table:
    rows = []
    for split in sorted({run.split for run in (*a, *b)}):
        parts = [[run for run in runs if run.split == split] for runs in (a, b)]
        sides = [{m: numbers_of(runs, m) for m in ("best", "last5_avg")} for runs in parts]
        keys = sorted({*sides[0]["best"], *sides[1]["best"]}, key=lambda key: printed.place(*key))
        rows += [
            (
                f"{printed.network(*key)} {printed.split(split)}".rstrip(),
                measure,
                *_row(*(side[measure].get(key, {}) for side in sides)),
            )
            for key in keys
            for measure in sides[0]
        ]
    return Table(
        name="compare",
        title=f"Two sets of runs, {SCORES[a[0].task].title} (%)",
        names=2,
        columns=("Network", "measure", "A", "A ±", "A n", "B", "B ±", "B n", "B - A", "interval"),
        rows=tuple(rows),
        notes=(
            f"A: {_places(a)}; B: {_places(b)}.",
            *_recipes(a, b),
            *_data(a, b),
            "± and [ ]: 95 % confidence intervals; B - A: paired by seed, over the seeds that both "
            "have; W: Welch.",
        ),
    )


def _row(a: Values, b: Values) -> tuple[str, ...]:
    cells = [(*average_cells(side, ""), str(len(side))) for side in (a, b)]
    return (*cells[0], *cells[1], *diff_cells(b, a, 1)[:2])


def _places(runs: list[Run]) -> str:
    folders = sorted({str(run.path.parent if len(runs) > 1 else run.path) for run in runs})
    return ", ".join(folders)


def _recipes(a: list[Run], b: list[Run]) -> tuple[str, ...]:
    """Return the note that says in what the two sides' settings differ."""
    apart = STUDIED | OPERATIONAL_KEYS
    told = []
    for key in sorted({key for run in (*a, *b) for key in run.settings} - apart):
        texts = [sorted({setting_text(run.settings.get(key)) for run in side}) for side in (a, b)]
        if texts[0] != texts[1]:
            told.append(f"{key} {', '.join(texts[0])} and {', '.join(texts[1])}")
    return (f"Recipes differ: {'; '.join(told)}.",) if told else ("One recipe.",)


def _data(a: list[Run], b: list[Run]) -> tuple[str, ...]:
    """Return the note that the two sides' data sets differ; () if they can be one."""
    finished = [[run for run in side if run.finished] for side in (a, b)]
    pairs = [(one, other) for one in finished[0] for other in finished[1]]
    if all(same_data(one.fingerprint, other.fingerprint) for one, other in pairs):
        return ()
    counts = [sorted({f"{run.val_count:,}" for run in side}) for side in finished]
    evaluated = " and ".join(" or ".join(side) for side in counts)
    return (
        f"Data sets differ (evaluated on {evaluated} images): B - A is of the data, too, and no "
        f"images are paired.",
    )


def _scene_classes(a: list[Run], b: list[Run]) -> list[Table]:
    """Return a table of classes for each split that both sides have finished runs of."""
    finished = [[run for run in runs if run.finished] for runs in (a, b)]
    splits = sorted({run.split for run in finished[0]} & {run.split for run in finished[1]})
    return [
        class_iou_table(*([run for run in runs if run.split == split] for runs in finished))
        for split in splits
    ]


def per_class_table(a: Sequence[Predictions], b: Sequence[Predictions]) -> Table:
    """Return the classes whose accuracy differs most between two sets of evaluations.

    Raises:
        RunError: they are not of the same images and classes.
    """
    same_images([*a, *b])
    if len({one.classes for one in (*a, *b)}) > 1:
        raise RunError(
            f"{a[0].file} and {b[0].file}: name different classes; those of an older version have "
            f"numbers for names until evaluate.py runs again"
        )
    each = [class_accuracy(side) for side in (a, b)]
    means = [side.mean(axis=0) for side in each]
    gain = means[1] - means[0]
    counts = np.bincount(a[0].label, minlength=len(gain))
    order = [i for i in np.argsort(-np.abs(gain), kind="stable").tolist() if counts[i]]
    return Table(
        name="compare_classes",
        title="Classes whose accuracy (%) differs most",
        names=1,
        columns=("class", "images", "A", "B", "B - A"),
        rows=tuple(
            (
                a[0].classes[i],
                str(counts[i]),
                *(cell(float(value)) for value in (means[0][i], means[1][i], gain[i])),
            )
            for i in order[:_SHOWN]
        ),
        notes=(
            f"Means of {len(a)} and {len(b)} runs' evaluations; {min(_SHOWN, len(order))} of "
            f"{len(order)} classes.",
        ),
    )


def confusion_table(found: Sequence[Predictions], side: str = "") -> Table:
    """Return the pairs of classes that a set of evaluations mixes up most.

    Raises:
        RunError: the evaluations are not of the same images.
    """
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
    return Table(
        name="confusions" + (f"_{side.lower()}" if side else ""),
        title="Largest confusions" + (f" of {side}" if side else ""),
        names=2,
        columns=("class", "taken for", "times", "of the class's images"),
        rows=tuple(rows),
        notes=(f"Over {len(found)} runs' evaluations.",),
    )
