"""Loss, counts and rows of segmentation: ignored pixels count nowhere."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from data.interface import FILLER_LABEL, Batch
from records.score import SCORES, contradiction
from tasks import segmentation
from training.epoch import train_step
from training.state import new_state

CPU = torch.device("cpu")


def batch(labels):
    n = len(labels)
    return Batch(torch.randn(n, 3, *labels.shape[1:]), labels, torch.arange(n), n)


def labels(n=2, height=4, width=6):
    return torch.randint(0, 19, (n, height, width))


def logits(n=2, height=4, width=6):
    return torch.randn(n, 19, height, width, requires_grad=True)


def mean_loss(outputs, of):
    return segmentation.loss(outputs, of) * segmentation.weight(of, 1)


def test_loss_is_torchs_mean_over_labelled_pixels():
    outputs, of = logits(), batch(labels())
    of.labels[:, :2] = FILLER_LABEL
    theirs = F.cross_entropy(outputs, of.labels, ignore_index=FILLER_LABEL)
    ours = mean_loss(outputs, of)
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(*(torch.autograd.grad(x, outputs) for x in (ours, theirs)), strict=True):
        torch.testing.assert_close(one, other)


def test_half_void_batch_is_its_labelled_half():
    outputs, of = logits(), batch(labels())
    void = replace(of, labels=of.labels.clone())
    void.labels[1] = FILLER_LABEL
    half = replace(of, images=of.images[:1], labels=of.labels[:1], index=of.index[:1])
    torch.testing.assert_close(mean_loss(outputs, void), mean_loss(outputs[:1], half))
    assert segmentation.val_counts(outputs, void)[:-1].equal(
        segmentation.val_counts(outputs[:1], half)[:-1]
    )


def test_batch_without_any_label_is_worth_nothing():
    outputs, of = logits(), batch(torch.full((2, 4, 6), FILLER_LABEL))
    loss = mean_loss(outputs, of)
    loss.backward()
    assert loss == 0
    assert not outputs.grad.any()
    counts = segmentation.train_counts(outputs, of).tolist()
    assert segmentation.train_row(0.0, counts) == {"train_loss": 0.0, "train_accuracy": 0.0}


def test_a_divided_step_is_the_whole_one():
    """The parts hold different numbers of labelled pixels, and weigh as in the whole."""
    torch.manual_seed(5)
    of = batch(labels(4))
    of.labels[0] = FILLER_LABEL
    of.labels[1, :3] = FILLER_LABEL
    weights = []
    for accumulate in (1, 2):
        torch.manual_seed(6)
        model = nn.Conv2d(3, 19, 1)
        state = new_state(model, CPU, 0.9, 0.0, False)
        for group in state.optimizer.param_groups:
            group["lr"] = 1.0
        train_step(model, of, segmentation, state, "fp32", 1, accumulate)
        weights.append(model.weight)
    torch.testing.assert_close(*weights)


@pytest.mark.parametrize("parts", [1, 2, 3, 4])
def test_row_follows_from_counts_of_any_parts(parts):
    torch.manual_seed(7)
    outputs, of = logits(5), batch(labels(5))
    of.labels[of.labels == 18] = 3
    chunks = zip(outputs.chunk(parts), of.labels.chunk(parts), strict=True)
    counts = sum(segmentation.val_counts(some, batch(told)) for some, told in chunks).tolist()
    assert len(counts) == segmentation.VAL_COUNTS
    assert segmentation.evaluated(counts) == 5
    row = segmentation.val_row(segmentation.loss(outputs, of).item(), counts)
    assert row["val_count"] == 5
    assert row["val_loss"] == pytest.approx(F.cross_entropy(outputs, of.labels).item())
    matrix = torch.tensor(row["confusion"])
    predicted = outputs.argmax(1)
    for label, guess in ((0, 0), (3, 7), (17, 18)):
        assert matrix[label, guess] == ((of.labels == label) & (predicted == guess)).sum()
    assert matrix.sum() == of.labels.numel()
    present = [iou for iou in row["val_iou"] if iou is not None]
    assert row["val_miou"] == pytest.approx(sum(present) / len(present))
    assert float(SCORES["segmentation"].value(row)) == pytest.approx(row["val_miou"])
    assert contradiction(row) is None
    assert "mean IoU" in contradiction(row | {"val_miou": row["val_miou"] + 0.01})
    row["confusion"][0] = row["confusion"][0][:-1]
    assert contradiction(row)
