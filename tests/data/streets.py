"""Tiny data sets with Cityscapes' folders and cities."""

from types import SimpleNamespace

import numpy as np
import torch
from PIL import Image

from data.build import build_scene_loaders
from data.store.cities import OFFICIAL
from data.store.labels import IDS

SIZE = (64, 32)  # px, width and height


def settings(root, **changes):
    """The data section of a tiny run."""
    facts = {
        "root": str(root),
        "split": "cv0",
        "crop_size": 24,
        "scale": (0.5, 2.0),
        "flip": 0.5,
        "jitter": 0.25,
        "blur": (0.15, 1.3),
        "uniform_share": 0.5,
        "uniform_tile": 32,
        "coarse_classes": (),
        "global_batch_size": 8,
        "workers": 0,
    }
    return SimpleNamespace(**facts | changes)


def loaders(root, seed=1, place=(0, 1), **changes):
    return build_scene_loaders(
        settings(root, **changes), seed, place, torch.device("cpu"), channels_last=False
    )


def write_streets(root, each=4, coarse=0, size=SIZE):
    """Write `each` finely labelled images a city, and coarse ones of one city more."""
    random = np.random.default_rng(0)
    for part, cities in OFFICIAL.items():
        for city in cities:
            for number in range(each):
                write_pair(root, part, f"{city}_000000_{number:06}", random, size=size)
    for number in range(coarse):
        write_pair(root, "train_extra", f"troisdorf_000000_{number:06}", random, "gtCoarse", size)
    return root


def write_pair(root, part, name, random, labels="gtFine", size=SIZE):
    """Write smooth random colours, and labels in blocks of all classes and of void."""
    width, height = size
    colours = Image.fromarray(random.integers(0, 256, (5, 9, 3), dtype=np.uint8))
    image = colours.resize(size, Image.Resampling.BICUBIC)
    ids = random.choice([*IDS, 0, 1, 4, 9], (height // 4, width // 4)).astype(np.uint8)
    city = name.partition("_")[0]
    for folder, ending, content in (
        ("leftImg8bit", "leftImg8bit", image),
        (labels, f"{labels}_labelIds", Image.fromarray(ids).resize(size, Image.Resampling.NEAREST)),
    ):
        place = root / folder / part / city
        place.mkdir(parents=True, exist_ok=True)
        content.save(place / f"{name}_{ending}.png", compress_level=1)
