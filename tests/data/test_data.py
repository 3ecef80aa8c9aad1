"""The index against ImageFolder, the loaders against torchvision's transforms."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import functional as tvf

from configs.load import load
from data.build import build_loaders
from data.digits import write_digits
from data.index import load_index
from data.interface import FILLER_INDEX, FILLER_LABEL, MEAN, STD
from data.plan import draws
from tests.conftest import ROOT, TINY, write_images

CPU = torch.device("cpu")
BACKENDS = ["torchvision", "dali"]
WORKERS = [("torchvision", 0), ("torchvision", 2), ("dali", 2)]


def loaders(root, *overrides, rank=0, world=1, seed=4, backend="torchvision", classes=3):
    settings = [*TINY, f"data.root={root}", f"data.backend={backend}", *overrides]
    config = load(ROOT / "configs/resnet50.yaml", settings)
    return build_loaders(config.data, classes, seed, (rank, world), CPU, channels_last=False)


def test_evaluation_pixels_are_torchvisions_bit_for_bit(tmp_path):
    sizes = [(500, 375), (375, 500), (301, 257), (256, 256), (97, 640), (230, 229)]
    for split in ("train", "val"):
        for label in "abc":
            write_images(tmp_path / split / label, sizes[: 6 if split == "val" else 1], seed=3)
    Image.new("L", (300, 280), 77).save(tmp_path / "val" / "a" / "grey.JPEG")
    Image.new("CMYK", (300, 280), (9, 99, 30, 1)).save(tmp_path / "val" / "a" / "cmyk.JPEG")
    Image.new("RGBA", (300, 280), (9, 99, 30, 90)).save(tmp_path / "val" / "b" / "a.png")
    standard = transforms.Compose(  # as pytorch/examples writes it
        [
            transforms.Resize(256),
            transforms.CenterCrop(224),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    theirs = ImageFolder(tmp_path / "val", transform=standard)
    ours = loaders(tmp_path, "data.image_size=224", "data.eval_resize=256").val
    batches = list(ours)
    index = torch.cat([batch.index for batch in batches])
    assert index.tolist() == list(range(len(theirs)))
    for i, image in enumerate(torch.cat([batch.images for batch in batches])):
        assert torch.equal(image, theirs[i][0])
    assert torch.cat([batch.labels for batch in batches]).tolist() == theirs.targets


def test_training_pixels_are_torchvisions_for_the_planned_windows(images):
    folder = ImageFolder(images / "train")
    train = loaders(images, seed=11).train
    train.set_epoch(5)
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    sizes = load_index(images).train.sizes
    flipped = 0
    for batch in train:
        for image, label, i in zip(batch.images, batch.labels, batch.index.tolist(), strict=True):
            sample = np.array([i])
            [window] = draws.crop_windows(11, 5, sample, sizes[sample], (0.08, 1), (3 / 4, 4 / 3))
            picture, target = folder[i]
            view = tvf.resized_crop(picture, *window.tolist(), [32, 32], antialias=True)
            if draws.flips(11, 5, sample, 0.5)[0]:
                view, flipped = tvf.hflip(view), flipped + 1
            expected = (tvf.pil_to_tensor(view).float() / 255 - mean) / std
            torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)
            assert label == target
    assert 0 < flipped < len(folder)


def every_batch(root, backend, epoch, world, split, *overrides, classes=3):
    """Return the batches of every process."""
    parts = []
    for rank in range(world):
        place = {"rank": rank, "world": world, "backend": backend, "classes": classes}
        one = loaders(root, *overrides, **place)
        part = getattr(one, split)
        part.set_epoch(epoch)
        parts.append(list(part))
        assert len(part) == len(parts[-1])
    return parts


def joined(parts):
    """Return images, labels and index of batches together, fillers left out."""
    counted = [batch.index != FILLER_INDEX for batch in parts]
    return tuple(
        torch.cat([getattr(b, name)[c] for b, c in zip(parts, counted, strict=True)])
        for name in ("images", "labels", "index")
    )


@pytest.mark.parametrize(
    ("backend", "workers"), [("torchvision", 0), ("torchvision", 2), ("dali", 2)]
)
def test_training_batches_are_the_same_for_any_number_of_processes(images, backend, workers):
    for epoch in (0, 3):
        alone = None
        for world in (1, 2, 3, 4, 6) if workers == 2 and backend == "dali" else (1, 2, 3):
            batch = f"data.workers={workers}"
            parts = every_batch(images, backend, epoch, world, "train", batch)
            assert len({len(part) for part in parts}) == 1
            steps = [joined(step) for step in zip(*parts, strict=True)]
            for step, batches in zip(steps, zip(*parts, strict=True), strict=True):
                assert {batch.global_count for batch in batches} == {len(step[0])}
            alone = alone or steps
            assert [len(pixels) for pixels, *_ in steps] == [12, 12, 7]  # the last batch is kept
            for one, other in zip(alone, steps, strict=True):
                assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))
        order = torch.cat([index for *_, index in alone])
        assert sorted(order.tolist()) == list(range(31))


@pytest.mark.parametrize("backend", BACKENDS)
def test_validation_holds_every_image_once_for_1_to_8_processes(images, backend):
    """17 images: no world size divides them; with 24 processes some have none."""
    settings = ["data.global_batch_size=24"]
    whole = None
    for world in (1, 2, 3, 4, 6, 8, 24):
        parts = every_batch(images, backend, 0, world, "val", *settings)
        pixels, labels, index = joined([batch for part in parts for batch in part])
        assert sorted(index.tolist()) == list(range(17))
        order = index.argsort()
        found = pixels[order], labels[order]
        whole = whole or found
        assert all(torch.equal(a, b) for a, b in zip(whole, found, strict=True))


@pytest.mark.parametrize(
    ("backend", "workers"), [("torchvision", 0), ("torchvision", 1), ("dali", 2)]
)
def test_an_epoch_can_begin_at_any_batch(images, backend, workers):
    train = loaders(images, f"data.workers={workers}", backend=backend).train
    train.set_epoch(2)
    whole = list(train)
    for start in (1, 2, 3):
        train.set_epoch(2, start)
        rest = list(train)
        assert len(train) == len(rest) == 3 - start
        for one, other in zip(whole[start:], rest, strict=True):
            assert torch.equal(one.images, other.images)
            assert torch.equal(one.index, other.index)
    train.set_epoch(2)  # and an iteration that was left does not show in the next
    next(iter(train))
    assert torch.equal(next(iter(train)).images, whole[0].images)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_process_without_images_in_the_last_step_gets_fillers(images, backend):
    """31 images in batches of 10 over 5 processes: the last step has one image."""
    settings = ["data.global_batch_size=10"]
    parts = [
        list(loaders(images, *settings, rank=rank, world=5, backend=backend).train)[-1]
        for rank in range(5)
    ]
    assert [int((part.index >= 0).sum()) for part in parts] == [1, 0, 0, 0, 0]
    for part in parts:
        assert len(part.images) == 2
        assert ((part.labels == FILLER_LABEL) == (part.index == FILLER_INDEX)).all()


@pytest.mark.parametrize("backend", BACKENDS)
def test_channels_last_is_a_layout_only(images, backend):
    settings = [*TINY, f"data.root={images}", f"data.backend={backend}"]
    config = load(ROOT / "configs/resnet50.yaml", settings)
    flat, deep = (
        next(iter(build_loaders(config.data, 3, 4, (0, 1), CPU, layout).val)).images
        for layout in (False, True)
    )
    assert torch.equal(flat, deep)
    assert deep.is_contiguous(memory_format=torch.channels_last)


def test_numbers_that_do_not_fit(images):
    with pytest.raises(ValueError, match="12 cannot be divided by 5 processes"):
        loaders(images, world=5)
    config = load(ROOT / "configs/resnet50.yaml", [*TINY, f"data.root={images}"])
    with pytest.raises(ValueError, match="has 3 classes, the model 10; set model.num_classes=3"):
        build_loaders(config.data, 10, 0, (0, 1), CPU, False)
    for backend in BACKENDS:
        with pytest.raises(ValueError, match="data.decode=gpu needs data.backend=dali and a GPU"):
            loaders(images, "data.decode=gpu", backend=backend)


def test_without_dali(images, monkeypatch):
    monkeypatch.setitem(sys.modules, "data.backends.dali_loader", None)
    with pytest.raises(ValueError, match="DALI cannot be imported .* set data.backend=torchvision"):
        loaders(images, backend="dali")


def test_synthetic_backend_has_the_shape_of_the_data():
    made = loaders("unused", "data.backend=synthetic", "data.synthetic_size=[31, 17]")
    train, val = list(made.train), list(made.val)
    assert [len(batch.images) for batch in train] == [12, 12, 7]
    assert sorted(torch.cat([batch.index for batch in val]).tolist()) == list(range(17))
    assert all(batch.images.shape[1:] == (3, 32, 32) for batch in train)
    assert all(torch.equal(batch.labels, batch.index % 3) for batch in train)


def test_digits(tmp_path):
    out = tmp_path / "digits"
    out.mkdir()  # an empty folder is free
    assert "1797 handwritten digits written" in write_digits(out)
    assert "already there" in write_digits(out)
    index = load_index(out)
    assert (len(index.train), len(index.val), len(index.classes)) == (1437, 360, 10)
    (out / "val" / "3" / "0013.png").unlink(missing_ok=True)
    next(Path(out / "train" / "3").iterdir()).unlink()
    with pytest.raises(ValueError, match="holds something else; choose another folder"):
        write_digits(out)


@pytest.mark.parametrize(
    ("backend", "workers"), [("torchvision", 0), ("torchvision", 1), ("dali", 1)]
)
def test_loading_draws_nothing_from_the_stream_of_dropout(images, backend, workers):
    """Else resuming, or another number of workers, would give VGG other dropout masks."""
    train = loaders(images, f"data.workers={workers}", backend=backend).train
    for _ in range(2):
        before = torch.get_rng_state()
        list(train)
        assert torch.equal(before, torch.get_rng_state())
