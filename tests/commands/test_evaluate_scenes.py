"""The evaluation of segmentation runs, below its command: counts, files, refusals."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import evaluate
from commands import evaluate_runs, evaluate_scenes, parts, scene_predictions
from commands.evaluate_scenes import check_padding, evaluate_padding, own_part
from commands.evaluation_job import Job
from configs.load import load
from data.build import Validation
from data.interface import FILLER_INDEX, FILLER_LABEL, Batch
from foundation.errors import UserError
from foundation.files import write_json
from models import ImageSizeError
from padding import convert_padding
from records.iou import CLASSES, miou
from records.run_dir import RunDir
from tasks import modes
from tasks.confusion import confusion
from tasks.regions import LEFT_OUT
from tests.conftest import ROOT
from training import checkpoint
from training.distributed import Process, SharedError

CPU = torch.device("cpu")
ALONE = Process(0, 1, CPU, "")
IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
TILE = 24


class Scenes(list):
    """Batches of one image each."""

    def __init__(self, batches):
        super().__init__(batches)
        self.images = len(batches)
        height, width = batches[0].images.shape[-2:]
        self.smallest = {self.name(0): (height, width)}

    def name(self, sample):
        """Return the file's stem."""
        return f"ulm_{sample:06}_000019"


@pytest.fixture
def network():
    """A network whose padding matters at every border."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, CLASSES, 9, padding=4)
    return convert_padding(conv, "partial").eval()


@pytest.fixture
def scenes():
    """Five images of 24 x 40 px, half of their pixels void."""
    random = torch.Generator().manual_seed(1)
    batches = []
    for index in range(5):
        labels = torch.randint(0, CLASSES - 2, (1, 24, 40), generator=random)
        labels[torch.rand(labels.shape, generator=random) < 0.5] = FILLER_LABEL
        images = torch.randn(1, 3, 24, 40, generator=random)
        batches.append(Batch(images, labels, torch.tensor([index]), 1))
    return Scenes(batches)


def job_in(folder, *overrides):
    """Return an evaluation whose results go to `folder`."""
    settings = [f"eval.tile={TILE}", "train.precision=fp32", *overrides]
    config = load(ROOT / "configs" / "demo_segmentation.yaml", settings)
    return Job(RunDir(folder), config, "best", ("partial",), save_predictions=False)


@pytest.fixture
def job(tmp_path):
    """An evaluation of whole images and tiles."""
    return job_in(tmp_path)


def evaluated(network, scenes, job):
    loaders = Validation(scenes, "fingerprint", ())
    told = evaluate_padding(network, loaders, job, {"padding": "partial"}, ALONE)
    name = "partial_flip" if job.config.eval.flip else "partial"
    return told, json.loads((job.run.evaluations / f"{name}.json").read_text())


@torch.no_grad()
def by_hand(network, scenes, flip):
    """Return each mode's (image, classes, labels), with tiles of the image's height."""

    def seen(images):
        both = network(images), network(images.flip(-1)).flip(-1)
        return (both[0] + both[1]) / 2 if flip else both[0]

    found = {mode: [] for mode in modes.MODES}
    for batch in scenes:
        found["regular"].append((seen(batch.images).argmax(1), batch.labels))
        for mode, lefts in (("tile 0", [0, 16]), ("tile 1/3", [0, 16])):
            total, count = torch.zeros(1, CLASSES, 24, 40), torch.zeros(40)
            for left in lefts:
                total[..., left : left + 24] += seen(batch.images[..., left : left + 24])
                count[left : left + 24] += 1
            found[mode].append(((total / count).argmax(1), batch.labels))
    return found


def summed(pairs, mask=None):
    """Count the pixels of the mask alone."""
    matrix = 0
    for predicted, labels in pairs:
        kept = labels if mask is None else torch.where(mask, labels, FILLER_LABEL)
        matrix = matrix + confusion(predicted, kept)[0]
    return matrix.tolist()


def distance(height, width):
    y, x = torch.arange(height)[:, None], torch.arange(width)
    return torch.minimum(torch.minimum(y, height - 1 - y), torch.minimum(x, width - 1 - x))


def centre(height, width, share):
    y, x = torch.arange(height)[:, None], torch.arange(width)
    rows = (2 * y + 1 - height).abs() < share * height
    return rows & ((2 * x + 1 - width).abs() < share * width)


def in_tiles(make):
    """Return a map of the first tile's 24 columns, and of the second's last 16."""
    one = make(24, 24)
    return torch.cat([one, one[:, 8:]], dim=1)


@pytest.mark.parametrize("flip", [False, True])
def test_every_number_by_masks(network, scenes, tmp_path, flip):
    """Each leave-out and ring as a counting of its own, over labels masked by coordinates."""
    job = job_in(tmp_path, f"eval.flip={str(flip).lower()}")
    told, result = evaluated(network, scenes, job)
    assert result["flip"] is flip
    expected = by_hand(network, scenes, flip)
    for mode in modes.MODES:
        assert result["modes"][mode]["confusion"] == summed(expected[mode])
    for share in LEFT_OUT:
        kept = ~centre(24, 40, float(share))
        found = result["leave_out"]["image"][str(share)]
        assert found["confusion"] == summed(expected["tile 0"], kept)
        kept = in_tiles(lambda h, w: ~centre(h, w, float(share)))  # noqa: B023
        found = result["leave_out"]["tile"][str(share)]
        assert found["confusion"] == summed(expected["tile 0"], kept)
    for mode, far in (("regular", distance(24, 40)), ("tile 0", in_tiles(distance))):
        rings = result["border"][mode]
        ends = [0, 1, 2, 4, 8, 16]  # 12 px is the farthest from the border
        assert [(one["from"], one["to"]) for one in rings] == list(
            zip(ends, ends[1:], strict=False)
        )
        for ring in rings:
            mask = (far >= ring["from"]) & (far < ring["to"])
            assert ring["confusion"] == summed(expected[mode], mask)
    for one in (*result["modes"].values(), *result["leave_out"]["tile"].values()):
        assert one["miou"] == miou(one["confusion"])
        assert len(one["iou"]) == CLASSES
    each = [f"{result['modes'][mode]['miou']:.3f}" for mode in modes.MODES]
    assert told == f"mIoU regular {each[0]}, tile {each[1]}, tile 1/3 {each[2]}"


def test_what_the_file_says(network, scenes, job):
    _, result = evaluated(network, scenes, job)
    names = ["padding", "split", "tile", "flip", "count", "modes", "leave_out", "border"]
    assert list(result) == names
    assert (result["split"], result["tile"], result["flip"]) == ("cv0", TILE, False)
    assert result["count"] == 5
    assert list(result["leave_out"]["image"]) == ["1/3", "1/2", "2/3", "3/4", "7/8"]
    assert not (job.run.evaluations / "predictions").exists()


@pytest.mark.parametrize("parts", [1, 2, 3, 4, 7])
def test_processes_add_up_to_the_same_integers(network, scenes, parts):
    """Also where one has no image at all."""
    whole, index = own_part(network, scenes, CPU, TILE, False)
    shares = [own_part(network, scenes[rank::parts], CPU, TILE, False) for rank in range(parts)]
    assert torch.equal(sum(counts for counts, _ in shares), whole)
    assert index == sorted(place for _, places in shares for place in places) == list(range(5))


def test_fillers_are_no_images(network, scenes, job):
    filler = replace(scenes[0], labels=torch.full_like(scenes[0].labels, FILLER_LABEL))
    with_one = [*scenes, replace(filler, index=torch.tensor([FILLER_INDEX]))]
    counts, index = own_part(network, with_one, CPU, TILE, False)
    assert torch.equal(counts, own_part(network, scenes, CPU, TILE, False)[0])
    assert index == list(range(5))


def test_images_of_several_sizes(network, scenes):
    cut = replace(scenes[1], images=scenes[1].images[..., :17], labels=scenes[1].labels[..., :17])
    both = own_part(network, [scenes[0], cut, scenes[2]], CPU, TILE, False)[0]
    each = [own_part(network, [one], CPU, TILE, False)[0] for one in (scenes[0], cut, scenes[2])]
    assert torch.equal(both, sum(each))


@pytest.mark.parametrize("index", [[0, 1, 2, 3, 3], [0, 1, 2, 3]])
def test_every_image_exactly_once(network, scenes, job, index):
    chosen = Scenes([scenes[place] for place in index])
    chosen.images = 5
    with pytest.raises(AssertionError, match="evaluated twice, or not at all"):
        evaluated(network, chosen, job)
    assert not job.run.evaluations.exists()


def test_nothing_labelled(network, scenes, job):
    void = Scenes([replace(b, labels=torch.full_like(b.labels, FILLER_LABEL)) for b in scenes])
    with pytest.raises(SharedError, match=r"no pixel of the 5 validation images of data.split=cv0"):
        evaluated(network, void, job)
    assert not job.run.evaluations.exists()


def test_predictions_are_label_ids(network, scenes, job):
    job = replace(job, save_predictions=True)
    folder = job.run.evaluations / "predictions" / "partial"
    for _ in range(2):  # again: in the place of those before
        (folder / "regular").mkdir(parents=True, exist_ok=True)
        (folder / "regular" / "old.png").touch()
        _, result = evaluated(network, scenes, job)
    assert [one.name for one in folder.parent.iterdir()] == ["partial"]
    train_id = {number: place for place, number in enumerate(IDS)}
    for mode in modes.MODES:
        files = sorted((folder / mode.replace(" ", "_").replace("/", "_")).iterdir())
        assert [one.name for one in files] == [f"{scenes.name(place)}.png" for place in range(5)]
        pairs = []
        for file, batch in zip(files, scenes, strict=True):
            image = Image.open(file)
            assert image.mode == "L"
            ids = np.vectorize(train_id.__getitem__)(np.asarray(image))
            pairs.append((torch.from_numpy(ids)[None], batch.labels))
        assert summed(pairs) == result["modes"][mode]["confusion"]


def test_commands_that_predict_at_the_same_time(job):
    """Each has a folder of its own; what killed ones left goes, of older versions as well."""
    place = job.run.evaluations / "predictions"
    (place / ".reflect" / "regular").mkdir(parents=True)
    (place / ".zero.0123abcd").mkdir()
    (place / ".zero.0123abcd" / ".lock").touch()
    with scene_predictions.new_folder(job.run, "zero", ALONE) as one:
        assert [*place.iterdir()] == [one]
        with scene_predictions.new_folder(job.run, "zero", ALONE) as other:
            assert {*place.iterdir()} == {one, other}
            for folder in (one, other):
                (folder / "regular" / f"{folder.name}.png").touch()
            scene_predictions.keep(other, "zero")
        assert {*place.iterdir()} == {one, place / "zero"}
        assert [file.name for file in (place / "zero").glob("*/*")] == [f"{other.name}.png"]
        scene_predictions.keep(one, "zero")
    assert [*place.iterdir()] == [place / "zero"]
    assert [file.name for file in (place / "zero").glob("*/*")] == [f"{one.name}.png"]
    assert not list((place / "zero").glob(".*"))


def test_a_failed_evaluation_leaves_no_predictions(network, scenes, job):
    job = replace(job, save_predictions=True)
    scenes[3] = replace(scenes[3], images=scenes[3].images[..., :2, :2])
    network = convert_padding(network, "reflect")
    with pytest.raises(SharedError, match="an image of 2 x 2 px is too small"):
        evaluated(network, scenes, job)
    assert [*(job.run.evaluations / "predictions").iterdir()] == []


def test_an_image_too_small_for_the_padding(scenes):
    network = convert_padding(nn.Conv2d(3, CLASSES, 61, padding=30), "reflect")
    with pytest.raises(UserError, match="an image of 24 x 40 px is too small: reflect padding"):
        own_part(network, scenes, CPU, TILE, False)


def test_a_tile_that_a_padding_cannot_take(job):
    check_padding(job.config, "zero")
    with pytest.raises(
        ImageSizeError, match=r"eval\.tile: 24 x 24 px: layer trunk.mod6.*: reflect padding"
    ):
        check_padding(job.config, "reflect")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A run with fresh weights, on scenes of 64 x 128 px that no disk holds."""
    random = torch.Generator().manual_seed(2)
    labels = torch.randint(0, CLASSES, (3, 1, 64, 128), generator=random)
    images = torch.randn(3, 1, 3, 64, 128, generator=random)
    scenes = Scenes([Batch(images[i], labels[i], torch.tensor([i]), 1) for i in range(len(images))])
    made = []

    def build(data, *_):
        made.append(data)
        return Validation(scenes, "fingerprint", ())

    monkeypatch.setattr(evaluate_runs, "build_scene_validation", build)
    config = load(ROOT / "configs" / "demo_segmentation.yaml", ["train.precision=fp32"])
    run = RunDir(tmp_path / "run")
    run.open_for(config)
    torch.manual_seed(0)
    content = {"model": parts.network(config).state_dict(), "epochs_done": 12}
    checkpoint.save(run.checkpoints / "best.pt", content)
    evaluate_runs._loaders.cache_clear()
    yield run
    evaluate_runs._loaders.cache_clear()
    assert len(made) <= 1


def test_the_command(run, main_of):
    code, out, err = main_of(evaluate.main, run.path, "--save-predictions", "--padding", "partial")
    assert (code, err) == (0, "")
    result = json.loads((run.evaluations / "partial.json").read_text())
    each = [f"{result['modes'][mode]['miou']:.3f}" for mode in modes.MODES]
    assert out == (
        f"{run.path}: trained with zero, evaluated with partial (best, epoch 12): "
        f"mIoU regular {each[0]}, tile {each[1]}, tile 1/3 {each[2]}\n"
    )
    facts = {"padding": "partial", "checkpoint": "best", "epoch": 11, "precision": "fp32"}
    assert result == result | facts | {"data_fingerprint": "fingerprint", "tile": 64, "count": 3}
    folder = run.evaluations / "predictions" / "partial"
    assert sorted(one.name for one in folder.iterdir()) == ["regular", "tile_0", "tile_1_3"]
    assert len(list(folder.glob("*/*.png"))) == 9
    assert not (run.evaluations / "partial.npz").exists()


def test_images_too_small_for_one_padding_are_known_before_the_work(run, main_of, monkeypatch):
    build = evaluate_runs.build_scene_validation

    def small(*arguments):
        made = build(*arguments)
        made.val.smallest = {"bochum_000000_000313": (24, 40)}
        return made

    monkeypatch.setattr(evaluate_runs, "build_scene_validation", small)
    monkeypatch.setattr(evaluate_scenes, "evaluate_padding", lambda *_: "done")
    code, out, err = main_of(evaluate.main, run.path, "--padding", "zero", "reflect")
    assert (code, out.count("evaluated with zero")) == (2, 1)
    told = f"{run.path}, reflect: validation image bochum_000000_000313 of data.root: 24 x 40 px: "
    before, after = err.splitlines()
    assert before.startswith(f"will be left out: {told}layer trunk.mod6.")
    assert before.endswith("or another padding (model.padding; of an evaluation --padding)")
    assert after.startswith(f"error: {told}")
    code, out, err = main_of(evaluate.main, run.path, "--padding", "reflect")
    assert (code, out, err.count(told), len(err.splitlines())) == (2, "", 1, 1)


def test_an_older_runs_data_is_compared_whole(run, monkeypatch, main_of):
    """Of a set without its coarse part it knows nothing."""
    build = evaluate_runs.build_scene_validation
    monkeypatch.setattr(
        *(evaluate_runs, "build_scene_validation"),
        lambda *arguments: replace(build(*arguments), fingerprint="..c-d"),
    )
    monkeypatch.setattr(evaluate_scenes, "evaluate_padding", lambda *_: "done")
    for known, code in (("cv0-a.b", 2), ("cv0-a.b.c-d", 0)):
        write_json(run.environment_file, {"data_fingerprint": known, "resumed": []})
        assert main_of(evaluate.main, run.path, "--padding", "zero")[0] == code
    write_json(run.environment_file, {"data_fingerprint": "cv0-a.b", "resumed": []})
    _, _, err = main_of(evaluate.main, run.path, "--padding", "zero")
    assert err.startswith(f"error: {run.path}: recorded by an older version, whose data only the w")
    assert len(err.splitlines()) == 1


def test_what_else_is_said_at_once(run, main_of):
    """Settings of an evaluation, the split, and a tile that one padding alone cannot take."""
    code, out, _ = main_of(evaluate.main, run.path, "--padding", "zero", "eval.tile=24",
                           "eval.flip=true")  # fmt: skip
    assert (code, out.count("evaluated with")) == (0, 1)
    result = json.loads((run.evaluations / "zero_flip.json").read_text())
    assert (result["padding"], result["tile"], result["flip"]) == ("zero", 24, True)
    assert not (run.evaluations / "zero.json").exists()  # the other reading stands beside it

    code, _, err = main_of(evaluate.main, run.path, "data.split=cv1")
    assert (code, err.count("\n")) == (2, 1)
    assert "'data.split=cv1': evaluation follows the run's config.yaml; only" in err

    code, out, err = main_of(evaluate.main, run.path, "--padding", "reflect", "zero",
                             "eval.tile=24")  # fmt: skip
    assert (code, out.count("evaluated with zero"), "evaluated with reflect" in out) == (
        2,
        1,
        False,
    )
    assert err.startswith(f"will be left out: {run.path}, reflect: eval.tile: 24 x 24 px: layer")


def test_nothing_waits_for_the_device(scenes):
    """On torch's meta device there is no number that a host could ask for."""
    device = torch.device("meta")
    network = nn.Conv2d(3, CLASSES, 9, padding=4, device=device)
    counts, images = modes.no_counts(device), scenes[0].images.to(device)
    labels = scenes[0].labels.to(device)
    for mode, predicted in modes.predictions(network, images, TILE, True):
        modes.count(counts, mode, predicted, labels, TILE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_nothing_waits_for_a_gpu(network, scenes):
    device = torch.device("cuda")
    expected = own_part(network, scenes, CPU, TILE, False)[0]
    network, counts = network.cuda(), modes.no_counts(device)
    batches = [replace(b, images=b.images.cuda(), labels=b.labels.cuda()) for b in scenes]
    torch.cuda.set_sync_debug_mode("error")
    try:
        with torch.no_grad():
            for batch in batches:
                for mode, classes in modes.predictions(network, batch.images, TILE, False):
                    modes.count(counts, mode, classes, batch.labels, TILE)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert counts.sum() == expected.sum()
