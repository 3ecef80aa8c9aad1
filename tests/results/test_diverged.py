"""Runs that diverged: shown where they count, and every table without them, too."""

import pytest
from matplotlib.text import Text

from records.errors import RunError
from results.collect import collect
from results.compare import compare_tables
from results.figures import style
from results.figures.accuracies import accuracies
from results.figures.curves import curves
from results.figures.make import make_figures
from results.figures.where import where
from results.known import gained, zero_and_partial
from results.predictions import predictions
from results.section_4_1 import BEATS
from results.tables.claims import claims_table
from results.tables.epochs import epochs_table
from results.tables.figure_numbers import known_tables
from results.tables.inventory import ledger_table
from results.tables.make_tables import make_tables
from tests.results.scene_runs import write_scene_evaluation, write_scene_run
from tests.results.test_claims import rows
from tests.results.test_predictions import LABELS, guesses, write_images, write_predictions
from tests.results.test_results import cells_of, set_curve, write_evaluation, write_run


def tables(root):
    return {table.name: table for table in make_tables(collect(root), 5, "sample")}


def test_a_diverged_run_is_shown_and_left_out(tmp_path):
    for seed in (1, 2, 3):
        write_run(tmp_path, "resnet50", "zero", seed, 76, 0.1 if seed == 2 else 75)
    made = tables(tmp_path)
    whole, without = made["table_3_last5_avg"], made["table_3_last5_avg_without_diverged"]
    assert cells_of(whole)[0]["2_last5_avg"] == "0.100 diverged"
    assert cells_of(without)[0]["average"] == "75.000 (2/5 seeds)"
    note = "With 1 diverged run: resnet50_zero_seed2 (diverged: less than half"
    assert any(text.startswith(note) for text in whole.notes)
    assert "without the diverged runs (1)" in without.title

    # By its best epoch it did not diverge.
    assert "table_2_best_without_diverged" not in made


def test_a_padding_whose_runs_all_diverged_is_marked_and_no_evidence(tmp_path):
    for seed in (1, 2, 3):
        write_run(tmp_path, "resnet50", "zero", seed, 76 + seed / 10, 75)
        set_curve(write_run(tmp_path, "resnet50", "partial", seed, 0.1, 0.1), [0.1] * 95)
        write_run(tmp_path, "resnet50", "reflect", seed, 75 + seed / 10, 0.1 if seed == 3 else 74)
    runs = collect(tmp_path)
    made = tables(tmp_path)
    whole, without = made["table_2_best"], made["table_2_best_without_diverged"]
    assert [row["1_best"] for row in cells_of(whole)] == ["76.100", "0.100 diverged", "75.100"]
    assert "resnet50_partial" not in [row["Network"] for row in cells_of(without)]
    table = claims_table(runs, "best", 0.25)
    assert not rows(table)[BEATS, "resnet50"]["ours: verdict"]
    names = ", ".join(f"resnet50_partial_seed{seed}" for seed in (1, 2, 3))
    told = f"Without 3 diverged runs: {names} (diverged: less than half"
    assert any(note.startswith(told) for note in table.notes)
    table = epochs_table(runs)
    assert [row["Network"] for row in cells_of(table)] == ["resnet50_zero", "resnet50_ref"]
    assert cells_of(table)[1]["seeds that reach it"] == "2/2"
    assert any(f"{names}, resnet50_reflect_seed3" in note for note in table.notes)
    shown = " ".join(text.get_text() for text in curves(runs).findobj(Text))
    assert f"Without 4 diverged runs: {names}, resnet50_reflect_seed3" in shown
    assert "reflect (2 seeds)" in shown
    assert "partial (" not in shown


def test_evaluations_of_a_diverged_run(tmp_path):
    for seed in (1, 2, 3):
        best, last = (0.1, 0.1) if seed == 2 else (76, 75)
        run = write_run(tmp_path, "resnet50", "zero", seed, best, last)
        set_curve(run, [best] * 95)
        write_evaluation(run, "zero", best)
        write_evaluation(run, "partial", 0.2 if seed == 2 else 70 + seed)
    made = tables(tmp_path)
    own, other = cells_of(made["table_4_cross"])
    assert (own["2"], other["2"]) == ("0.100 diverged", "0.200 diverged")
    assert float(other["average"].split()[0]) == pytest.approx(48.067)
    own, other = cells_of(made["table_4_cross_without_diverged"])
    assert (own["average"], other["average"]) == ("76.000 (2/5 seeds)", "72.000 (2/5 seeds)")
    [row] = cells_of(made["table_4_matrix_without_diverged"])
    assert list(row.values()) == ["resnet50_zero", "76.000 (2/5 seeds)", "72.000 (2/5 seeds)"]


@pytest.mark.parametrize("evaluated", [True, False])
def test_segmentation_runs(tmp_path, evaluated):
    for padding in ("zero", "partial"):
        for seed in (1, 2, 3):
            best = 20.0 if (padding, seed) == ("partial", 2) else 60.0 + seed
            run = write_scene_run(tmp_path, padding, seed, best)
            if evaluated or best > 30:
                write_scene_evaluation(run, padding, (best, best + 1, best + 2))
    made = tables(tmp_path)
    [_, partial] = cells_of(made["table_5_miou"])
    assert partial["2_best"] == "20.000 diverged"
    [_, partial] = cells_of(made["table_5_miou_without_diverged"])
    assert (partial["mean"], partial["n"]) == ("62.000 (2/5 seeds)", "2")
    parts = {"table_6_tiles", "table_7_image", "table_7_tile", "border_regular", "border_tile_0"}
    # What a diverged run is not in has no second form.
    assert {name for name in parts if f"{name}_without_diverged" in made} == (
        parts if evaluated else set()
    )
    for name in parts if evaluated else ():
        assert any("deeplabv3plus_wrn38_cv2_partial_seed2" in note for note in made[name].notes)
        for row in cells_of(made[f"{name}_without_diverged"]):
            assert row["runs"] != "mean (3/5 seeds)" or row["Network"] == "WN38_zero"


def words(figure):
    return " ".join(" ".join(text.get_text().split()) for text in figure.findobj(Text))


def test_which_images_are_known_without_a_diverged_run(tmp_path, monkeypatch):
    """A zero run that knows nothing would make each image that partial knows a gain."""
    settings = ["model.num_classes=10", f"data.root={tmp_path / 'images'}"]
    write_images(tmp_path / "images")
    for padding, right in (("zero", 0.8), ("partial", 0.9)):
        for seed in (1, 2, 3):
            astray = (padding, seed) == ("zero", 2)
            run = write_run(tmp_path / "runs", "resnet50", padding, seed, 76, 75, settings)
            if astray:
                set_curve(run, [0.1] * 100)
            write_predictions(run, LABELS[::-1] if astray else guesses(seed, right))
    runs = collect(tmp_path / "runs")
    zero, partial = (
        [predictions(run, padding) for run in runs if run.padding == padding and run.best > 1]
        for padding in ("zero", "partial")
    )
    note = "Without 1 diverged run: resnet50_zero_seed2 (diverged: less than half"
    counts, images, classes = known_tables(runs)
    gains = len(gained(zero, partial)), len(gained(partial, zero))
    assert counts.rows == (("resnet50", "2", "3", "200", *map(str, gains)),)
    assert [row[0] for row in images.rows] == ["0", "1", "2"]
    for table in (counts, images, classes):
        assert table.notes[-1].startswith(note)

    drawn = {}
    monkeypatch.setattr(style, "save", lambda figure, folder, name: drawn.update({name: figure}))
    make_figures(runs, tmp_path / "figures")
    for name in ("fig_4_resnet50", "where_resnet50"):
        assert note in words(drawn[name])
    assert f"wrong in all 2 zero runs, right in all 3 partial runs: {gains[0]} images" in (
        words(drawn["fig_4_resnet50"])
    )
    assert "With 1 diverged run: resnet50_zero_seed2 (diverged" in words(drawn["fig_1_best"])
    sound = [run for run in runs if run.best > 1]
    assert "diverged" not in words(accuracies(sound)) + words(where(zero, partial, "resnet50"))
    assert not any("diverged" in note for table in known_tables(sound) for note in table.notes)
    with pytest.raises(RunError, match=r"evaluate.py makes them\. Without 1 diverged run"):
        zero_and_partial([run for run in runs if run.padding == "partial" or run.best < 1])


def test_the_ledger_and_a_comparison_name_diverged_runs(tmp_path):
    for seed in (1, 2):
        write_run(tmp_path / "a", "resnet50", "zero", seed, 76, 0.1 if seed == 2 else 75)
        write_run(tmp_path / "b", "resnet50", "zero", seed, 76, 75)
    a, b = (collect(tmp_path / side) for side in "ab")
    ledger = ledger_table(a)
    assert [row["state"] for row in cells_of(ledger)] == ["finished", "finished, diverged"]
    assert ledger.notes[-1].startswith("Diverged: less than half of")
    assert not any("iverged" in note for note in ledger_table(b).notes)
    [compared, *_] = compare_tables(b, a)
    [note] = [note for note in compared.notes if "diverged" in note]
    assert note.startswith("B: With 1 diverged run: resnet50_zero_seed2 (diverged: less than")


def test_figures_of_scenes_without_a_diverged_run(tmp_path, monkeypatch):
    for padding in ("zero", "partial"):
        for seed in (1, 2, 3):
            best = 20.0 if (padding, seed) == ("partial", 2) else 60.0 + seed
            run = write_scene_run(tmp_path, padding, seed, best)
            write_scene_evaluation(run, padding, (best, best + 1, best + 2))
    drawn = {}
    monkeypatch.setattr(style, "save", lambda figure, folder, name: drawn.update({name: figure}))
    make_figures(collect(tmp_path), tmp_path / "figures")
    border = words(drawn["border_deeplabv3plus_wrn38_cv2"])
    assert "partial (2 seeds)" in border
    assert "Without 1 diverged run: deeplabv3plus_wrn38_cv2_partial_seed2" in border
