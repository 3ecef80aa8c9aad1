"""Two sets of runs side by side: averages, recipes, classes, confusions."""

from dataclasses import replace

from configs.same_data import same_data
from configs.schema import OPERATIONAL_KEYS
from records.errors import RunError
from records.score import SCORES
from results import printed
from results.collect import STUDIED, Run
from results.departures import setting_text
from results.diverged import diverged_runs, with_note
from results.grouping import by_split, groups
from results.notes import few_epochs, unfinished
from results.numbers import MEASURES, Numbers, numbers_of
from results.predictions import Predictions, has_predictions, predictions
from results.render import Table
from results.statistics import Values
from results.tables.class_accuracy import confusion_table, per_class_table
from results.tables.class_iou import class_iou_table
from results.tables.groups_alike import NOT_ALIKE, Groups, Key, alike, left_out
from results.tables.rows import average_cells, diff_cells


def compare_tables(a: list[Run], b: list[Run], padding: str | None = None) -> list[Table]:
    """Return averages, then classes and confusions as far as there are predictions.

    Args:
        a, b: the two sides, of `collect`.
        padding: whose evaluations to take; None: each run's own padding, and always of
            segmentation, whose classes are those of the best epochs.

    Raises:
        RunError: they are of two tasks, or a padding is named and they are of segmentation.
    """
    tasks = {run.task for run in (*a, *b)}
    if len(tasks) > 1:
        raise RunError(f"runs of {' and '.join(sorted(tasks))}: compare two sets of one task")
    if padding and tasks == {"segmentation"}:
        raise RunError(
            "--padding is of classification; segmentation shows its best epochs' classes"
        )
    first = _averages(a, b)
    if tasks == {"segmentation"}:
        classes, notes = _scene_classes(a, b)
    else:
        classes, notes = _classes(_found(a, padding), _found(b, padding))
    return [replace(first, notes=(*first.notes, *notes)), *classes]


def _found(runs: list[Run], padding: str | None) -> Groups[Predictions]:
    known = [run for run in runs if run.finished and has_predictions(run, padding or run.padding)]
    return {
        key: [predictions(run, padding or run.padding) for run in group]
        for key, group in groups(known).items()
    }


def _classes(a: Groups[Predictions], b: Groups[Predictions]) -> tuple[list[Table], list[str]]:
    """Return the tables of classes and confusions, and notes about what there is none of."""
    sides, made, notes = {"A": a, "B": b}, [], []
    if all(sides.values()):
        matched = alike(a, b)
        if matched is None:
            return [], [NOT_ALIKE]
        sides = dict(zip(sides, matched, strict=True))
        notes += left_out(matched, a, b)
        try:
            made.append(per_class_table(*matched))
        except RunError as error:
            notes.append(f"No comparison by classes: {error}")
    for side, found in sides.items():
        if not found:
            notes.append(f"{side} has no predictions: run evaluate.py on its run directories.")
            continue
        try:
            made.append(confusion_table(found, side))
        except RunError as error:
            notes.append(f"No confusions of {side}: {error}")
    return made, notes


def _averages(a: list[Run], b: list[Run]) -> Table:
    rows = []
    for split in sorted({run.split for run in (*a, *b)}):
        parts = [[run for run in runs if run.split == split] for runs in (a, b)]
        sides = [{m: numbers_of(runs, m) for m in MEASURES} for runs in parts]
        rows += [
            (
                f"{name} {printed.split(split)}".rstrip(),
                measure,
                *_row(*(side[measure].get(key, {}) for side, key in zip(sides, keys, strict=True))),
            )
            for name, keys in _rows(*(side["best"] for side in sides)).items()
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
            *_about(a, b),
            *_recipes(a, b),
            *_data(a, b),
            "± and [ ]: 95 % confidence intervals; B - A: paired by seed, over the seeds that both "
            "have; W: Welch, where they share no seed, or one while both have more.",
        ),
    )


def _rows(a: Numbers, b: Numbers) -> dict[str, tuple[Key, Key]]:
    """Return what stands in a row: one network and padding, or the only one of each side."""
    if len(a) == len(b) == 1 and a.keys() != b.keys():
        keys = next(iter(a)), next(iter(b))
        return {" → ".join(printed.network(*key) for key in keys): keys}
    both = sorted({*a, *b}, key=lambda key: printed.place(*key))
    return {printed.network(*key): (key, key) for key in both}


def _row(a: Values, b: Values) -> tuple[str, ...]:
    cells = [(*average_cells(side, ""), str(len(side))) for side in (a, b)]
    # A difference over fewer seeds than a side's mean is marked.
    return (*cells[0], *cells[1], *diff_cells(b, a, max(len(a), len(b)))[:2])


def _places(runs: list[Run]) -> str:
    folders = sorted({str(run.path.parent if len(runs) > 1 else run.path) for run in runs})
    return ", ".join(folders)


def _about(a: list[Run], b: list[Run]) -> tuple[str, ...]:
    """Return the notes of each side's runs that do not count, or count for less."""
    return tuple(
        f"{side}: {note}"
        for side, runs in {"A": a, "B": b}.items()
        for note in (
            *few_epochs(runs, "last5_avg"),
            *unfinished(runs),
            *with_note(diverged_runs(runs)),
        )
    )


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


def _scene_classes(a: list[Run], b: list[Run]) -> tuple[list[Table], list[str]]:
    """Return a table of classes for each split that both sides have finished runs of, and notes."""
    finished = [by_split(run for run in runs if run.finished) for runs in (a, b)]
    made, notes = [], []
    for split in sorted(finished[0].keys() & finished[1].keys()):
        both = [groups(side[split]) for side in finished]
        matched = alike(*both)
        if matched is None:
            notes.append(f"Split {split}: {NOT_ALIKE}")
            continue
        made.append(class_iou_table(split, *matched))
        notes += [f"Split {split}: {note}" for note in left_out(matched, *both)]
    return made, notes
