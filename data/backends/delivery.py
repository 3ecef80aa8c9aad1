"""From decoded pixels to the batch on the device, the same for every backend."""

import numpy as np
import torch
from torch import Tensor

from data.interface import FILLER_INDEX, FILLER_LABEL, MEAN, STD, Batch
from data.plan.steps import Step
from data.store.split import Split


def with_fillers(labels: np.ndarray, step: Step) -> tuple[Tensor, Tensor]:
    """Return the labels of a step's samples and their places, those of the fillers replaced."""
    index = torch.from_numpy(step.samples.copy())
    told = torch.from_numpy(labels)
    told[step.counted :] = FILLER_LABEL
    index[step.counted :] = FILLER_INDEX
    return told, index


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return a copy on the device; nobody waits for a GPU to have it."""
    return (values.pin_memory() if device.type == "cuda" else values).to(device, non_blocking=True)


class Normalized:
    """Puts images on the device, normalized by MEAN and STD."""

    def __init__(self, device: torch.device, channels_last: bool):
        self.device, self.channels_last = device, channels_last
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._mean = torch.tensor(MEAN, device=device)[:, None, None]
        self._std = torch.tensor(STD, device=device)[:, None, None]

    def __call__(self, images: Tensor) -> Tensor:
        """Return (n, 3, H, W) float32 on the device.

        Args:
            images: (n, 3, H, W) in any layout: float32, normalized, or uint8 as decoded, a quarter
                of the bytes to transfer; in pinned memory where the device is a GPU.
        """
        images = images.to(self.device, non_blocking=True)
        if images.dtype == torch.uint8:
            images = images.to(dtype=torch.float32, memory_format=self._layout)
            images.div_(255).sub_(self._mean).div_(self._std)
        return images


class Delivery:
    """Puts the steps of one split of an image folder on the device, normalized."""

    def __init__(self, split: Split, device: torch.device, channels_last: bool):
        self.device = device
        self.channels_last = channels_last
        self._labels = split.labels
        self._normalized = Normalized(device, channels_last)

    def __call__(self, images: Tensor, step: Step) -> Batch:
        """Return the batch of a step's images, as Normalized takes them."""
        labels, index = with_fillers(self._labels[step.samples], step)
        images = self._normalized(images)
        labels, index = to_device(labels, self.device), to_device(index, self.device)
        return Batch(images, labels, index, step.global_count)
