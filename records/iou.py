"""Intersection over union, exactly, from a confusion matrix of integers (Section 4.2)."""

from fractions import Fraction

CLASSES = 19

Confusion = list[list[int]]  # pixels: a row a label, a column a prediction


def class_ious(confusion: Confusion) -> list[Fraction | None]:
    """Return each class's tp / (tp + fp + fn), 0 to 1; None where it occurs in neither."""
    ious = []
    for one, row in enumerate(confusion):
        union = sum(row) + sum(other[one] for other in confusion) - row[one]
        ious.append(Fraction(row[one], union) if union else None)
    return ious


def mean_iou(confusion: Confusion) -> Fraction | None:
    """Return the mean over the classes that occur in label or prediction; None: nothing does."""
    known = [iou for iou in class_ious(confusion) if iou is not None]
    return sum(known, Fraction(0)) / len(known) if known else None


def percents(confusion: Confusion) -> list[float | None]:
    """Return each class's IoU in percent, None where it is absent."""
    return [None if iou is None else float(100 * iou) for iou in class_ious(confusion)]


def miou(confusion: Confusion) -> float | None:
    """Return the mean IoU in percent, None where nothing is labelled."""
    mean = mean_iou(confusion)
    return None if mean is None else float(100 * mean)
