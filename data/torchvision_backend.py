"""Images decoded by PIL and resized by torchvision in DataLoader's worker processes."""

import signal
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torchvision.transforms.v2.functional as T
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data import plan
from data.index import Split
from data.interface import FILLER_INDEX, FILLER_LABEL, MEAN, STD, Batch, DataError
from data.steps import EvalSteps, Step, TrainSteps


@dataclass(frozen=True)
class TrainView:
    """RandomResizedCrop to a square and a horizontal flip, by the plan (Section 4.1)."""

    seed: int
    image_size: int  # px
    crop_area: tuple[float, float]
    crop_aspect: tuple[float, float]
    flip: float

    def choices(self, epoch: int, samples: np.ndarray, sizes: np.ndarray) -> list:
        """Return (top, left, height, width) and whether to flip, for each sample."""
        windows = plan.crop_windows(
            self.seed, epoch, samples, sizes, self.crop_area, self.crop_aspect
        )
        mirrored = plan.flips(self.seed, epoch, samples, self.flip)
        return list(zip(windows.tolist(), mirrored.tolist(), strict=True))

    def __call__(self, image: Image.Image, choice: tuple) -> Image.Image:
        """Return the chosen view, image_size x image_size px."""
        window, mirrored = choice
        view = T.resized_crop(image, *window, [self.image_size, self.image_size], antialias=True)
        return T.horizontal_flip(view) if mirrored else view


@dataclass(frozen=True)
class EvalView:
    """Resize of the shorter side and centre crop (Section 4.1, "single center crop")."""

    resize: int  # px
    image_size: int  # px

    def choices(self, epoch: int, samples: np.ndarray, sizes: np.ndarray) -> list:
        """Return nothing for each sample: this view is always the same."""
        return [()] * len(samples)

    def __call__(self, image: Image.Image, choice: tuple) -> Image.Image:
        """Return the centre, image_size x image_size px."""
        resized = T.resize(image, [self.resize], antialias=True)
        return T.center_crop(resized, [self.image_size, self.image_size])


class TorchvisionLoader:
    """The Loader of an image folder (data/interface.py)."""

    def __init__(
        self,
        split: Split,
        steps: TrainSteps | EvalSteps,
        view: TrainView | EvalView,
        workers: int,
        device: torch.device,
        channels_last: bool,
    ):
        self.images = len(split)
        self._steps = steps
        self._device = device
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        self._mean = torch.tensor(MEAN, device=device)[:, None, None]
        self._std = torch.tensor(STD, device=device)[:, None, None]
        self._loader = DataLoader(
            _Batches(split, view),
            sampler=steps,
            batch_size=None,  # a step is one item: workers build whole batches
            num_workers=workers,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_signals_to_the_parent if workers else None,
            pin_memory=device.type == "cuda",
            generator=torch.Generator(),  # or it would draw from the stream of dropout
        )

    def __len__(self) -> int:
        return len(self._steps)

    def set_epoch(self, epoch: int) -> None:
        """Choose the order, crops and flips of the next iteration."""
        self._steps.epoch = epoch

    def __iter__(self) -> Iterator[Batch]:
        for item in self._loader:
            if isinstance(item, str):
                raise DataError(item)
            pixels, labels, index, global_count = item
            images = pixels.to(self._device, non_blocking=True)
            images = images.to(dtype=torch.float32, memory_format=self._layout)
            images.div_(255).sub_(self._mean).div_(self._std)
            labels = labels.to(self._device, non_blocking=True)
            yield Batch(images, labels, index.to(self._device, non_blocking=True), global_count)


def _leave_signals_to_the_parent(worker: int) -> None:
    # torchrun and Ctrl-C signal the whole process group; a worker that died first would make an
    # interrupted run look like a failed one. Workers end when their parent does.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)


class _Batches(Dataset):
    """A map from a step to its pixels (n, 3, H, W) uint8, labels and index."""

    def __init__(self, split: Split, view: TrainView | EvalView):
        self.split, self.view = split, view

    def __getitem__(self, step: Step) -> tuple[Tensor, Tensor, Tensor, int] | str:
        samples = step.samples
        choices = self.view.choices(step.epoch, samples, self.split.sizes[samples])
        try:
            views = [
                T.pil_to_tensor(self.view(self._decode(sample), choice))
                for sample, choice in zip(samples.tolist(), choices, strict=True)
            ]
        except DataError as error:
            return str(error)  # raised in the caller: DataLoader would add the worker's traceback
        labels = torch.from_numpy(self.split.labels[samples])
        index = torch.from_numpy(samples.copy())
        labels[step.counted :] = FILLER_LABEL
        index[step.counted :] = FILLER_INDEX
        return torch.stack(views), labels, index, step.global_count

    def _decode(self, sample: int) -> Image.Image:
        path = self.split.path(sample)
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
            raise DataError(f"{path}: cannot be decoded ({error}); replace or delete it") from None
        height, width = self.split.sizes[sample]
        if image.size != (width, height):
            raise DataError(
                f"{path}: is {image.width} x {image.height} px, was {width} x {height} when it was "
                f"indexed; run `touch '{path.parent}'` to have the data set indexed again"
            )
        return image
