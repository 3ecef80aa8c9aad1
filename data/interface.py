"""What the training and evaluation loops may know of the data."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

# Per-channel mean and standard deviation of ImageNet's training images, RGB in [0, 1], as
# pytorch/examples and torchvision's published models use them.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

# Label and index of an image, or label of a pixel, that is there without counting; the label is
# torch.nn.functional.cross_entropy's default ignore_index.
FILLER_LABEL = -100
FILLER_INDEX = -1


@dataclass(frozen=True)
class Batch:
    """One process's share of one step, on the device.

    Attributes:
        images: (n, 3, H, W) float32, normalized.
        labels: (n,) int64; FILLER_LABEL for fillers. Street scenes: (n, H, W) int64;
            FILLER_LABEL for pixels that are ignored.
        index: (n,) int64, each image's place in its split; FILLER_INDEX for fillers.
        global_count: training: images of this step over all processes, without fillers;
            validation, where the processes share no step: of this process.
    """

    images: Tensor
    labels: Tensor
    index: Tensor
    global_count: int


class Loader(Protocol):
    """Batches of one split for one process.

    Training: the same number of batches on every process. Validation: the union over the processes
    holds every image once; the number of batches may differ.
    """

    images: int  # in the whole split, over all processes

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Batch]: ...

    def name(self, sample: int) -> str:
        """Return which image is at a place in the split, as its user knows it."""
        ...

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose order, crops and flips of the next iteration, and the batch it starts with."""
        ...
