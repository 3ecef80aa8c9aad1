"""Constant noise in the shape of the data: times everything but the loader."""

from collections.abc import Iterator

import torch

from data.backends.delivery import to_device, with_fillers
from data.interface import Batch
from data.plan.steps import EvalSteps, TrainSteps


class SyntheticLoader:
    """The Loader (data/interface.py) that repeats one image batch and costs next to nothing.

    Sizes, order and labels follow the plan as with real images; a sample's label is its place in
    the split modulo the number of classes.
    """

    def __init__(
        self,
        steps: TrainSteps | EvalSteps,
        image_size: int,
        num_classes: int,
        device: torch.device,
        channels_last: bool,
    ):
        self.images = steps.images
        self._steps = steps
        self._classes = num_classes
        self._device = device
        generator = torch.Generator().manual_seed(0)
        first = next(iter(steps), None)  # no later step is larger
        shape = (len(first.samples) if first else 0, 3, image_size, image_size)
        noise = torch.randn(shape, generator=generator)
        layout = torch.channels_last if channels_last else torch.contiguous_format
        self._noise = noise.to(device=device, memory_format=layout)

    def __len__(self) -> int:
        return len(self._steps)

    def name(self, sample: int) -> str:
        """Return what to call a sample."""
        return f"synthetic sample {sample}"

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the order of the next iteration, and the batch it starts with."""
        self._steps.epoch, self._steps.start = epoch, start

    def __iter__(self) -> Iterator[Batch]:
        for step in self._steps:
            labels, index = with_fillers(step.samples % self._classes, step)
            images = self._noise[: len(index)]
            labels, index = to_device(labels, self._device), to_device(index, self._device)
            yield Batch(images, labels, index, step.global_count)
