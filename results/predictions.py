"""What evaluate.py predicted for every validation image: eval/<padding>.npz."""

import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from configs.same_data import same_data
from records.errors import RunError
from results.checked import again, checked
from results.collect import Run


@dataclass(frozen=True)
class Predictions:
    """One evaluation, image by image, in the split's order.

    Attributes:
        file: where it is from.
        label: (n,) true classes.
        prediction: (n,) predicted classes.
        classes: their names; their numbers in evaluations of older versions.
        fingerprint: of the data set.
    """

    file: Path
    label: np.ndarray
    prediction: np.ndarray
    classes: tuple[str, ...]
    fingerprint: str | None = None

    @property
    def right(self) -> np.ndarray:
        """Which images are right, (n,) bool."""
        return self.label == self.prediction


def has_predictions(run: Run, padding: str) -> bool:
    """Tell whether a run was evaluated under a padding."""
    return padding in run.evaluations and _file(run, padding).is_file()


def predictions(run: Run, padding: str) -> Predictions:
    """Return a run's predictions under a padding.

    Raises:
        RunError: there are none, they are not those that eval/<padding>.json counts, or that is
            none that `checked` lets stand beside the run's numbers.
    """
    file = _file(run, padding)
    if not has_predictions(run, padding):
        raise RunError(f"{file}: missing; {again(run, padding)}")
    said = checked(run, padding)
    try:
        index, label, predicted, names = _arrays(file)
    except _UNREADABLE as error:
        raise RunError(f"{file}: cannot be read ({error}); {again(run, padding)}") from None
    count = run.settings["model.num_classes"]
    whole = len(index) == len(label) == len(predicted) == said["count"]
    told = None
    if not whole or not np.array_equal(index, np.arange(len(index))):
        told = f"does not hold each of {said['count']} images once"
    elif min(label.min(), predicted.min()) < 0 or max(label.max(), predicted.max()) >= count:
        told = f"holds classes beyond the model's {count}"
    elif (label == predicted).sum() != said.get("correct1"):
        told = f"does not have {said.get('correct1')} images right"
    elif names is not None and len(names) != count:
        told = f"names {len(names)} classes of {count}"
    if told:
        raise RunError(f"{file}: {told}; {again(run, padding)}")
    classes = map(str, range(count) if names is None else names.tolist())
    return Predictions(file, label, predicted, tuple(classes), run.fingerprint)


# What NumPy and zipfile raise for files cut off, flipped or of another kind (tried on every byte).
_UNREADABLE = (OSError, EOFError, ValueError, TypeError, KeyError, RuntimeError, zipfile.BadZipFile)


def _arrays(file: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """Return index, label, prediction, and classes, which older versions did not write."""
    with np.load(file) as arrays:
        columns = [arrays[key] for key in ("index", "label", "prediction")]
        names = arrays.get("classes")
    for array in (*columns, *([] if names is None else [names])):
        if array.ndim != 1:
            raise ValueError(f"an array of {array.ndim} dimensions")
    if any(column.dtype.kind not in "iu" for column in columns):
        raise ValueError("classes that are no whole numbers")
    return (*columns, names)


def same_images(found: Sequence[Predictions]) -> None:
    """Raise a RunError where predictions are not of the same images."""
    for other in found[1:]:
        same = same_data(found[0].fingerprint, other.fingerprint)
        if not same or not np.array_equal(found[0].label, other.label):
            raise RunError(
                f"{found[0].file} and {other.file}: of different images; compare evaluations of "
                f"one validation set"
            )


def class_accuracy(found: Iterable[Predictions]) -> np.ndarray:
    """Return each class's accuracy in each evaluation, (evaluations, classes), in percent.

    NaN for a class without images.
    """
    rows = []
    for one in found:
        count = np.bincount(one.label, minlength=len(one.classes)).astype(float)
        right = np.bincount(one.label[one.right], minlength=len(one.classes))
        rows.append(100 * np.divide(right, count, out=np.full_like(count, np.nan), where=count > 0))
    return np.array(rows)


def confusions(found: Sequence[Predictions]) -> np.ndarray:
    """Return how often each true class (rows) is taken for each class, over all evaluations."""
    n = len(found[0].classes)
    pairs = (one.label.astype(np.int64) * n + one.prediction for one in found)
    return sum(np.bincount(pair, minlength=n * n) for pair in pairs).reshape(n, n)


def _file(run: Run, padding: str) -> Path:
    return run.path / "eval" / f"{padding}.npz"
