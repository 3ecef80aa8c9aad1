"""Comparisons of studies that are not alike, and predictions that must not be taken for a run's."""

import json
import warnings
from contextlib import suppress

import numpy as np
import pytest

from foundation.files import read_json, write_json
from records.errors import RunError
from records.score import SCORES
from records.summary import summarize
from results.collect import collect
from results.compare import compare_tables
from results.figures.where import where
from results.known import known_by
from results.predictions import Predictions, predictions, same_images
from results.tables.claims import claims_table
from results.tables.class_accuracy import confusion_table, per_class_table
from tests.results.test_predictions import CLASSES, LABELS, guesses, write_predictions
from tests.results.test_results import cells_of, write_run


def one_run(root, padding="zero", seed=1, right=0.6, settings=(), fingerprint=None):
    """Write a run with predictions and return its directory."""
    run = write_run(root, "resnet50", padding, seed, 76, 75, ["model.num_classes=10", *settings])
    if fingerprint:
        write_json(run.environment_file, {"data_fingerprint": fingerprint})
    write_predictions(run, guesses(seed, right))
    file = run.evaluations / f"{padding}.json"
    write_json(file, read_json(file) | {"data_fingerprint": fingerprint})
    return run


def notes_of(tables):
    return " ".join(note for table in tables for note in table.notes)


def made(labels, *predicted):
    """Return evaluations without files."""
    labels, names = np.array(labels), tuple("abc")
    return [Predictions(f"eval_{i}", labels, np.array(p), names) for i, p in enumerate(predicted)]


def group(found, padding="zero"):
    return {("resnet50", padding): found}


def test_a_subset_of_seeds_is_marked_and_no_run_thrown_away(tmp_path):
    for side, seeds in (("a", (1, 2, 3)), ("b", (2, 3, 4, 5)), ("c", (3, 4, 5))):
        for seed in seeds:
            write_run(tmp_path / side, "resnet50", "zero", seed, 76 + seed / 10, 75)
    a, b, c = (collect(tmp_path / side) for side in "abc")
    assert cells_of(compare_tables(a, b)[0])[0]["B - A"] == "0.000 (2/4 seeds)"
    assert cells_of(compare_tables(a, c)[0])[0]["B - A"] == "0.200 W"


def test_runs_that_count_less_or_not_are_said(tmp_path):
    short = ["train.epochs=2", "optim.milestones=[1]"]
    for seed in (1, 2):
        run = write_run(tmp_path / "a", "resnet50", "zero", seed, 76, 75, short, finish=seed == 1)
        log = run.metrics_file.read_text().splitlines(keepends=True)[: 3 - seed]
        run.metrics_file.write_text("".join(log))
        if seed == 1:
            rows = [json.loads(line) for line in log]
            write_json(run.summary_file, summarize(rows, SCORES["classification"]))
    runs = collect(tmp_path / "a")
    told = "last5_avg is over fewer than 5 epochs where runs have 2 epochs in all (as "
    going = "1 run is not finished and does not count."
    notes = compare_tables(runs, runs)[0].notes
    for side in "AB":
        assert any(note.startswith(f"{side}: {told}{runs[0].path.name}") for note in notes)
        assert f"{side}: {going}" in notes
    for measure, few in (("best", False), ("last5_avg", True)):
        notes = claims_table(runs, measure, 0.25).notes
        assert going in notes
        assert any(note.startswith("NOT ImageNet") for note in notes)
        assert any(note.startswith(told) for note in notes) == few


def test_one_network_a_side_stands_in_one_row(tmp_path):
    one_run(tmp_path / "a", "zero", 1, 0.6)
    one_run(tmp_path / "b", "partial", 1, 0.9)
    averages, classes, *_ = compare_tables(*(collect(tmp_path / side) for side in "ab"))
    [best, last5] = cells_of(averages)
    assert best["Network"] == last5["Network"] == "resnet50_zero → resnet50_partial"
    assert best["B - A"] == "0.000"
    assert classes.title.endswith(": A resnet50_zero, B resnet50_partial")


def test_classes_of_what_both_sides_have(tmp_path):
    """B's partial runs are much better, and no gain of its zero runs."""
    for side, paddings in (("a", {"zero": 0.3}), ("b", {"zero": 0.3, "partial": 0.95})):
        for padding, right in paddings.items():
            for seed in (1, 2):
                one_run(tmp_path / side, padding, seed, right)
    one_run(tmp_path / "c", "reflect", 1, 0.9)
    a, b, c = (collect(tmp_path / side) for side in "abc")
    _, classes, *confused = tables = compare_tables(a, b)
    assert {row["B - A"] for row in cells_of(classes)} == {"0.000"}
    assert confused[1].notes == ("Over 2 runs' evaluations of resnet50_zero.",)
    assert "without what the other side lacks: resnet50_partial of B." in notes_of(tables)
    [averages] = compare_tables(b, c)
    assert "No comparison by classes: the sides have no network and padding" in notes_of([averages])


def test_each_network_counts_alike():
    right, wrong = made([0, 1], [0, 1]), made([0, 1], [1, 0])
    a = group(right) | group(wrong, "partial")
    b = group(right) | group(wrong * 3, "partial")
    table = per_class_table(a, b)
    assert {row["B - A"] for row in cells_of(table)} == {"0.000"}
    assert (
        "of resnet50_zero, resnet50_partial, each network and padding counting alike"
        in (table.notes[0])
    )


def test_tables_by_hand():
    a = made([0, 0, 1, 1], [0, 1, 1, 1], [0, 1, 1, 2])
    b = made([0, 0, 1, 1], [0, 0, 2, 2])
    rows = [tuple(row.values()) for row in cells_of(per_class_table(group(a), group(b)))]
    # Class c has no images, and none of a class's accuracies is over other classes' images.
    assert rows == [
        ("b", "2", "75.000", "0.000", "-75.000"),
        ("a", "2", "50.000", "100.000", "50.000"),
    ]
    rows = [tuple(row.values()) for row in cells_of(confusion_table(group(a)))]
    assert rows == [("a", "b", "2", "50.0 %"), ("b", "c", "1", "25.0 %")]
    assert confusion_table(group(made([0, 1], [0, 1]))).rows == ()
    assert known_by(a, b).tolist() == [[0, 1], [1, 0], [1, 1]]


def test_other_images_are_no_pair(tmp_path):
    same_images(made([0, 1], [0, 1], [1, 1]))
    with pytest.raises(ValueError, match="eval_0 and eval_0: of different images"):
        same_images([*made([0, 1], [0, 1]), *made([1, 0], [0, 1])])
    with pytest.raises(ValueError, match="of different images"):
        same_images([*made([0, 1], [0, 1]), *made([0, 1, 1], [0, 1, 1])])
    # As many images of each class, and yet another data set.
    one_run(tmp_path / "a", fingerprint="11.22")
    one_run(tmp_path / "b", fingerprint="11.33")
    one_run(tmp_path / "c", fingerprint="11")  # an older version's
    a, b, c = (collect(tmp_path / name) for name in "abc")
    tables = compare_tables(a, b)
    assert [table.name for table in tables] == ["compare", "confusions_a", "confusions_b"]
    assert "Data sets differ (evaluated on 200 and 200 images)" in notes_of(tables)
    assert "of different images" in notes_of(tables)
    assert cells_of(tables[0])[0]["B - A"].startswith("0.000")  # accuracies all the same
    tables = compare_tables(a, c)
    assert "compare_classes" in [table.name for table in tables]
    assert "Data sets differ" not in notes_of(tables)


def test_only_predictions_of_the_runs_best_checkpoint(tmp_path):
    run = one_run(tmp_path)
    file = run.evaluations / "zero.json"
    whole = read_json(file)
    assert predictions(collect(tmp_path)[0], "zero").label.tolist() == LABELS.tolist()
    for changes, told in (
        ({"checkpoint": "last"}, "checkpoint is last, the run's is best"),
        ({"epoch": 7}, "epoch is 7, the run's is 0"),
        ({"precision": "bf16"}, "precision is bf16, the run's is fp32"),
        ({"data_fingerprint": "other"}, "data_fingerprint is other, the run's is None"),
        ({"count": 100}, "count is 100, the run's is 200"),
    ):
        write_json(file, whole | changes)
        with pytest.raises(ValueError, match=f"{told}; run evaluate.py .* --padding zero"):
            predictions(collect(tmp_path)[0], "zero")
    write_json(file, whole)
    (run.evaluations / "zero.npz").unlink()
    with pytest.raises(ValueError, match="zero.npz: missing; run evaluate.py .* --padding zero"):
        predictions(collect(tmp_path)[0], "zero")


def test_every_damage_is_one_line(tmp_path):
    run = one_run(tmp_path)
    [known] = collect(tmp_path)
    file = run.evaluations / "zero.npz"
    whole = file.read_bytes()
    right = predictions(known, "zero").prediction
    middle = len(whole) // 2
    cuts = [*range(0, 200), middle, *range(len(whole) - 200, len(whole))]
    for content in (whole[:cut] for cut in cuts):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="zero.npz: .*; run evaluate.py"):
            predictions(known, "zero")
    rng = np.random.default_rng(0)
    with warnings.catch_warnings(action="ignore"):  # zipfile's, of names that occur twice
        for place in rng.integers(0, len(whole), 500).tolist():
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
            # Refused, or a byte that nobody reads.
            with suppress(RunError):
                assert np.array_equal(predictions(known, "zero").prediction, right)
    np.save(file.with_suffix(".npy"), right)
    for content in (file.with_suffix(".npy").read_bytes(), b"", b"{}"):
        file.write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read"):
            predictions(known, "zero")


def test_padding_chooses_the_evaluation(tmp_path):
    run = one_run(tmp_path / "a")
    write_predictions(run, LABELS, padding="partial")
    one_run(tmp_path / "b", padding="partial")
    a, b = collect(tmp_path / "a"), collect(tmp_path / "b")
    assert compare_tables(a, b, "zero")[-1].name == "confusions_a"
    assert "B has no predictions: run evaluate.py" in notes_of(compare_tables(a, b, "zero"))
    [_, classes, *_] = compare_tables(a, b, "partial")
    assert {row["A"] for row in cells_of(classes)} == {"100.000"}


@pytest.mark.parametrize(("runs", "intervals"), [((1, 1), 0), ((3, 2), 1), ((1, 4), 0)])
def test_where_marks_what_only_one_side_knows(runs, intervals):
    sides = [
        [Predictions("eval", LABELS, guesses(10 * i + j), tuple(CLASSES)) for j in range(count)]
        for i, count in enumerate(runs)
    ]
    figure = where(*sides, "resnet50")
    grid, classes = figure.axes
    table = known_by(*sides)
    bold = {text.get_position() for text in grid.texts if text.get_weight() == "bold"}
    assert bold == {(0, runs[1]), (runs[0], 0)}
    told = {text.get_position(): text.get_text() for text in grid.texts}
    assert told == {place: f"{count:,}" for place, count in np.ndenumerate(table)}
    assert len(classes.collections) == intervals
    shown = [label.get_text() for label in classes.get_yticklabels()]
    assert sorted(shown) == sorted(CLASSES)
