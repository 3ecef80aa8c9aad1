"""DALI's pixels against PIL's and torchvision's, file formats and oddities included."""

import argparse

import numpy as np
import pytest
from PIL import Image

from benchmarks import parity, sample
from data.backends.dali_pipeline import why_undecodable
from tests.conftest import write_images


@pytest.fixture
def odd_images(tmp_path):
    """Photograph-like images in every guise that ImageNet has them in."""
    sizes = [(500, 375), (375, 500), (301, 257), (256, 256), (97, 640), (640, 97), (230, 229)]
    write_images(tmp_path / "all", sizes * 3, seed=3)
    random = np.random.default_rng(0)
    coarse = Image.fromarray(random.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    image = coarse.resize((333, 251), Image.Resampling.BICUBIC)
    folder = tmp_path / "all"
    image.convert("L").save(folder / "grey.JPEG")
    image.convert("CMYK").save(folder / "cmyk.JPEG")
    image.save(folder / "progressive.JPEG", progressive=True)
    image.save(folder / "full chroma.JPEG", subsampling=0)
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by 90 degrees, which PIL and torchvision do not
    image.save(folder / "turned.JPEG", exif=exif)
    image.save(folder / "really a png.JPEG", format="PNG")
    return folder


def test_pixels_order_and_labels(odd_images, main_of):
    arguments = argparse.Namespace(batch=8, workers=2)
    with sample.data_set(odd_images) as root:
        ours, theirs = (sample.loaders(root, b, arguments) for b in ("dali", "torchvision"))
        for split in ("train", "val"):
            for epoch in (0, 1):
                pair = [getattr(loaders, split) for loaders in (ours, theirs)]
                for loader in pair:
                    loader.set_epoch(epoch)
                found = parity.compare(*pair)
                assert found.images == 27
                assert parity.holds(split, found), (split, found)
    code, out, _ = main_of(parity.main, odd_images, "--batch", 8, "--workers", 2)
    assert code == 0
    assert out.count("yes") == 4


def test_a_difference_is_seen(odd_images):
    """Half a pixel would not pass."""
    arguments = argparse.Namespace(batch=8, workers=0)
    with sample.data_set(odd_images) as root:
        ours, theirs = (sample.loaders(root, "torchvision", arguments).val for _ in range(2))
        theirs._loader.dataset.view.__dict__["resize"] = 257
        assert not parity.holds("val", parity.compare(ours, theirs))


def test_what_dali_cannot_decode(odd_images):
    content = (odd_images / "grey.JPEG").read_bytes()
    assert why_undecodable(content) is None
    for bad in (content[:1000], b"text", b""):
        assert why_undecodable(bad)
