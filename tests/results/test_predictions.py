"""Predictions, classes and confusions against scikit-learn's; comparisons; Fig. 4 and where."""

import shutil

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import confusion_matrix, recall_score

from foundation.errors import run_command
from results.__main__ import main
from results.collect import collect
from results.compare import compare_tables
from results.figures.contact_sheet import contact_sheet, images
from results.figures.make import make_figures
from results.known import gained, known_by
from results.predictions import class_accuracy, confusions, predictions
from results.render import file_name
from results.tables.class_accuracy import confusion_table, per_class_table
from results.tables.figure_numbers import known_tables
from tests.results.test_figures import assert_valid, lines_of
from tests.results.test_results import cells_of, set_count, write_evaluation, write_run

CLASSES = [f"class <{i}>" for i in range(10)]
LABELS = np.repeat(np.arange(10), 20)


def write_predictions(run, predicted, labels=LABELS, classes=CLASSES, padding=None):
    """Give a run of `write_run` an evaluation whose predictions these are, of as many images."""
    padding = padding or run.config().model.padding
    set_count(run, len(labels))
    right = int((predicted == labels).sum())
    counts = {"correct1": right, "count": len(labels)}
    write_evaluation(run, padding, 100 * right / len(labels), **counts)
    arrays = {"index": np.arange(len(labels)), "label": labels, "prediction": predicted}
    named = {} if classes is None else {"classes": np.array(classes)}
    np.savez(run.evaluations / f"{padding}.npz", **arrays, **named)


def guesses(seed, right=0.6):
    rng = np.random.default_rng(seed)
    return np.where(rng.random(len(LABELS)) < right, LABELS, rng.integers(0, 10, len(LABELS)))


def write_images(root):
    """Write an image folder whose validation images are LABELS'."""
    for place, label in enumerate(LABELS.tolist()):
        for split in ("train", "val"):
            (root / split / f"c{label}").mkdir(parents=True, exist_ok=True)
        file = root / "val" / f"c{label}" / f"{place:03}.png"
        Image.new("RGB", (20, 30), (label * 25, place, 0)).save(file)
        shutil.copy(file, root / "train" / f"c{label}" / "x.png")


@pytest.fixture
def study(tmp_path):
    root = tmp_path / "study"
    for seed in (1, 2, 3):
        for padding, right in (("zero", 0.5), ("partial", 0.7)):
            settings = ["model.num_classes=10", f"data.root={tmp_path / 'images'}"]
            run = write_run(root, "resnet50", padding, seed, 76, 75, settings)
            write_predictions(run, guesses(10 * seed + (padding == "zero"), right))
    return root


def found(runs, padding):
    return [predictions(run, padding) for run in runs if run.padding == padding]


def test_classes_and_confusions_are_scikit_learns(study):
    zero = found(collect(study), "zero")
    assert len(zero) == 3
    assert zero[0].classes == tuple(CLASSES)
    together = sum(confusion_matrix(one.label, one.prediction) for one in zero)
    assert np.array_equal(confusions(zero), together)
    recalls = [100 * recall_score(one.label, one.prediction, average=None) for one in zero]
    assert class_accuracy(zero) == pytest.approx(np.array(recalls))
    row = cells_of(confusion_table({("resnet50", "zero"): zero}))[0]
    i, j = (CLASSES.index(row[column]) for column in ("class", "taken for"))
    np.fill_diagonal(together, 0)
    assert int(row["times"]) == together[i, j] == together.max()


def test_which_images_how_many_runs_know(study):
    runs = collect(study)
    zero, partial = found(runs, "zero"), found(runs, "partial")
    table = known_by(zero, partial)
    assert table.sum() == len(LABELS)
    by_hand = [
        i
        for i in range(len(LABELS))
        if not any(one.right[i] for one in zero) and all(one.right[i] for one in partial)
    ]
    assert gained(zero, partial).tolist() == by_hand
    assert table[0, 3] == len(by_hand) > 0
    assert table[3, 0] == len(gained(partial, zero))


def test_the_figures_numbers_as_tables(study):
    runs = collect(study)
    zero, partial = found(runs, "zero"), found(runs, "partial")
    directions, images_, classes = known_tables(runs)
    counts = (len(gained(zero, partial)), len(gained(partial, zero)))
    assert directions.rows == (("resnet50", "3", "3", "200", *map(str, counts)),)
    assert [[int(n) for n in row] for row in images_.rows] == [
        [i, *row] for i, row in enumerate(known_by(zero, partial).tolist())
    ]
    gains = [float(row["partial - zero"]) for row in cells_of(classes)]
    assert gains == sorted(gains, reverse=True)
    each = class_accuracy(partial).mean(axis=0) - class_accuracy(zero).mean(axis=0)
    assert gains == pytest.approx(sorted(each, reverse=True), abs=6e-4)
    assert known_tables([run for run in runs if run.padding == "zero"]) == []


def test_compare_names_classes_and_recipes(study, tmp_path, main_of):
    other = tmp_path / "other"
    settings = ["model.num_classes=10", f"data.root={tmp_path / 'images'}", "optim.lr=0.2"]
    for seed in (1, 2):
        run = write_run(other, "resnet50", "zero", seed, 77, 76, settings)
        write_predictions(run, guesses(seed, 0.9))
    code, text, _ = main_of(main, "compare", study, other)
    assert code == 0
    assert "Recipes differ: optim.lr 0.1 and 0.2." in text
    assert "class <" in text
    averages, classes, *sides = compare_tables(collect(study), collect(other))
    assert [table.name for table in sides] == ["confusions_a", "confusions_b"]
    [best, _, *_] = [row for row in cells_of(averages) if row["Network"] == "resnet50_zero"]
    assert (best["A"], best["B"], best["B - A"], best["A n"]) == (
        *("76.000", "77.000", "1.000 (2/3 seeds)", "3"),
    )
    gains = [abs(float(row["B - A"])) for row in cells_of(classes)]
    assert gains == sorted(gains, reverse=True)
    # One run directory is a set of one.
    one = study / "resnet50_zero_seed1"
    assert len(compare_tables(collect(one), collect(one))) == 4


def test_what_cannot_be_compared_is_said(study, tmp_path):
    a, other = collect(study), tmp_path / "other"
    settings = ["model.num_classes=10", f"data.root={tmp_path / 'images'}"]
    run = write_run(other, "resnet50", "zero", 1, 77, 76, settings)
    [averages, *rest] = compare_tables(a, collect(other))
    assert any("B has no predictions" in note for note in averages.notes)
    assert [table.name for table in rest] == ["confusions_a"]
    write_predictions(run, LABELS[::-1], LABELS[::-1])
    [averages, *rest] = compare_tables(a, collect(other))
    assert any("of different images" in note for note in averages.notes)
    write_predictions(run, LABELS, LABELS, classes=None)
    assert found(collect(other), "zero")[0].classes == tuple("0123456789")
    both = [{("resnet50", "zero"): found(runs, "zero")} for runs in (a, collect(other))]
    with pytest.raises(ValueError, match="name different classes"):
        per_class_table(*both)


def test_damaged_predictions_are_refused(study, tmp_path, main_of):
    run = study / "resnet50_zero_seed1"
    file = run / "eval" / "zero.npz"
    with np.load(file) as arrays:
        whole = dict(arrays)

    def told(**changes):
        np.savez(file, **(whole | changes))
        [one] = [run_ for run_ in collect(study) if run_.path == run]
        with pytest.raises(
            ValueError, match="run evaluate.py .*zero_seed1 --padding zero"
        ) as error:
            predictions(one, "zero")
        return str(error.value)

    assert "images right" in told(prediction=whole["prediction"][::-1])
    assert "each of 200 images once" in told(index=whole["index"][::-1])
    assert "each of 200 images once" in told(prediction=whole["prediction"][1:])
    assert "beyond the model's 10" in told(prediction=whole["prediction"] + 5)
    assert "names 9 classes of 10" in told(classes=whole["classes"][1:])
    file.write_bytes(b"PK")
    code, _, error = main_of(lambda: run_command(main), "compare", study, study)
    assert code == 2
    assert "cannot be read" in error
    assert error.count("\n") == 1


def test_contact_sheet(study, tmp_path):
    runs = collect(study)
    told = lines_of(make_figures(runs, tmp_path / "figures"))
    assert any(line.startswith("fig_4_resnet50: no images") for line in told)
    assert "where_resnet50" in told
    write_images(tmp_path / "images")
    assert "fig_4_resnet50" in lines_of(make_figures(runs, tmp_path / "figures"))
    assert (tmp_path / "figures" / "fig_4_resnet50.png").is_file()
    zero, partial = found(runs, "zero"), found(runs, "partial")
    figure = contact_sheet(zero, partial, images(tmp_path / "images", None), "resnet50")
    counts = len(gained(zero, partial)), len(gained(partial, zero))
    assert f"runs: {counts[0]} images; the reverse: {counts[1]}" in figure.get_suptitle()
    with pytest.raises(ValueError, match="no image is wrong in all"):
        contact_sheet(zero, zero, images(tmp_path / "images", None), "resnet50")


def test_a_network_of_any_name_has_figures(tmp_path, main_of):
    """A slash is no folder, and a colon no reason why there is no figure."""
    name, in_files = "hf/net: 2", "hf%2Fnet%3A_2"
    root, out, page = (tmp_path / place for place in ("runs", "out", "report.html"))
    for padding in ("zero", "partial"):
        settings = ["model.num_classes=10", f"run.name={padding}"]
        run = write_run(root, "resnet50", padding, 1, 70, 69, settings)
        text = run.config_file.read_text()
        run.config_file.write_text(text.replace("arch: resnet50", f"arch: '{name}'"))
        write_predictions(run, guesses(1), padding=padding)
    code, told, err = main_of(main, "figures", "--runs", root, "--out", out)
    assert (code, err) == (0, "")
    for kind in ("fig_3", "where", "runs"):
        assert f"{kind}_{in_files}" in told.splitlines()
        assert_valid(out, f"{kind}_{in_files}")
    assert all(file.is_file() for file in out.iterdir())
    assert main_of(main, "report", "--runs", root, "--out", page)[0] == 0
    text = page.read_text()
    assert f"<figcaption>Fig. 3: accuracy over the epochs, {name}</figcaption>" in text
    assert f'<table id="table-where_classes_{in_files}">' in text
    assert f"<li>fig_3_{in_files}" not in text
    assert file_name("fig_3", "hf/net") != file_name("fig_3", "hf_net")
