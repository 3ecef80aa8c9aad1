"""Training crops of street scenes a second, beside the plain way; and an epoch's list.

python -m benchmarks.scenes
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median

import numpy as np
import torchvision.transforms.v2.functional as T
from PIL import Image, ImageFilter
from tqdm import tqdm

from data.backends.blur import gaussian_blur
from data.backends.scene_crops import scene_crop
from data.plan.scenes import SceneView, SceneViews, epoch_list
from data.store.labels import IDS, IGNORED, NAMES, TO_TRAIN_IDS
from data.store.pairs import open_image, open_labels
from foundation.errors import run_command
from results.render import Table, render
from training.provenance import machine

_SIZE = (2048, 1024)  # px, Cityscapes' width and height
_OURS, _PLAIN, _BLUR = "this loader", "plain", "plain, this loader's blur"
_CHANGES = (T.adjust_brightness, T.adjust_contrast, T.adjust_saturation, T.adjust_hue)
_IMAGES, _CENTROIDS = 2975, 200_000  # cv0's; about what its fine and coarse labels have

Files = list[tuple[Path, Path]]
Crop = tuple[np.ndarray, np.ndarray]


def main() -> None:
    """Run the command line."""
    options = argparse.ArgumentParser(
        prog="python -m benchmarks.scenes", description=__doc__.split("\n")[0]
    )
    options.add_argument("--crop", type=int, default=896, help="px")
    options.add_argument("--images", type=int, default=8, help="drawn ones, of 1024 x 2048 px")
    options.add_argument("--rounds", type=int, default=7, help="each way once a round")
    arguments = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = [_write(Path(folder), number) for number in range(arguments.images)]
        times = _measure(files, arguments.crop, max(1, arguments.rounds))
    print(render(_table(times, arguments.images, arguments.crop, arguments.rounds), "markdown"))


def _write(folder: Path, number: int) -> tuple[Path, Path]:
    """Write an image of smooth areas, edges and noise, and labels in blocks."""
    random = np.random.default_rng(number)
    areas = Image.fromarray(random.integers(0, 256, (16, 32, 3), dtype=np.uint8))
    pixels = np.asarray(areas.resize(_SIZE, Image.Resampling.BICUBIC)).astype(np.int16)
    pixels[:, :: random.integers(20, 60)] //= 2
    pixels += random.integers(-3, 4, pixels.shape, dtype=np.int16)
    image, label = folder / f"{number}.png", folder / f"{number}_labelIds.png"
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(image)
    ids = Image.fromarray(random.choice([*IDS, 0, 1, 4], (32, 64)).astype(np.uint8))
    ids.resize(_SIZE, Image.Resampling.NEAREST).save(label)
    return image, label


def _ours(image: Path, label: Path, views: SceneViews, row: int, crop: int) -> Crop:
    return scene_crop(open_image(image), open_labels(label), views, row, crop)


def _plain(image: Path, label: Path, views: SceneViews, row: int, crop: int) -> Crop:
    pixels, labels = _plain_crop(image, label, views, row, crop)
    sigma = float(views.blur[row])
    return np.asarray(pixels.filter(ImageFilter.GaussianBlur(sigma))), labels


def _plain_with_our_blur(image: Path, label: Path, views: SceneViews, row: int, crop: int) -> Crop:
    pixels, labels = _plain_crop(image, label, views, row, crop)
    return gaussian_blur(np.asarray(pixels), float(views.blur[row])), labels


def _plain_crop(
    image: Path, label: Path, views: SceneViews, row: int, crop: int
) -> tuple[Image.Image, np.ndarray]:
    """Resize both as a whole, pad, cut, mirror, change the colours, by Pillow and torchvision."""
    height, width = views.scaled[row].tolist()
    with Image.open(image) as one, Image.open(label) as other:
        pixels = one.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
        known = other.resize((width, height), Image.Resampling.NEAREST)
    labels = Image.fromarray(TO_TRAIN_IDS[np.asarray(known)])
    above, beside = views.margins[row].tolist()
    top, left = (views.windows[row, :2] - views.margins[row]).tolist()
    more = [beside, above, max(crop - width - beside, 0), max(crop - height - above, 0)]
    if any(more):
        pixels, labels = T.pad(pixels, more, 0), T.pad(labels, more, IGNORED)
        top, left = top + above, left + beside
    pixels, labels = (T.crop(each, top, left, crop, crop) for each in (pixels, labels))
    if views.mirrored[row]:
        pixels, labels = T.horizontal_flip(pixels), T.horizontal_flip(labels)
    for change in views.order[row].tolist():
        pixels = _CHANGES[change](pixels, float(views.jitter[row, change]))
    return pixels, np.asarray(labels)


def _measure(files: Files, crop: int, rounds: int) -> dict[str, list[float]]:
    """Return a core's seconds of every way in every round, in random order within a round."""
    ways = {_OURS: _ours, _PLAIN: _plain, _BLUR: _plain_with_our_blur}
    view = SceneView(1, crop, (0.5, 2.0), 0.5, 0.25, (0.15, 1.3))
    positions = np.arange(len(files))
    sizes, points = np.tile(_SIZE[::-1], (len(files), 1)), np.full((len(files), 2), -1)
    times: dict[str, list[float]] = {name: [] for name in ways} | {"list": []}
    order = Random(0)
    random = np.random.default_rng(0)
    limits = np.array([_IMAGES, *_SIZE[::-1]])
    table = [
        (random.random((_CENTROIDS // len(NAMES), 3)) * limits).astype(np.int32) for _ in NAMES
    ]
    for round_ in tqdm(range(-1, rounds), "rounds", disable=None):
        views = view(round_ + 1, positions, points, sizes)
        for name in order.sample(list(ways), len(ways)):
            taken = _seconds(lambda way=ways[name], views=views: _all(way, files, views, crop))
            if round_ >= 0:  # the first warms caches
                times[name].append(taken)
        taken = _seconds(lambda epoch=round_ + 1: epoch_list(1, epoch, _IMAGES, 0.5, table))
        times["list"].append(taken)
    return times


def _all(way: Callable[..., Crop], files: Files, views: SceneViews, crop: int) -> None:
    for row, pair in enumerate(files):
        way(*pair, views, row, crop)


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()  # of the one core it works on, whatever else the machine does
    work()
    return time.process_time() - start


def _table(times: dict[str, list[float]], images: int, crop: int, rounds: int) -> Table:
    rows = []
    for name in (_OURS, _PLAIN, _BLUR):
        ratio = median(a / b for a, b in zip(times[_PLAIN], times[name], strict=True))
        rows.append((name, f"{images / median(times[name]):.2f}", f"{ratio:.2f}"))
    return Table(
        name="scenes",
        title=f"Training crops of {crop} px a second and core, from images of 1024 x 2048 px",
        names=1,
        columns=("", "samples/s", "to plain"),
        rows=tuple(rows),
        notes=(
            "plain: Pillow resizes the whole image and the whole labels, then cuts; torchvision's "
            "colours; Pillow's blur",
            f"an epoch's list of {_IMAGES:,} samples from {_CENTROIDS:,} centroids: "
            f"{1000 * median(times['list']):.0f} ms",
            f"one process of {machine(cuda=False)['devices']}; {rounds} interleaved rounds of "
            f"{images} images, medians of the rounds' ratios",
        ),
    )


if __name__ == "__main__":
    run_command(main)
