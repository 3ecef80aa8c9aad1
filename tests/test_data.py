"""The index against ImageFolder, the loaders against torchvision's transforms."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.transforms import functional as tvf

from configs.load import load
from data import plan
from data.build import build_loaders
from data.digits import write_digits
from data.index import load_index
from data.index_cache import CACHE_NAME
from data.interface import FILLER_INDEX, FILLER_LABEL, MEAN, STD
from tests.conftest import ROOT, TINY, write_images

CPU = torch.device("cpu")


def loaders(root, *overrides, rank=0, world=1, seed=4):
    config = load(ROOT / "configs/resnet50.yaml", [*TINY, f"data.root={root}", *overrides])
    return build_loaders(config.data, 3, seed, (rank, world), CPU, channels_last=False)


@pytest.fixture
def folder(tmp_path):
    """A data set that a test may damage."""
    for label in ("a", "b"):
        write_images(tmp_path / "set" / "train" / label, [(40, 40)] * 3, seed=1)
        write_images(tmp_path / "set" / "val" / label, [(40, 40)] * 2, seed=2)
    return tmp_path / "set"


def refused(root):
    with pytest.raises(ValueError, match=".") as caught:
        load_index(root)
    return str(caught.value)


def test_index_is_torchvisions_image_folder(images):
    index = load_index(images)
    for split in (index.train, index.val):
        theirs = ImageFolder(split.folder)
        assert list(index.classes) == theirs.classes
        assert [str(split.path(i)) for i in range(len(split))] == [p for p, _ in theirs.samples]
        assert split.labels.tolist() == theirs.targets
        sizes = [Image.open(path).size[::-1] for path, _ in theirs.samples]
        assert [tuple(size) for size in split.sizes.tolist()] == sizes


def test_index_is_cached_until_a_folder_changes(folder, monkeypatch):
    first = load_index(folder)
    monkeypatch.setattr("data.index._scan", lambda *_: pytest.fail("scanned again"))
    again = load_index(folder)
    assert again.fingerprint == first.fingerprint
    assert np.array_equal(again.train.paths, first.train.paths)
    monkeypatch.undo()
    write_images(folder / "train" / "a", [(40, 40)] * 4, seed=1)
    assert len(load_index(folder).train) == len(first.train) + 1
    assert load_index(folder).fingerprint != first.fingerprint
    (folder / CACHE_NAME).write_bytes(b"half a file")
    assert len(load_index(folder).train) == len(first.train) + 1


def test_index_of_a_read_only_folder_is_cached_elsewhere(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != folder and real(path, mode))
    load_index(folder)
    assert not (folder / CACHE_NAME).exists()
    monkeypatch.setattr("data.index._scan", lambda *_: pytest.fail("scanned again"))
    load_index(folder)


def test_fingerprint_does_not_depend_on_the_place(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    (tmp_path / "copy" / CACHE_NAME).unlink(missing_ok=True)
    assert load_index(folder).fingerprint == load_index(tmp_path / "copy").fingerprint


def test_unusable_folders(folder):
    assert "there is no such folder; set data.root" in refused(folder / "nowhere")

    (folder / "val" / "b").rename(folder / "val" / "c")
    message = refused(folder)
    assert "1 only in train/ (b); 1 only in val/ (c)" in message
    (folder / "val" / "c").rename(folder / "val" / "b")

    (folder / "train" / "a" / "note.txt").write_text("no image")
    for file in (folder / "train" / "a").glob("*.JPEG"):
        file.unlink()
    assert "no valid file for the classes a" in refused(folder)
    write_images(folder / "train" / "a", [(40, 40)], seed=1)

    (folder / "train" / "b" / "000.JPEG").write_bytes(b"")
    (folder / "val" / "b" / "001.JPEG").write_text("text")
    message = refused(folder)
    assert "1 files are no readable images" in message
    assert f"{folder}/train/b/000.JPEG (not an image)" in message

    shutil.rmtree(folder / "val")
    write_images(folder / "val", [(40, 40)] * 3, seed=1)
    assert "holds images but no class folders; move each image into val/<class>/" in refused(folder)
    shutil.rmtree(folder / "val")
    assert f"{folder}/val: missing" in refused(folder)


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
            [window] = plan.crop_windows(11, 5, sample, sizes[sample], (0.08, 1), (3 / 4, 4 / 3))
            picture, target = folder[i]
            view = tvf.resized_crop(picture, *window.tolist(), [32, 32], antialias=True)
            if plan.flips(11, 5, sample, 0.5)[0]:
                view, flipped = tvf.hflip(view), flipped + 1
            expected = (tvf.pil_to_tensor(view).float() / 255 - mean) / std
            torch.testing.assert_close(image, expected, rtol=0, atol=1e-6)
            assert label == target
    assert 0 < flipped < len(folder)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_are_the_same_for_1_2_and_3_processes(images, workers):
    def steps(world, epoch):
        parts = []
        for rank in range(world):
            train = loaders(images, f"data.workers={workers}", rank=rank, world=world).train
            train.set_epoch(epoch)
            parts.append(list(train))
        assert len({len(part) for part in parts}) == 1
        joined = []
        for batches in zip(*parts, strict=True):
            counted = [batch.index != FILLER_INDEX for batch in batches]
            joined.append(
                tuple(
                    torch.cat([getattr(b, name)[c] for b, c in zip(batches, counted, strict=True)])
                    for name in ("images", "labels", "index")
                )
            )
            assert {batch.global_count for batch in batches} == {len(joined[-1][0])}
        return joined

    for epoch in (0, 3):
        alone = steps(1, epoch)
        assert [len(images_) for images_, *_ in alone] == [12, 12, 7]  # the last batch is kept
        for world in (2, 3):
            for one, other in zip(alone, steps(world, epoch), strict=True):
                assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_a_process_without_images_in_the_last_step_gets_fillers(images):
    """31 images in batches of 10 over 5 processes: the last step has one image."""
    parts = [
        list(loaders(images, "data.global_batch_size=10", rank=rank, world=5).train)[-1]
        for rank in range(5)
    ]
    assert [int((part.index >= 0).sum()) for part in parts] == [1, 0, 0, 0, 0]
    for part in parts:
        assert len(part.images) == 2
        assert ((part.labels == FILLER_LABEL) == (part.index == FILLER_INDEX)).all()


def test_channels_last_is_a_layout_only(images):
    config = load(ROOT / "configs/resnet50.yaml", [*TINY, f"data.root={images}"])
    flat, deep = (
        next(iter(build_loaders(config.data, 3, 4, (0, 1), CPU, layout).val)).images
        for layout in (False, True)
    )
    assert torch.equal(flat, deep)
    assert deep.is_contiguous(memory_format=torch.channels_last)


def test_files_that_change_after_indexing_are_named(folder):
    config = load(ROOT / "configs/resnet50.yaml", [*TINY, f"data.root={folder}"]).data
    for workers in (0, 1):
        data = config.model_copy(update={"workers": workers})
        val = build_loaders(data, 2, 0, (0, 1), CPU, False).val
        file = folder / "val" / "a" / "001.JPEG"
        good = file.read_bytes()
        file.write_bytes(good[: len(good) // 2])
        with pytest.raises(
            ValueError, match=rf"^{file}: cannot be decoded \(.*\); replace or delete it$"
        ):
            list(val)
        Image.new("RGB", (41, 40)).save(file)
        with pytest.raises(ValueError, match=f"^{file}: is 41 x 40 px, was 40 x 40 when"):
            list(val)
        file.write_bytes(good)


def test_numbers_that_do_not_fit(images):
    with pytest.raises(ValueError, match="12 cannot be divided by 5 processes"):
        loaders(images, world=5)
    config = load(ROOT / "configs/resnet50.yaml", [*TINY, f"data.root={images}"])
    with pytest.raises(ValueError, match="has 3 classes, the model 10; set model.num_classes=3"):
        build_loaders(config.data, 10, 0, (0, 1), CPU, False)


def test_synthetic_backend_has_the_shape_of_the_data():
    made = loaders("unused", "data.backend=synthetic", "data.synthetic_size=[31, 17]")
    train, val = list(made.train), list(made.val)
    assert [len(batch.images) for batch in train] == [12, 12, 7]
    assert sorted(torch.cat([batch.index for batch in val]).tolist()) == list(range(17))
    assert all(batch.images.shape[1:] == (3, 32, 32) for batch in train)
    assert all(torch.equal(batch.labels, batch.index % 3) for batch in train)


def test_digits(tmp_path):
    out = tmp_path / "digits"
    assert "1797 handwritten digits written" in write_digits(out)
    assert "already there" in write_digits(out)
    index = load_index(out)
    assert (len(index.train), len(index.val), len(index.classes)) == (1437, 360, 10)
    (out / "val" / "3" / "0013.png").unlink(missing_ok=True)
    next(Path(out / "train" / "3").iterdir()).unlink()
    with pytest.raises(ValueError, match="holds something else; choose another folder"):
        write_digits(out)


@pytest.mark.parametrize("workers", [0, 1])
def test_loading_draws_nothing_from_the_stream_of_dropout(images, workers):
    """Else resuming, or another number of workers, would give VGG other dropout masks."""
    train = loaders(images, f"data.workers={workers}").train
    for _ in range(2):
        before = torch.get_rng_state()
        list(train)
        assert torch.equal(before, torch.get_rng_state())


def test_a_cache_that_cannot_be_written_stops_nobody(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # no folder can be made in it
    (folder / f"{CACHE_NAME}.lock").mkdir()  # and another's lock beside the data
    assert len(load_index(folder).train) == 6
