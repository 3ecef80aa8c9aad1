"""Order, crops and flips: pure functions, distributed as torchvision's."""

import numpy as np
import pytest
import torch
from scipy import stats
from torchvision.transforms import RandomResizedCrop

from data.plan import draws
from data.plan.steps import EvalSteps, TrainSteps

AREA, ASPECT = (0.08, 1.0), (3 / 4, 4 / 3)


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, (0, 0), "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
        ([0xFFFFFFFF] * 4, (0xFFFFFFFF, 0xFFFFFFFF), "408f276d 41c83b0e a20bc7c6 6d5451fd"),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            (0xA4093822, 0x299F31D0),
            "d16cfe09 94fdcceb 5001e420 24126ea1",
        ),
    ],
)
def test_philox_known_answers(counter, key, words):
    """The known-answer vectors that its authors publish with Random123."""
    assert " ".join(f"{int(word):08x}" for word in draws.philox4x32(counter, key)) == words


def test_every_epoch_is_a_permutation_of_its_own():
    orders = [draws.epoch_order(seed, epoch, 5000) for seed in (1, 2) for epoch in (0, 1)]
    for order in orders:
        assert np.array_equal(np.sort(order), np.arange(5000))
    for i, one in enumerate(orders):
        for other in orders[:i]:
            assert abs(stats.spearmanr(one, other).statistic) < 0.06  # 4 sigma of no relation
    assert np.array_equal(orders[0], draws.epoch_order(1, 0, 5000))


@pytest.mark.parametrize("size", [(375, 500), (500, 375), (100, 100), (60, 400)])
def test_crops_are_distributed_as_torchvisions(size):
    """Area, aspect and position: two-sample Kolmogorov-Smirnov tests against get_params."""
    n = 4000
    height, width = size
    image = torch.empty(1, height, width)
    torch.manual_seed(0)
    theirs = np.array([RandomResizedCrop.get_params(image, AREA, ASPECT) for _ in range(n)])
    ours = draws.crop_windows(7, 3, np.arange(n), np.tile([size], (n, 1)), AREA, ASPECT)
    assert (ours[:, :2] >= 0).all()
    assert (ours[:, 0] + ours[:, 2] <= height).all()
    assert (ours[:, 1] + ours[:, 3] <= width).all()

    def features(windows):
        top, left, h, w = windows.astype(float).T
        return h * w, w / h, top, left, top + h, left + w

    for one, other in zip(features(ours), features(theirs), strict=True):
        assert stats.ks_2samp(one, other).pvalue > 1e-4


@pytest.mark.parametrize("size", [(10, 1000), (1000, 10), (300, 310)])
def test_crops_fall_back_to_torchvisions_centre(size):
    """An area above the whole image never fits, so all ten attempts fail in both."""
    area = (1.5, 1.5)
    expected = RandomResizedCrop.get_params(torch.empty(1, *size), area, ASPECT)
    ours = draws.crop_windows(0, 0, np.arange(3), np.tile([size], (3, 1)), area, ASPECT)
    assert (ours == np.array(expected)).all()


def test_a_samples_view_depends_on_seed_epoch_and_sample_alone():
    samples = np.array([3, 77, 12, 5])
    sizes = np.array([(300 + s, 400 - s) for s in range(100)])

    def views(seed, epoch, chosen):
        windows = draws.crop_windows(seed, epoch, chosen, sizes[chosen], AREA, ASPECT)
        return np.concatenate([windows, draws.flips(seed, epoch, chosen, 0.5)[:, None]], axis=1)

    together = views(1, 2, np.arange(100))
    assert np.array_equal(views(1, 2, samples), together[samples])
    for seed, epoch in ((2, 2), (1, 3), (2**32 - 1, 2)):
        assert (views(seed, epoch, np.arange(100)) != together).any(axis=1).mean() > 0.95


def test_flips_have_their_probability():
    n = 40_000
    for probability in (0.0, 0.5, 1.0):
        share = draws.flips(5, 1, np.arange(n), probability).mean()
        assert abs(share - probability) < 4 * np.sqrt(0.25 / n)


@pytest.mark.parametrize("world", [1, 2, 3, 4])
@pytest.mark.parametrize("images", [1, 2, 25, 48, 53])
def test_steps_deal_every_image_once(world, images):
    batch = 24
    steps = [list(TrainSteps(images, batch, rank, world, seed=9)) for rank in range(world)]
    assert len({len(part) for part in steps}) == 1
    assert len(steps[0]) == len(TrainSteps(images, batch, 0, world, seed=9))
    order = draws.epoch_order(9, 0, images)
    for number, parts in enumerate(zip(*steps, strict=True)):
        dealt = np.concatenate([part.samples[: part.counted] for part in parts])
        assert np.array_equal(dealt, order[number * batch : (number + 1) * batch])
        assert all(len(part.samples) >= 2 for part in parts)  # BN needs two
        assert {part.global_count for part in parts} == {len(dealt)}

    parts = [list(EvalSteps(images, 8, rank, world)) for rank in range(world)]
    seen = np.concatenate([step.samples for part in parts for step in part])
    assert np.array_equal(np.sort(seen), np.arange(images))
