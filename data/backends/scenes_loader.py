"""Street scenes and their labels, decoded and resized by Pillow in worker processes."""

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from data.backends.delivery import Normalized, to_device
from data.backends.scene_crops import scene_crop
from data.backends.worker_processes import made, step_loader
from data.interface import FILLER_LABEL, Batch
from data.plan.scenes import SceneStep, SceneSteps
from data.plan.steps import EvalSteps, Step
from data.store.dataset import DataError
from data.store.labels import IGNORED
from data.store.pairs import Pairs

_CHANNELS = 4  # bytes a pixel: red, green, blue and the label


class ScenesLoader:
    """The Loader of Cityscapes (data/interface.py); Batch.labels are (n, H, W).

    Training: square crops. Validation: whole images, one a batch.

    Attributes:
        smallest: of the image of least height and that of least width, its height and width in
            pixels, by its name.

    Raises:
        DataError: /dev/shm, through which the workers hand over their batches, is too small, or
            too few files may be open.
    """

    def __init__(
        self,
        pairs: Pairs,
        steps: SceneSteps | EvalSteps,
        workers: int,
        normalized: Normalized,
    ):
        self.images = steps.images
        self.smallest = {
            pairs.name(sample): tuple(pairs.sizes[sample].tolist())
            for sample in pairs.sizes.argmin(axis=0).tolist()
        }
        self._pairs, self._steps, self._normalized = pairs, steps, normalized
        if isinstance(steps, SceneSteps):
            dataset, pixels = _Crops(pairs, steps.view.crop), steps.share * steps.view.crop**2
        else:
            dataset = _Whole(pairs)
            pixels = steps.share * int(pairs.sizes.astype(np.int64).prod(axis=1).max())
        step_bytes = _CHANNELS * pixels
        self._loader = step_loader(dataset, steps, workers, step_bytes, normalized.device)

    def __len__(self) -> int:
        return len(self._steps)

    def name(self, sample: int) -> str:
        """Return the name of an image, <city>_<sequence>_<frame>."""
        return self._pairs.name(sample)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose the list and the crops of the next iteration, and the batch it starts with."""
        self._steps.epoch, self._steps.start = epoch, start

    def __iter__(self) -> Iterator[Batch]:
        device = self._normalized.device
        for images, labels, step in made(self._loader):
            labels = labels.to(device, non_blocking=True)
            labels = labels.long().masked_fill_(labels == IGNORED, FILLER_LABEL)
            index = to_device(torch.from_numpy(step.samples.copy()), device)
            images = self._normalized(images.permute(0, 3, 1, 2))
            yield Batch(images, labels, index, step.global_count)


Made = tuple[Tensor, Tensor, Step]  # (n, H, W, 3) and (n, H, W), uint8


class _Crops(Dataset):
    """A map from a training step to its crops, or to what is wrong with one of them."""

    def __init__(self, pairs: Pairs, crop: int):
        self.pairs, self.crop = pairs, crop

    def __getitem__(self, step: SceneStep) -> Made | str:
        n = len(step.samples)
        images = torch.empty(n, self.crop, self.crop, 3, dtype=torch.uint8)
        labels = torch.empty(n, self.crop, self.crop, dtype=torch.uint8)
        try:
            for row, sample in enumerate(step.samples.tolist()):
                image, known = self.pairs.read_image(sample), self.pairs.read_labels(sample)
                crops = scene_crop(image, known, step.views, row, self.crop)
                images.numpy()[row], labels.numpy()[row] = crops
        except DataError as error:
            return str(error)
        return images, labels, step


class _Whole(Dataset):
    """A map from a step of validation to its one image, or to what is wrong with it."""

    def __init__(self, pairs: Pairs):
        self.pairs = pairs

    def __getitem__(self, step: Step) -> Made | str:
        [sample] = step.samples.tolist()
        try:
            image, labels = self.pairs.read_image(sample), self.pairs.read_labels(sample)
        except DataError as error:
            return str(error)
        return torch.from_numpy(np.array(image))[None], torch.from_numpy(labels)[None], step
