"""Exact IoUs, against torchmetrics and by hand."""

from fractions import Fraction

import pytest
import torch

from data.interface import FILLER_LABEL
from records.iou import CLASSES, class_ious, mean_iou, miou, percents
from tasks.confusion import confusion


def test_by_hand():
    matrix = [[0] * CLASSES for _ in range(CLASSES)]
    matrix[0][0], matrix[0][1], matrix[1][1], matrix[2][0] = 3, 1, 2, 4
    ious = class_ious(matrix)
    assert ious[:4] == [Fraction(3, 8), Fraction(2, 3), 0, None]
    assert mean_iou(matrix) == Fraction(25, 72)  # of the three classes that occur
    assert percents(matrix)[:4] == [37.5, 100 * 2 / 3, 0.0, None]
    assert miou(matrix) == float(Fraction(2500, 72))


def test_a_class_that_is_only_predicted_counts_as_missed():
    matrix = [[0] * CLASSES for _ in range(CLASSES)]
    matrix[0][0], matrix[0][5] = 1, 1
    assert class_ious(matrix)[5] == 0
    assert mean_iou(matrix) == Fraction(1, 4)


def test_nothing_labelled():
    nothing = [[0] * CLASSES for _ in range(CLASSES)]
    assert (mean_iou(nothing), miou(nothing), set(percents(nothing))) == (None, None, {None})


def test_numbers_of_a_whole_split():
    """A thousand million pixels: integers of any size, and the mean is exact."""
    matrix = [[10**9 + 7 * (i == j) for j in range(CLASSES)] for i in range(CLASSES)]
    expected = Fraction(10**9 + 7, 37 * 10**9 + 7)
    assert mean_iou(matrix) == expected
    assert miou(matrix) == float(100 * expected)


@pytest.mark.parametrize("ignored", [0, 0.5, 0.999])
@pytest.mark.parametrize("classes", [CLASSES, 5])  # the others are absent
def test_torchmetrics(classes, ignored):
    classification = pytest.importorskip("torchmetrics.classification")
    settings = {"num_classes": CLASSES, "ignore_index": FILLER_LABEL}
    mean = classification.MulticlassJaccardIndex(average="macro", **settings)
    each = classification.MulticlassJaccardIndex(average="none", **settings)
    random, matrix = torch.Generator().manual_seed(classes), 0
    for batch in range(4):  # of which the last is void
        labels = torch.randint(0, classes, (2, 20, 30), generator=random)
        wrong = torch.rand(labels.shape, generator=random) < 0.4
        noise = torch.randint(0, classes, labels.shape, generator=random)
        predicted = torch.where(wrong, noise, labels)
        labels[torch.rand(labels.shape, generator=random) < ignored] = FILLER_LABEL
        if batch == 3:
            labels.fill_(FILLER_LABEL)
        matrix = matrix + confusion(predicted, labels)[0]
        mean.update(predicted, labels)
        each.update(predicted, labels)
    assert torch.equal(matrix, mean.confmat)
    table = matrix.tolist()
    assert abs(mean_iou(table) - mean.compute().item()) < 2e-7
    found = [float(value) if value is not None else 0.0 for value in class_ious(table)]
    torch.testing.assert_close(torch.tensor(found), each.compute(), rtol=0, atol=2e-7)
