"""Figures: valid files, the same bytes twice, and the numbers that they show."""

import re
import shutil
from fractions import Fraction
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import resnet18

from commands import activations
from data.interface import MEAN, STD
from foundation.errors import run_command
from padding import convert_padding, padding_ratio
from records.errors import RunError
from results import printed
from results.collect import collect
from results.figures import style
from results.figures.accuracies import accuracies
from results.figures.activation_maps import activation_maps, comparable, read_activations
from results.figures.choices import Choices
from results.figures.curves import curves
from results.figures.drawing import padding_layer, ratio, window
from results.figures.each_run import each_run
from results.figures.make import make_figures
from results.tables.epochs import epochs_table
from results.time_to_accuracy import curves_of, default_accuracy, epochs_to
from tests.conftest import TINY
from tests.results.test_results import cells_of, set_curve, write_run

SVG = "{http://www.w3.org/2000/svg}"


def assert_valid(folder, name):
    figure = ElementTree.parse(folder / f"{name}.svg").getroot()
    assert figure.tag == f"{SVG}svg"
    assert not list(figure.iter(f"{SVG}text"))  # paths: readable without the font
    width, height = (float(figure.get(side).removesuffix("pt")) for side in ("width", "height"))
    with Image.open(folder / f"{name}.png") as image:
        image.load()
        assert image.size == pytest.approx((width / 72 * 200, height / 72 * 200), abs=2)
        assert image.convert("L").getextrema()[0] < 128  # something is drawn


def lines_of(told):
    """Return what `results figures` prints."""
    return [one.line for one in told]


def texts(figure):
    """Return all that a figure says."""
    return " ".join(part.get_text() for part in figure.findobj(lambda a: hasattr(a, "get_text")))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Two networks; one padding that nobody knows, one seed alone, one unfinished run."""
    root = tmp_path_factory.mktemp("study")
    for seed in (1, 2, 3):
        for padding in ("zero", "partial"):
            write_run(root, "resnet50", padding, seed, 76 + seed / 10, 75)
    write_run(root, "resnet50", "reflect", 1, 76.5, 75)
    write_run(root, "resnet50", "zero", 4, 76, 75, finish=False)
    write_run(root, "vgg16_bn", "partial", 1, 73, 72)
    run = write_run(root, "resnet50", "zero", 5, 70, 69, ["run.name=other"])
    text = run.config_file.read_text()
    run.config_file.write_text(text.replace("padding: zero", "padding: circular"))
    return root


NAMES = ["fig_1_best", "fig_1_last5_avg", "fig_2_padding", "fig_3_vgg16_bn", "fig_3_resnet50"]
NAMES += ["runs_vgg16_bn", "runs_resnet50"]


def test_all_that_can_be_made(study, tmp_path):
    runs = collect(study)
    told = make_figures(runs, tmp_path / "one" / "figures")
    assert [one.name for one in told if one.reason is None] == NAMES
    [line] = [one.line for one in told if one.name == "fig_5"]
    assert line.startswith("fig_5: no activations; python -m commands.activations")
    make_figures(runs, tmp_path / "two")
    for name in NAMES:
        assert_valid(tmp_path / "two", name)
        for ending in (".svg", ".png"):
            files = [tmp_path / place / (name + ending) for place in ("one/figures", "two")]
            assert files[0].read_bytes() == files[1].read_bytes()


def test_a_users_matplotlibrc_moves_nothing(study, tmp_path):
    import matplotlib

    runs = collect(study)
    style.save(accuracies(runs), tmp_path, "a")
    with matplotlib.rc_context({"font.size": 30, "svg.fonttype": "none", "savefig.dpi": 10}):
        style.save(accuracies(runs), tmp_path, "b")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_what_cannot_be_made_is_named(tmp_path):
    write_run(tmp_path / "runs", "resnet50", "zero", 1, 76, 75, finish=False)
    runs = collect(tmp_path / "runs")
    maps = tmp_path / "maps"
    maps.mkdir()
    (maps / "x.npz").write_bytes(b"PK no archive")
    told = make_figures(runs, tmp_path / "out", Choices(maps))
    missing = [one.line for one in told if one.reason is not None]
    assert missing[:3] == [
        "fig_1_best: no run is finished",
        "fig_1_last5_avg: no run is finished",
        "fig_3_resnet50: no run is finished",
    ]
    [damaged] = [line for line in missing if line.startswith("fig_5")]
    assert damaged.startswith(f"fig_5: {maps}/x.npz: no activation maps (")
    names = {file.stem for file in (tmp_path / "out").iterdir()}
    assert names == {"fig_2_padding", "runs_resnet50"}
    closed = tmp_path / "file"
    closed.write_text("")
    with pytest.raises(ValueError, match=r"file: cannot be written"):
        make_figures(runs, closed)


def test_every_padding_has_looks_of_its_own():
    others = [f"other {i}" for i in range(20)]
    looks = style.looks([*reversed(others), *printed.PADDINGS])
    assert style.looks(["zero", "partial"]) == {name: looks[name] for name in ("zero", "partial")}
    papers = [looks[padding] for padding in printed.PADDINGS]
    for part in ("colour", "marker", "line"):
        assert len({str(getattr(look, part)) for look in papers}) == len(papers)
    assert len(set(looks.values())) == len(looks) == 24
    for a, b in (("colour", "marker"), ("colour", "line")):  # grey print, colours alone
        assert len({(getattr(one, a), getattr(one, b)) for one in looks.values()}) == 24


def test_names_with_dollar_signs_are_names(tmp_path):
    name = r"a$\frac$b"
    for seed in (1, 2):
        run = write_run(tmp_path / "runs", "resnet50", "zero", seed, 70, 69)
        text = run.config_file.read_text()
        run.config_file.write_text(text.replace("padding: zero", f"padding: '{name}'"))
    told = lines_of(make_figures(collect(tmp_path / "runs"), tmp_path / "out"))
    assert {"fig_1_best", "fig_3_resnet50", "runs_resnet50"} <= set(told)
    assert f"{name} (2 seeds)" in texts(curves(collect(tmp_path / "runs")))


def test_every_runs_curves_have_whole_epochs_and_the_papers_order(tmp_path):
    for padding in ("replicate", "partial", "reflect", "zero"):
        run = write_run(tmp_path, "resnet50", padding, 1, 70, 69, finish=False)
        rows = run.metrics_file.read_text().splitlines()[:3]
        run.metrics_file.write_text("\n".join(rows) + "\n")
    figure = each_run(collect(tmp_path))
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*printed.PADDINGS]
    assert all(float(tick).is_integer() for tick in figure.axes[0].get_xticks())


def test_a_long_caption_is_wrapped_and_counts_can_be_read():
    figure = Figure(figsize=(4, 3))
    style.caption(figure, "word " * 60, "", "last")
    *lines, last = figure.get_supxlabel().splitlines()
    assert last == "last"
    assert max(map(len, lines)) <= 60
    for grey in np.linspace(0, 1, 50):
        ground = (grey,) * 3
        ink = {"black": (0, 0, 0), "white": (1, 1, 1)}[style.readable_on(ground)]
        assert style.contrast(ground, ink) >= 4.5
    assert style.contrast((0, 0, 0), (1, 1, 1)) == pytest.approx(21)


def test_accuracies_draw_every_run_the_mean_and_the_papers(study):
    figure = accuracies(collect(study), "best", paper=True)
    vgg, resnet = figure.axes
    assert [label.get_text() for label in resnet.get_xticklabels()] == [
        *("zero", "partial", "reflect", "circular")
    ]
    lines = [line.get_ydata() for line in resnet.lines]
    assert [list(line) for line in lines if len(line) == 3] == [[76.1, 76.2, 76.3]] * 2
    # Student's t for 3 runs, whose stdev is 0.1.
    [interval, _] = [bars.get_segments()[0][:, 1] for bars in resnet.collections]
    assert interval == pytest.approx(76.2 + 4.302653 * 0.1 / 3**0.5 * np.array([-1, 1]))
    hollow = [float(line.get_ydata()[0]) for line in resnet.lines if line.get_mfc() == "white"]
    assert hollow == [76.132, 76.611, 76.174]
    assert len(vgg.collections) == 0  # one seed: its dot alone
    assert "1 of 10 runs" in texts(figure)
    ours = accuracies(collect(study), "last5_avg")
    assert not [line for axes in ours.axes for line in axes.lines if line.get_mfc() == "white"]


def test_epochs_to_by_hand():
    by_hand = {
        "zero": {1: [10, 30, 20, 50], 2: [10, 20, 30, 30]},
        "partial": {1: [30, 10, 10, 60], 2: [0, 0, 0, Fraction("29.9")]},
    }
    exact = {
        padding: {seed: [*map(Fraction, curve)] for seed, curve in seeds.items()}
        for padding, seeds in by_hand.items()
    }
    assert epochs_to(exact, 30) == {"zero": {1: 1, 2: 2}, "partial": {1: 0, 2: None}}
    assert default_accuracy(exact) == 28.9  # 29.9 is what all reach
    assert epochs_to({"zero": {1: [Fraction(749, 10)]}}, 74.9) == {"zero": {1: 0}}
    assert default_accuracy({"zero": {1: [Fraction(1, 3)]}}) == 0


def test_the_papers_own_runs_are_compared_at_the_papers_accuracy():
    studied = ("resnet50_zero", "resnet50_partial")
    best = [row for row in printed.table(2) if row["Network"] in studied]
    exact = {
        row["Network"]: {seed: [Fraction(row[f"{seed}_best"])] for seed in range(1, 6)}
        for row in best
    }
    assert default_accuracy(exact) == 74.9


def test_epochs_table_and_marks(tmp_path):
    for padding, seed, percents in (
        ("zero", 1, [60, 70, 75]),
        ("zero", 2, [60, 60, 60, 70]),
        ("partial", 1, [70]),
        ("partial", 2, [50, 71]),
    ):
        run = write_run(tmp_path, "resnet50", padding, seed, 60, 50)
        set_curve(run, percents)
    runs = collect(tmp_path)
    zero, partial = cells_of(epochs_table(runs, 70))
    assert [*zero.values()] == ["resnet50_zero", "70", "3.0", "2", "4", "2/2", ""]
    assert [*partial.values()] == ["resnet50_partial", "70", "1.5", "1", "2", "2/2", ""]
    assert [row["accuracy"] for row in cells_of(epochs_table(runs))] == ["69", "69"]
    # Means of zero: 60, 65, 67.5, 60; of partial: 60, 60.5, 50.
    figure = curves(runs, 65)
    assert "zero (2 seeds): 65 % after 2" in texts(figure)
    assert "partial (2 seeds): 65 % not reached" in texts(figure)
    level, zero, partial = figure.axes[0].lines
    assert list(zero.get_ydata()[:4]) == [60, 65, 67.5, 60]
    assert (zero.get_markevery(), partial.get_markevery()) == ([1], [])
    assert list(zero.get_xdata()[:2]) == [1, 2]


def test_curves_of_finished_runs_alone(study):
    runs = [run for run in collect(study) if run.arch == "resnet50"]
    assert {padding: [*seeds] for padding, seeds in curves_of(runs).items()} == {
        **{"zero": [1, 2, 3], "partial": [1, 2, 3], "reflect": [1], "circular": [5]}
    }
    assert "1 run is not finished" in texts(curves(runs))


def test_r_of_the_drawing_is_the_layers():
    rows, columns = padding_ratio((6, 6), (3, 3), (1, 1), (1, 1), (1, 1))
    for i in range(6):
        for j in range(6):
            assert float(ratio((i, j))) == float(rows[i] * columns[j])
    assert window((0, 0)).tolist() == [[0, 0, 0], [0, 1, 1], [0, 1, 1]]
    said = texts(padding_layer())
    assert re.findall(r"r = \d/\d = [\d.]+", said) == [
        *("r = 9/4 = 2.25", "r = 9/6 = 1.5", "r = 9/9 = 1")
    ]


@pytest.fixture(scope="module")
def trained(images, tmp_path_factory, command):
    """Tiny finished runs of ResNet-18, zero and partial."""
    root = tmp_path_factory.mktemp("trained")
    for padding in ("zero", "partial"):
        settings = ["model.arch=resnet18", f"model.padding={padding}", "train.epochs=1"]
        command("train.py", "configs/resnet50.yaml", *TINY, f"data.root={images}",
                f"run.root={root}", *settings)  # fmt: skip
    return root


def main():
    run_command(activations.main)


def hooked(model, images, names):
    outputs = {}

    def keep(name):
        return lambda module, inputs, output: outputs.update({name: output.clone()})

    for name in names:
        model.get_submodule(name).register_forward_hook(keep(name))
    with torch.no_grad():
        model(images)
    return outputs


def test_activations_are_those_of_a_hook_by_hand(trained, images, tmp_path, main_of):
    chosen, maps = [16, 2], tmp_path / "maps"
    folders = [trained / f"resnet18_{padding}_seed1" for padding in ("zero", "partial")]
    code, out, err = main_of(
        *(main, *folders, "--images", 16, "class 0 é/002.JPEG"),
        *("--layers", "layer1", "layer3.0.bn1", "layer4", "--out", maps),
    )
    assert (code, err) == (0, "")
    assert out.splitlines() == [f"{maps}/resnet18_{p}_seed1.npz" for p in ("zero", "partial")]

    view = [transforms.Resize(36), transforms.CenterCrop(32), transforms.PILToTensor()]
    data = ImageFolder(images / "val", transforms.Compose(view))
    pixels = torch.stack([data[i][0] for i in chosen])
    normalized = transforms.Normalize(MEAN, STD)(pixels / 255)
    for folder, padding in zip(folders, ("zero", "partial"), strict=True):
        model = convert_padding(resnet18(num_classes=3), padding).eval()
        model.load_state_dict(torch.load(folder / "checkpoints" / "best.pt")["model"])
        outputs = hooked(model, normalized, ("layer1", "layer3.0.bn1", "layer4"))
        with np.load(maps / f"resnet18_{padding}_seed1.npz") as stored:
            said = {key: stored[key].item() for key in ("arch", "padding", "seed")}
            assert said == {"arch": "resnet18", "padding": padding, "seed": 1}
            assert stored["index"].tolist() == chosen
            assert stored["label"].tolist() == [data.targets[i] for i in chosen]
            assert stored["class_name"].tolist() == ["class 2 é", "class 0 é"]
            assert (stored["image"] == pixels.permute(0, 2, 3, 1).numpy()).all()
            for place, (name, output) in enumerate(outputs.items()):
                expected = output.sum(1).numpy()
                assert stored[f"map_{name}"] == pytest.approx(expected, rel=1e-4, abs=1e-4)
                ring = np.ones(expected.shape[1:], bool)
                ring[1:-1, 1:-1] = False
                energy = stored["border_energy"][:, place]
                if ring.all():  # layer4: 1 x 1
                    assert np.isnan(energy).all()
                    continue
                for image, ratio_ in zip(stored[f"map_{name}"], energy, strict=True):
                    image = image.astype(np.float64)
                    assert ratio_ == pytest.approx(image[ring].mean() / image[~ring].mean())

    told = make_figures(collect(trained), tmp_path / "figures", Choices(maps))
    assert "fig_5_resnet18" in lines_of(told)
    assert_valid(tmp_path / "figures", "fig_5_resnet18")
    [compared] = comparable(read_activations(maps)).values()
    figure = activation_maps(compared)
    columns = 1 + 3 * 2
    assert len(figure.axes) == 2 * columns
    for row in (0, 1):
        panels = figure.axes[row * columns : (row + 1) * columns]
        for zero, partial in zip(panels[1::2], panels[2::2], strict=True):
            assert zero.images[0].get_clim() == partial.images[0].get_clim()
        assert panels[1].get_xlabel() == f"{compared[0].border_energy['layer1'][row]:.2f}"
        assert panels[6].get_xlabel() == "no interior"


def test_activations_of_other_images_are_no_pair(trained, tmp_path, main_of):
    for padding, image in (("zero", 0), ("partial", 1)):
        folder = trained / f"resnet18_{padding}_seed1"
        assert main_of(main, folder, "--images", image, "--out", tmp_path)[0] == 0
    [compared] = comparable(read_activations(tmp_path)).values()
    with pytest.raises(RunError, match="of other images or layers"):
        activation_maps(compared)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--images", "0", "--layers", "layer5"], "resnet18 has no such layer; near: layer4"),
        (["--images", "0", "--layers", "fc"], "--layers fc: puts out no maps"),
        (["--images", "17"], "--images 17: there are 17 images, 0 to 16"),
        (["--images", "-1"], "--images -1: "),
        (["--images", "none.JPEG"], "--images none.JPEG: no validation image"),
        (["--images", "0", "data.root=/nowhere"], "/nowhere: there is no such folder"),
        (["--images", "0", "optim.lr=3"], "'optim.lr=3': only data."),
    ],
)
def test_mistakes_are_one_line(trained, tmp_path, main_of, arguments, message):
    out = tmp_path / "out"
    code, _, err = main_of(main, trained / "resnet18_zero_seed1", "--out", out, *arguments)
    assert (code, err.count("\n")) == (2, 1), err
    assert message in err
    assert not out.exists()


def test_runs_that_cannot_be_looked_into(trained, tmp_path, main_of):
    run = tmp_path / "run"
    shutil.copytree(trained / "resnet18_zero_seed1", run)
    words = ["--images", 0, "--out", tmp_path / "out"]
    code, _, err = main_of(main, run, trained / "resnet18_zero_seed1", *words)
    assert (code, "the same network, padding and seed twice" in err) == (2, True)
    (run / "checkpoints" / "best.pt").unlink()
    code, _, err = main_of(main, run, *words)
    assert (code, "best.pt: there is no such checkpoint" in err) == (2, True)
    assert not (tmp_path / "out").exists()
