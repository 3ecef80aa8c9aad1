"""Matrices of integers, against counting by hand."""

import pytest
import torch

from data.interface import FILLER_LABEL
from records.iou import CLASSES
from tasks.confusion import confusion


def scene(seed, shape=(3, 12, 17), ignored=0.5):
    """Return predictions and labels of which about a share is ignored."""
    random = torch.Generator().manual_seed(seed)
    predicted = torch.randint(0, CLASSES, shape, generator=random)
    labels = torch.randint(0, CLASSES, shape, generator=random)
    labels[torch.rand(shape, generator=random) < ignored] = FILLER_LABEL
    return predicted, labels


def by_hand(predicted, labels, where=None):
    matrix = torch.zeros(CLASSES, CLASSES, dtype=torch.int64)
    for place in torch.cartesian_prod(*map(torch.arange, labels.shape)).tolist():
        label = labels[tuple(place)].item()
        if 0 <= label < CLASSES and (where is None or where[tuple(place[-2:])]):
            matrix[label, predicted[tuple(place)]] += 1
    return matrix


@pytest.mark.parametrize("ignored", [0, 0.5, 1])
def test_equals_counting_by_hand(ignored):
    predicted, labels = scene(1, ignored=ignored)
    matrix = confusion(predicted, labels)
    assert matrix.dtype == torch.int64
    assert torch.equal(matrix, by_hand(predicted, labels)[None])
    assert matrix.sum() == (labels >= 0).sum()


@pytest.mark.parametrize("value", [FILLER_LABEL, -1, CLASSES, 255, 2**40])
def test_what_is_no_class_counts_nowhere(value):
    predicted, labels = scene(2)
    labels[labels < 0] = value
    assert torch.equal(confusion(predicted, labels), by_hand(predicted, labels)[None])
    # A half-void batch is its labelled half.
    half = labels.clone()
    half[..., 8:] = value
    assert torch.equal(confusion(predicted, half), confusion(predicted[..., :8], labels[..., :8]))


def test_regions_are_counted_in_one_pass():
    predicted, labels = scene(3)
    regions = torch.randint(0, 4, labels.shape[-2:]).to(torch.int16)  # of five: one is empty
    matrices = confusion(predicted, labels, regions=regions, n_regions=5)
    for region in range(5):
        assert torch.equal(matrices[region], by_hand(predicted, labels, regions == region))
    assert torch.equal(matrices.sum(0, keepdim=True), confusion(predicted, labels))


def test_many_regions_do_not_overflow_a_small_map():
    predicted, labels = scene(4)
    regions = torch.full(labels.shape[-2:], 287, dtype=torch.int16)
    matrices = confusion(predicted, labels, regions=regions, n_regions=288)
    assert torch.equal(matrices[287], by_hand(predicted, labels))
    assert not matrices[:287].any()


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_parts_add_up_to_the_same_integers(parts):
    predicted, labels = scene(5, (7, 9, 11))
    whole = confusion(predicted, labels)
    pairs = zip(predicted.tensor_split(parts), labels.tensor_split(parts), strict=True)
    assert torch.equal(sum(confusion(*pair) for pair in pairs), whole)


def test_beyond_what_float32_can_count():
    """2^24 + 1 pixels of one class: a sum of ones in float32 stops at 2^24."""
    labels = torch.zeros((1, 1, 2**24 + 1), dtype=torch.int64)
    assert confusion(labels, labels)[0, 0, 0] == 2**24 + 1


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_gpu_gives_the_same_integers_and_is_never_waited_for():
    predicted, labels = scene(6, (1, 512, 1024))
    regions = torch.randint(0, 288, labels.shape[-2:]).to(torch.int16)
    expected = confusion(predicted, labels, regions=regions, n_regions=288)
    inputs = predicted.cuda(), labels.cuda(), regions.cuda()
    torch.use_deterministic_algorithms(True)
    torch.cuda.set_sync_debug_mode("error")
    try:
        found = confusion(*inputs[:2], regions=inputs[2], n_regions=288)
    finally:
        torch.cuda.set_sync_debug_mode("default")
        torch.use_deterministic_algorithms(False)
    assert torch.equal(found.cpu(), expected)
