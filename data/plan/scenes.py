"""Which crops of street scenes an epoch trains on, and how each is made (Section 4.2).

Pure functions of (seed, epoch, position in the epoch's list), as data/plan/draws.py's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import permutations

import numpy as np

from data.plan import draws
from data.plan.steps import Step

_ORDERS = np.array(list(permutations(range(4))))  # of brightness, contrast, saturation and hue
_BLOCKS = 3  # of four random words a sample; 10 are used


def class_share(images: int, share: float, classes: int) -> int:
    """Return how many crops of an epoch are around centroids of each class: floor(N share / 19)."""
    return int(images * Fraction(str(share)) / classes)  # 0.7 as it is written


def epoch_list(
    seed: int, epoch: int, images: int, share: float, centroids: Sequence[np.ndarray]
) -> np.ndarray:
    """Return what an epoch's samples are of, in their order.

    Of each class class_share() centroids, a shuffle of its list repeated as needed; and whole
    images, none twice, so that there are as many samples as images.

    Args:
        seed: of the run.
        epoch: counted from 0.
        images: finely labelled training images; they are the first places.
        share: of the samples, that are around centroids.
        centroids: of each class (m, 3) place of the image, row and column; none is empty.

    Returns:
        (images, 3) int64 place, row and column; row and column -1: the whole image, any crop.
    """
    count = class_share(images, share, len(centroids))
    ends = np.cumsum([len(each) for each in centroids])
    random = draws.keys(seed, epoch, draws.CENTROIDS, ends[-1] if count else 0)
    chosen = [
        each[_shuffled(keys, count)]
        for each, keys in zip(centroids, np.split(random, ends[:-1]), strict=True)
        if count
    ]
    whole = np.full((images - count * len(chosen), 3), -1)
    random = draws.keys(seed, epoch, draws.WHOLE, images)
    whole[:, 0] = _shuffled(random, len(whole))
    return np.concatenate([*chosen, whole])[draws.epoch_order(seed, epoch, images)]


def _shuffled(keys: np.ndarray, count: int) -> np.ndarray:
    """Return the places of the `count` smallest keys, smallest first, from the start if too few."""
    places = np.arange(len(keys))
    if count < len(keys):  # sorting all takes longer than making them
        places = np.argpartition(keys, count)[:count]
    return np.resize(places[np.argsort(keys[places], kind="stable")], count)


@dataclass(frozen=True)
class SceneViews:
    """One row a sample: scale, cut out, pad, mirror, change the colours, blur.

    Attributes:
        scaled: (n, 2) int64 height and width that the whole image is resized to, in pixels.
        windows: (n, 4) int64 top, left, height and width of what is cut out of the scaled image.
        margins: (n, 2) int64 rows above and columns left of it in the crop; the rest of the
            padding is below and to the right.
        mirrored: (n,) bool, left to right.
        order: (n, 4) int64: first to last of 0 brightness, 1 contrast, 2 saturation, 3 hue.
        jitter: (n, 4) their factors; hue's is a share of the colour circle.
        blur: (n,) sigma of a Gaussian in pixels.
    """

    scaled: np.ndarray
    windows: np.ndarray
    margins: np.ndarray
    mirrored: np.ndarray
    order: np.ndarray
    jitter: np.ndarray
    blur: np.ndarray


@dataclass(frozen=True)
class SceneView:
    """Random scale, crop, flip, colours and blur of the training images, as configured."""

    seed: int
    crop: int  # px
    scale: tuple[float, float]
    flip: float  # probability
    jitter: float
    blur: tuple[float, float]  # px

    def __call__(
        self, epoch: int, positions: np.ndarray, points: np.ndarray, sizes: np.ndarray
    ) -> SceneViews:
        """Return how the samples of an epoch are made.

        Args:
            epoch: counted from 0.
            positions: (n,) in the epoch's list.
            points: (n, 2) row and column in the image that the crop must hold; -1: none.
            sizes: (n, 2) height and width of the images, in pixels.
        """
        words = draws.words(self.seed, epoch, draws.SCENE, positions, _BLOCKS)
        uniform = words / 2**32
        sizes, points = sizes.astype(np.int64), points.astype(np.int64)
        scaled = np.floor(sizes * _between(uniform[:, :1], self.scale)).astype(np.int64)
        scaled = np.maximum(scaled, 1)
        # Where the point's pixel goes; all starts of a crop that holds it, first and last included.
        points = np.where(points < 0, points, (2 * points + 1) * scaled // (2 * sizes))
        last = np.maximum(scaled - self.crop, 0)
        low = np.where(points < 0, 0, np.maximum(points - self.crop + 1, 0))
        high = np.where(points < 0, last, np.minimum(points, last))
        starts = low + (uniform[:, 1:3] * (high - low + 1)).astype(np.int64)
        order = (words[:, 8] * np.uint64(len(_ORDERS)) >> np.uint64(32)).astype(np.int64)
        return SceneViews(
            scaled,
            np.hstack([starts, np.minimum(scaled, self.crop)]),
            np.maximum(self.crop - scaled, 0) // 2,
            uniform[:, 3] < self.flip,
            _ORDERS[order],
            _between(uniform[:, 4:8], (-self.jitter, self.jitter)) + [1, 1, 1, 0],
            _between(uniform[:, 9], self.blur),
        )


def _between(uniform: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    return limits[0] + uniform * (limits[1] - limits[0])


@dataclass(frozen=True)
class SceneStep(Step):
    """A step of training, with how its samples are made."""

    views: SceneViews


class SceneSteps:
    """The training steps of an epoch for one process; what is left of its list is dropped.

    Attributes:
        epoch: which, counted from 0.
        start: the step that the next iteration begins with.
        share: images of a process in a step.
    """

    def __init__(
        self,
        view: SceneView,
        sizes: np.ndarray,
        scenes: tuple[int, float, Sequence[np.ndarray]],
        batch: int,
        place: tuple[int, int],
    ):
        """Keep what the lists are made from.

        Args:
            view: how samples are made.
            sizes: (n, 2) height and width of the images, in pixels.
            scenes: epoch_list's images, share and centroids.
            batch: samples a step over all processes, which divide it evenly.
            place: this process's rank and the number of processes.
        """
        self.view, self.sizes, self.scenes, self.batch = view, sizes, scenes, batch
        self.rank, self.world = place
        self.images = scenes[0]
        self.share = batch // self.world
        self.epoch = self.start = 0

    def __len__(self) -> int:
        return self.images // self.batch - self.start

    def __iter__(self) -> Iterator[SceneStep]:
        drawn = epoch_list(self.view.seed, self.epoch, *self.scenes)
        positions = np.arange(len(drawn))
        for step in range(self.start, self.start + len(self)):
            mine = draws.train_share(positions, step, self.batch, self.rank, self.world)
            samples, points = drawn[mine, 0], drawn[mine, 1:]
            views = self.view(self.epoch, mine, points, self.sizes[samples])
            yield SceneStep(self.epoch, samples, len(samples), self.batch, views)
