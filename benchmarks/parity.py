"""How far DALI's pixels are from PIL's, for the same images, windows and flips.

python -m benchmarks.parity IMAGES
"""

import sys
from dataclasses import dataclass

import torch
from torch import Tensor
from tqdm import tqdm

from benchmarks import sample
from data.interface import MEAN, STD, Loader
from data.store.dataset import SPLITS
from foundation.errors import run_command
from results.render import Table, render

MOST, MEAN_MOST = 1, 0.2  # grey levels of 255


@dataclass
class Difference:
    """Between two loaders of one split, in grey levels."""

    images: int = 0
    total: float = 0.0  # of the images' mean differences
    largest: float = 0.0
    largest_inside: float = 0.0  # away from the outermost row and column
    same_order: bool = True  # and labels

    @property
    def mean(self) -> float:
        """Return the mean over all pixels."""
        return self.total / self.images


def compare(ours: Loader, theirs: Loader) -> Difference:
    """Return how far the pixels of two loaders are apart."""
    found = Difference()
    for a, b in tqdm(zip(ours, theirs, strict=True), total=len(ours), unit="batch", disable=None):
        same = torch.equal(a.index, b.index) and torch.equal(a.labels, b.labels)
        found.same_order &= same
        apart = (_levels(a.images) - _levels(b.images)).abs()
        found.images += len(apart)
        found.total += apart.mean((1, 2, 3)).sum().item()
        found.largest = max(found.largest, apart.max().item())
        found.largest_inside = max(found.largest_inside, apart[..., 1:-1, 1:-1].max().item())
    return found


def _levels(images: Tensor) -> Tensor:
    """Return normalized (n, 3, H, W) images in grey levels 0 to 255."""
    mean, std = torch.tensor(MEAN)[:, None, None], torch.tensor(STD)[:, None, None]
    return ((images * std + mean) * 255).round()


def holds(split: str, found: Difference) -> bool:
    """Return whether the difference is within what is promised."""
    largest = found.largest if split == "val" else found.largest_inside
    return found.same_order and largest <= MOST and found.mean < MEAN_MOST


def main() -> None:
    """Run the command line."""
    arguments = sample.parser(__doc__.split("\n")[0]).parse_args()
    with sample.data_set(arguments.images) as root:
        ours, theirs = (
            sample.loaders(root, backend, arguments) for backend in ("dali", "torchvision")
        )
        found = {split: compare(getattr(ours, split), getattr(theirs, split)) for split in SPLITS}
    print(render(_table(found), "markdown"))
    sys.exit(0 if all(holds(split, each) for split, each in found.items()) else 1)


def _table(found: dict[str, Difference]) -> Table:
    rows = tuple(
        (
            {"train": "training crops", "val": "evaluation"}[split],
            str(each.images),
            f"{each.mean:.3f}",
            f"{each.largest:.0f}",
            f"{each.largest_inside:.0f}",
            "yes" if each.same_order else "NO",
            "yes" if holds(split, each) else "NO",
        )
        for split, each in found.items()
    )
    return Table(
        name="parity",
        title="DALI against PIL and torchvision, grey levels of 255",
        names=1,
        columns=("", "images", "mean", "largest", "inside", "same order and labels", "holds"),
        rows=rows,
        notes=(
            "inside: without the outermost row and column, where a decoded crop has no neighbours",
            f"holds: evaluation within {MOST}, training within {MOST} inside, mean below "
            f"{MEAN_MOST}, same order and labels",
        ),
    )


if __name__ == "__main__":
    run_command(main)
