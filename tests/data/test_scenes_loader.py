"""Batches of street scenes: crops, labels, colours, and the same on any number of processes."""

import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import torchvision.transforms.v2 as transforms
from PIL import Image
from scipy.ndimage import gaussian_filter

from data.backends.blur import gaussian_blur
from data.backends.scene_crops import cut_image, cut_labels, scene_crop
from data.build import build_scene_loaders
from data.interface import FILLER_LABEL, MEAN, STD
from data.plan.scenes import SceneView, SceneViews
from data.store import pairs
from data.store.dataset import DataError
from data.store.labels import IGNORED, NAMES, TO_TRAIN_IDS
from tests.conftest import ROOT
from tests.data.streets import loaders, settings, write_pair, write_streets


@pytest.fixture(scope="module")
def streets(tmp_path_factory):
    return write_streets(tmp_path_factory.mktemp("streets"), each=4, coarse=5)


def photograph(size, seed=0):
    """Structure, edges and noise, as a photograph has."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (9, 17, 3), dtype=np.uint8))
    image = np.asarray(coarse.resize(size, Image.Resampling.BICUBIC)).astype(int)
    image[size[1] // 3 : size[1] // 2, ::7] = random.integers(0, 256, 3)
    image += random.integers(-20, 21, image.shape)
    return Image.fromarray(image.clip(0, 255).astype(np.uint8))


def resized_then_cut(image, scaled, window, margin, crop, fill, method):
    """A whole image, resized, padded, cut: the plain way."""
    height, width = scaled
    whole = np.asarray(image.resize((width, height), method))
    top, left = window[0] - margin[0], window[1] - margin[1]
    below, right = (max(crop - size, 0) for size in scaled)
    edges = [(margin[0], below - margin[0]), (margin[1], right - margin[1])]
    edges += [(0, 0)] * (whole.ndim - 2)
    padded = np.pad(whole, edges, constant_values=fill)
    top, left = top + margin[0], left + margin[1]
    return padded[top : top + crop, left : left + crop]


def draws(n, crop, size, seed=3):
    sizes = np.tile([size[1], size[0]], (n, 1))
    view = SceneView(seed, crop, (0.5, 2.0), 0.5, 0.25, (0.15, 1.3))
    views = view(0, np.arange(n), np.full((n, 2), -1), sizes)
    for row in range(n):
        columns = views.scaled[row], views.windows[row], views.margins[row]
        yield tuple(column.tolist() for column in columns)


@pytest.mark.parametrize(
    ("size", "crop", "n"), [((512, 256), 224, 60), ((331, 197), 140, 60), ((2048, 1024), 896, 4)]
)
def test_cutting_first_gives_what_resizing_first_gives(size, crop, n):
    image = photograph(size)
    ids = np.random.default_rng(1).integers(0, 19, size[::-1]).astype(np.uint8)
    differences = []
    for numbers in draws(n, crop, size):
        expected = resized_then_cut(image, *numbers, crop, 0, Image.Resampling.BICUBIC)
        found = np.asarray(cut_image(image, *numbers, crop))
        differences.append(abs(found.astype(int) - expected).ravel())
        plain = resized_then_cut(
            Image.fromarray(ids), *numbers, crop, IGNORED, Image.Resampling.NEAREST
        )
        assert np.array_equal(cut_labels(ids, *numbers, crop), plain)
    differences = np.concatenate(differences)
    assert differences.max() <= 2
    assert differences.mean() < 0.05


def test_padding_is_black_on_both_sides_and_ignored():
    image, ids = Image.new("RGB", (40, 20), (9, 9, 9)), np.full((20, 40), 5, np.uint8)
    numbers = [21, 42], [0, 3, 21, 32], [5, 0], 32
    pixels, labels = np.asarray(cut_image(image, *numbers)), cut_labels(ids, *numbers)
    assert (pixels[5:26] == 9).all()
    assert (labels[5:26] == 5).all()
    for padding in (slice(0, 5), slice(26, 32)):
        assert (pixels[padding] == 0).all()
        assert (labels[padding] == IGNORED).all()


@pytest.mark.parametrize("scale", [0.5, 0.7, 1.0, 1.37, 2.0])
def test_label_edges_stay_on_image_edges(scale):
    """Stripes of label and colour alike: half a pixel's shift would be seen."""
    ids = np.repeat(np.arange(16) % 2, 8)[None].repeat(64, 0).astype(np.uint8)
    image = Image.fromarray(np.stack([ids * 255] * 3, -1))
    scaled = [int(64 * scale), int(128 * scale)]
    left = max(scaled[1] - 32, 0) // 2
    window = [0, left, min(32, scaled[0]), min(32, scaled[1])]
    numbers = scaled, window, [0, 0], 32
    pixels = np.asarray(cut_image(image, *numbers))[..., 0]
    labels = cut_labels(ids, *numbers)
    clear = (pixels < 100) | (pixels > 155)
    assert clear.mean() > 0.7
    assert np.array_equal(labels[clear], pixels[clear] // 128)
    mirrored = np.asarray(cut_image(Image.fromarray(np.asarray(image)[:, ::-1]), *numbers))[..., 0]
    assert (abs(255 - mirrored.astype(int) - pixels) <= 2).all()


def views_of(order=(0, 1, 2, 3), jitter=(1, 1, 1, 0), mirrored=False, blur=0.0, size=(48, 48)):
    columns = [size], [[0, 0, *size]], [[0, 0]], [mirrored], [order], [jitter], [blur]
    return SceneViews(*map(np.array, columns))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)])
def test_colours_are_torchvisions(order):
    class Told(transforms.ColorJitter):
        def make_params(self, flat_inputs):
            names = ("brightness", "contrast", "saturation", "hue")
            factors = {f"{name}_factor": f for name, f in zip(names, factor, strict=True)}
            return {"fn_idx": torch.tensor(order), **factors}

    image, ids = photograph((48, 48)), np.zeros((48, 48), np.uint8)
    for factor in ([0.75, 1.25, 0.8, -0.25], [1.2, 0.9, 1.25, 0.25], [1.1, 1.0, 0.75, 0.1]):
        found, _ = scene_crop(image, ids, views_of(order, factor), 0, 48)
        assert np.array_equal(found, Told(0.25, 0.25, 0.25, 0.25)(image))


@pytest.mark.parametrize("sigma", [0.1, 0.15, 0.3, 0.7, 1.0, 1.3])
def test_blur_is_scipys(sigma):
    pixels = np.asarray(photograph((131, 67)))
    exact = gaussian_filter(pixels.astype(float), (sigma, sigma, 0), mode="nearest")
    assert abs(gaussian_blur(pixels, sigma) - exact).max() < 0.5001
    image, ids = photograph((48, 48)), np.zeros((48, 48), np.uint8)
    unblurred, _ = scene_crop(image, ids, views_of(), 0, 48)
    blurred, _ = scene_crop(image, ids, views_of(blur=sigma), 0, 48)
    assert np.array_equal(blurred, gaussian_blur(unblurred, sigma))


def test_mirrored_alike():
    image, ids = photograph((48, 48)), np.arange(48 * 48).reshape(48, 48).astype(np.uint8)
    plain = scene_crop(image, ids, views_of(), 0, 48)
    mirrored = scene_crop(image, ids, views_of(mirrored=True), 0, 48)
    for one, other in zip(plain, mirrored, strict=True):
        assert np.array_equal(one[:, ::-1], other)
    assert np.array_equal(plain[1], ids)


def batches(loader, epoch=0):
    loader.set_epoch(epoch)
    return list(loader)


def test_training_batches(streets):
    made = loaders(streets, uniform_share=0.8, coarse_classes=(14, 15, 16))
    train = made.train
    assert made.classes == NAMES
    assert train.images == 72  # fine ones alone
    assert len(train) == 9
    coarse = set()
    for batch in batches(train):
        assert batch.images.shape == (8, 3, 24, 24)
        assert batch.images.dtype == torch.float32
        assert batch.labels.shape == (8, 24, 24)
        assert batch.labels.dtype == torch.int64
        assert batch.global_count == 8
        assert set(batch.labels.unique().tolist()) <= {FILLER_LABEL, *range(19)}
        coarse |= {train.name(i) for i in batch.index.tolist() if i >= 72}
    assert all(name.startswith("troisdorf_") for name in coarse)


def test_batches_are_what_the_plan_says(streets):
    """Pixels and labels, from the files on."""
    train = loaders(streets, uniform_share=0.8).train
    listed, steps = train._pairs, list(train._steps)
    for step, batch in zip(steps, batches(train), strict=True):
        for row, sample in enumerate(step.samples.tolist()):
            image, ids = (
                Image.open(listed.image_file(sample)),
                Image.open(listed.label_file(sample)),
            )
            known = TO_TRAIN_IDS[np.asarray(ids)]
            pixels, labels = scene_crop(image.convert("RGB"), known, step.views, row, 24)
            expected = (pixels / 255 - MEAN) / STD
            assert np.allclose(batch.images[row].permute(1, 2, 0), expected, atol=1e-5)
            told = np.where(labels == IGNORED, FILLER_LABEL, labels.astype(int))
            assert np.array_equal(batch.labels[row], told)
            assert batch.index[row] == sample


def test_black_padding_is_normalized_and_ignored(streets):
    made = loaders(streets, crop_size=160, jitter=0.0, blur=(0.0, 0.0))  # larger than any image
    batch = batches(made.train)[0]
    black = -torch.tensor(MEAN) / torch.tensor(STD)
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert torch.allclose(batch.images[:, :, corner[0], corner[1]], black.expand(8, 3))
        assert (batch.labels[:, corner[0], corner[1]] == FILLER_LABEL).all()


def test_every_number_of_processes_and_workers_gives_the_same(streets):
    def samples(world, workers=0):
        parts = [
            batches(loaders(streets, place=(rank, world), workers=workers).train, epoch=3)
            for rank in range(world)
        ]
        assert {len(part) for part in parts} == {9}
        joined = [list(zip(*parts, strict=True))[step] for step in range(9)]
        names = "images", "labels", "index"
        return [
            torch.cat([getattr(batch, name) for at_once in joined for batch in at_once])
            for name in names
        ]

    alone = samples(1)
    for world, workers in ((2, 0), (4, 0), (8, 0), (1, 2), (2, 1)):
        same = zip(samples(world, workers), alone, strict=True)
        assert all(torch.equal(one, other) for one, other in same)


@pytest.mark.parametrize("world", [1, 2, 5])
def test_validation_holds_every_image_once_and_whole(streets, world):
    seen = []
    for rank in range(world):
        val = loaders(streets, place=(rank, world), global_batch_size=2 * world, workers=1).val
        assert val.images == 12
        made = batches(val)
        assert len(made) == len(val)
        for batch in made:
            [i] = batch.index.tolist()
            seen.append(val.name(i))
            assert batch.images.shape == (1, 3, 32, 64)
            assert batch.global_count == 1
            pixels = np.asarray(val._pairs.read_image(i)) / 255
            assert np.allclose(batch.images[0].permute(1, 2, 0), (pixels - MEAN) / STD, atol=1e-5)
            known = val._pairs.read_labels(i).astype(int)
            known[known == IGNORED] = FILLER_LABEL
            assert np.array_equal(batch.labels[0], known)
    assert sorted(seen) == sorted(
        f"{city}_000000_{i:06}" for city in ("frankfurt", "lindau", "munster") for i in range(4)
    )


def test_channels_last_changes_the_layout_alone(streets):

    plain, other = (
        next(
            iter(build_scene_loaders(settings(streets), 1, (0, 1), torch.device("cpu"), last).train)
        )
        for last in (False, True)
    )
    assert torch.equal(plain.images, other.images)
    assert plain.images.is_contiguous()
    assert other.images.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("place", "batch", "message"),
    [
        ((0, 3), 8, "data.global_batch_size 8 cannot be divided by 3 processes"),
        ((0, 1), 73, "data.global_batch_size 73 is more than the 72 training images of cv0"),
    ],
)
def test_batches_that_cannot_be(streets, place, batch, message):
    with pytest.raises(DataError, match=f"^{message}"):
        loaders(streets, place=place, global_batch_size=batch)


@pytest.mark.parametrize("workers", [0, 1])
def test_files_that_change_are_named(streets, tmp_path, workers):
    root = shutil.copytree(streets, tmp_path / "set")
    val = loaders(root, workers=workers).val
    image = root / "leftImg8bit/val/lindau/lindau_000000_000002_leftImg8bit.png"
    label = root / "gtFine/val/lindau/lindau_000000_000002_gtFine_labelIds.png"
    other = Image.new("L", (63, 32), 7)
    for file, damage, message in (
        (image, image.unlink, r"cannot be read \(No such file or directory\); get it again"),
        (label, lambda: label.write_bytes(b"text"), "cannot be decoded"),
        (label, lambda: other.save(label), "is 63 x 32 px, was 64 x 32 when it was surveyed"),
    ):
        good = file.read_bytes()
        damage()
        with pytest.raises(DataError, match=f"^{file}: {message}"):
            batches(val)
        file.write_bytes(good)
    assert len(batches(val)) == 12


_KILLED = """
import os, signal, sys, time
from tests.conftest import ROOT
from tests.data.streets import loaders
val = loaders(sys.argv[1], workers=1).val
iterator = iter(val)
next(iterator)
time.sleep(float(sys.argv[2]))  # or the next batches are ready, and go with their worker
[worker] = val._loader._iterator._workers
try:
    os.kill(worker.pid, signal.SIGKILL)
    list(iterator)
except RuntimeError:  # torch's signal handler, outside of the iteration
    print("a loader worker was killed (before), data.workers")
except ValueError as error:
    print(error)
time.sleep(1)
"""


@pytest.mark.parametrize("wait", [0, 0.5])
def test_a_killed_worker_ends_the_iteration(streets, wait):
    line = [sys.executable, "-c", _KILLED, str(streets), str(wait)]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert re.match("a loader worker was killed .*data.workers", done.stdout), done.stderr
    assert "Traceback" not in done.stderr


def test_a_full_shared_memory_is_said_before_the_workers_start(streets, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    with pytest.raises(DataError, match=r"/dev/shm has 0 MiB left.*--shm-size\), lower data.wor"):
        loaders(streets, workers=2)
    assert len(batches(loaders(streets).val)) == 12


def test_only_what_is_used_is_read(streets, monkeypatch):
    """One image and one label file a sample."""
    opened = []
    read = pairs._decoded
    train = loaders(streets).train
    monkeypatch.setattr(pairs, "_decoded", lambda file: opened.append(file) or read(file))
    assert sum(len(batch.index) for batch in batches(train)) * 2 == len(opened)


def test_the_smallest_images_are_known_by_name(tmp_path):
    """The lowest and the narrowest: what a padding cannot take is one of them."""
    root, random = write_streets(tmp_path, each=1), np.random.default_rng(0)
    assert loaders(root).val.smallest == {"frankfurt_000000_000000": (32, 64)}
    write_pair(root, "val", "lindau_000000_000000", random, size=(64, 24))
    write_pair(root, "val", "munster_000000_000000", random, size=(28, 32))
    expected = {"lindau_000000_000000": (24, 64), "munster_000000_000000": (32, 28)}
    assert loaders(root).val.smallest == expected
