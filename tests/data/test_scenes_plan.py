"""The epoch's list of crops and the numbers of each crop."""

import time

import numpy as np
import pytest

from data.plan import draws
from data.plan.scenes import SceneSteps, SceneView, class_share, epoch_list
from data.store.cities import OFFICIAL, SPLITS, val_cities

CLASSES = 19


def centroids(each, images=60, seed=0):
    random = np.random.default_rng(seed)
    limits = np.array([images, 1024, 2048])
    return tuple((random.random((n, 3)) * limits).astype(np.int32) for n in each)


@pytest.mark.parametrize(
    ("split", "cities", "val", "train", "each", "rest"),
    [
        ("cv0", "frankfurt lindau munster", 500, 2975, 78, 1493),
        ("cv1", "darmstadt dusseldorf erfurt", 415, 3060, 80, 1540),
        ("cv2", "monchengladbach strasbourg stuttgart", 655, 2820, 74, 1414),
    ],
)
def test_official_counts(split, cities, val, train, each, rest):
    assert split in SPLITS
    assert val_cities(split) == tuple(cities.split())
    counts = OFFICIAL["train"] | OFFICIAL["val"]
    assert sum(counts[city] for city in val_cities(split)) == val
    assert sum(counts.values()) - val == train
    assert class_share(train, 0.5, CLASSES) == each
    drawn = epoch_list(1, 0, train, 0.5, centroids([200] * CLASSES))
    assert len(drawn) == train
    assert (drawn[:, 1] < 0).sum() == rest


def test_a_list_holds_every_class_evenly_and_no_whole_image_twice():
    each = [3, 40, 500] + [100] * 16
    table = centroids(each, images=700)
    drawn = epoch_list(5, 2, 700, 0.5, table)  # 18 of each class
    whole = drawn[drawn[:, 1] < 0]
    assert len(whole) == 700 - 18 * CLASSES == len(np.unique(whole[:, 0]))
    rows, counts = np.unique(drawn[drawn[:, 1] >= 0], axis=0, return_counts=True)
    known = {tuple(row): label for label, part in enumerate(table) for row in part.tolist()}
    drawn_of = np.zeros(CLASSES, int)
    for row, count in zip(rows.tolist(), counts.tolist(), strict=True):
        label = known[tuple(row)]
        drawn_of[label] += count
        assert count == (6 if label == 0 else 1)  # three centroids, 18 times
    assert (drawn_of == 18).all()


def test_lists_follow_seed_and_epoch_alone():
    table = centroids([50] * CLASSES)
    first = epoch_list(1, 0, 300, 0.5, table)
    assert np.array_equal(first, epoch_list(1, 0, 300, 0.5, table))
    for other in (epoch_list(2, 0, 300, 0.5, table), epoch_list(1, 1, 300, 0.5, table)):
        assert (first != other).any(axis=1).mean() > 0.9


def test_every_centroid_and_image_has_its_chance():
    table = centroids([30] * CLASSES)
    seen = np.concatenate([epoch_list(3, epoch, 190, 0.5, table) for epoch in range(120)])
    whole = np.bincount(seen[seen[:, 1] < 0, 0], minlength=190)
    assert abs(whole - 60).max() < 5 * 60**0.5  # 95 of 190 in each of 120 epochs
    _, counts = np.unique(seen[seen[:, 1] >= 0], axis=0, return_counts=True)
    assert len(counts) == 30 * CLASSES
    assert abs(counts - 20).max() < 6 * 20**0.5  # 5 of 30


def test_without_centroids():
    nothing = centroids([0] * CLASSES)
    drawn = epoch_list(1, 0, 50, 0.0, nothing)
    assert sorted(drawn[:, 0]) == list(range(50))
    assert len(epoch_list(1, 0, 37, 0.5, nothing)) == 37  # fewer than a crop a class


def test_streams_do_not_overlap():
    names = ("ORDER", "CROP", "FLIP", "CENTROIDS", "WHOLE", "SCENE")
    assert len({getattr(draws, name) for name in names}) == len(names)
    keys = draws.keys(1, 0, draws.CENTROIDS, 10_001)
    assert len(np.unique(keys)) == 10_001
    assert np.array_equal(keys[:77], draws.keys(1, 0, draws.CENTROIDS, 77))


def view(crop=896, **changes):
    facts = {"scale": (0.5, 2.0), "flip": 0.5, "jitter": 0.25, "blur": (0.15, 1.3)} | changes
    return SceneView(7, crop, *facts.values())


@pytest.mark.parametrize("crop", [896, 736, 24, 5000])
def test_crops_hold_their_centroids(crop):
    """Also in the first and last row and column, of the image and of the crop."""
    random = np.random.default_rng(1)
    n = 4000
    sizes = np.stack([random.integers(300, 1100, n), random.integers(300, 2100, n)], axis=1)
    points = (random.random((n, 2)) * sizes).astype(np.int64)
    points[:500], points[500:1000] = 0, sizes[500:1000] - 1
    views = view(crop)(3, np.arange(n), points, sizes)
    scaled = (2 * points + 1) * views.scaled // (2 * sizes)  # the pixel's middle, scaled
    top_left, extent = views.windows[:, :2], views.windows[:, 2:]
    assert (top_left >= 0).all()
    assert (top_left + extent <= views.scaled).all()
    assert (extent == np.minimum(views.scaled, crop)).all()
    inside = scaled - top_left
    assert (inside >= 0).all()
    assert (inside < extent).all()
    fits = (views.scaled > crop) & (scaled >= crop) & (scaled < views.scaled - crop)
    if crop == 24:  # small enough for chance to have met both ends
        assert {0, 23} <= set(inside[fits].tolist())
        assert np.histogram(inside[fits], bins=24)[0].min() > 0.8 * fits.sum() / 24
    padding = crop - extent
    assert (views.margins == padding // 2).all()


def test_crops_of_whole_images_lie_anywhere():
    sizes = np.full((5000, 2), (40, 80))
    views = view(24, scale=(1.0, 1.0))(0, np.arange(5000), np.full((5000, 2), -1), sizes)
    assert (views.scaled == sizes).all()
    for axis, starts in enumerate((17, 57)):
        counts = np.bincount(views.windows[:, axis], minlength=starts)
        assert len(counts) == starts
        assert abs(counts - 5000 / starts).max() < 5 * (5000 / starts) ** 0.5


def test_numbers_are_distributed_as_configured():
    n = 20_000
    views = view()(0, np.arange(n), np.full((n, 2), -1), np.full((n, 2), (1000, 2000)))
    assert abs(views.mirrored.mean() - 0.5) < 0.02
    scale = views.scaled[:, 0] / 1000
    jitter = views.jitter - [1, 1, 1, 0]
    for values, low, high in (
        (scale, 0.5, 2.0),
        (views.blur, 0.15, 1.3),
        *((column, -0.25, 0.25) for column in jitter.T),
    ):
        quantiles = np.quantile(values, [0, 0.25, 0.5, 0.75, 1])
        assert quantiles == pytest.approx(np.linspace(low, high, 5), abs=0.03 * (high - low))
    orders, counts = np.unique(views.order, axis=0, return_counts=True)
    assert len(orders) == 24
    assert abs(counts - n / 24).max() < 5 * (n / 24) ** 0.5
    numbers = np.column_stack([scale, views.mirrored, jitter, views.blur, views.windows[:, :2]])
    matrix = np.corrcoef(numbers.T) - np.eye(9)
    matrix[0, 7:] = matrix[7:, 0] = 0  # larger images leave more places
    matrix[7, 8] = matrix[8, 7] = 0
    assert abs(matrix).max() < 0.04


def steps(rank=0, world=1, batch=8, images=61):
    table = centroids([20] * CLASSES, images=images)
    sizes = np.full((images, 2), (1024, 2048))
    return SceneSteps(view(), sizes, (images, 0.5, table), batch, (rank, world))


def test_every_number_of_processes_sees_the_same_samples():
    def samples(world):
        parts = [list(steps(rank, world)) for rank in range(world)]
        assert {len(part) for part in parts} == {7}  # 61 samples: five are dropped
        assert {step.global_count for part in parts for step in part} == {8}
        rows = []
        for at_once in zip(*parts, strict=True):
            for step in at_once:
                assert step.counted == len(step.samples) == 8 // world
                rows += zip(step.samples, *vars(step.views).values(), strict=True)
        return [np.hstack(row) for row in rows]

    alone = samples(1)
    assert len(alone) == 56
    for world in (2, 4, 8):
        assert np.array_equal(samples(world), alone)


def test_an_epoch_begun_later_goes_on_alike():
    whole, rest = steps(), steps()
    whole.epoch = rest.epoch = 4
    rest.start = 3
    assert len(rest) == 4
    for one, other in zip(list(whole)[3:], rest, strict=True):
        assert np.array_equal(one.samples, other.samples)
        assert np.array_equal(one.views.windows, other.views.windows)


def test_a_list_takes_less_than_50_ms():
    table = centroids([200_000 // CLASSES] * CLASSES, images=2975)
    times = []
    for epoch in range(7):
        start = time.perf_counter()
        epoch_list(1, epoch, 2975, 0.5, table)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05
