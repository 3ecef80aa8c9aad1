"""Images decoded by PIL and resized by torchvision in DataLoader's worker processes."""

import io
from collections.abc import Iterator

import torch
import torchvision.transforms.v2.functional as T
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from data.backends.delivery import Delivery
from data.backends.worker_processes import made, step_loader
from data.interface import Batch
from data.plan.steps import EvalSteps, Step, TrainSteps
from data.plan.views import EvalView, TrainView
from data.store.dataset import DataError
from data.store.decoding import why
from data.store.machine import machine_error
from data.store.split import Split


class TorchvisionLoader:
    """The Loader of an image folder or of shards (data/interface.py).

    Raises:
        DataError: /dev/shm, through which the workers hand over their batches, is too small, or
            too few files may be open.
    """

    def __init__(
        self,
        split: Split,
        steps: TrainSteps | EvalSteps,
        view: TrainView | EvalView,
        workers: int,
        delivery: Delivery,
    ):
        self.images = len(split)
        self._split, self._steps = split, steps
        self._delivery = delivery
        step_bytes = steps.share * 3 * view.image_size**2
        instead = ", or set data.backend=dali, which does without"
        self._loader = step_loader(
            _Pixels(split, view), steps, workers, step_bytes, delivery.device, instead
        )

    def __len__(self) -> int:
        return len(self._steps)

    def name(self, sample: int) -> str:
        """Return which image is at a place in the split."""
        return self._split.name(sample)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose order, crops and flips of the next iteration, and the batch it starts with."""
        self._steps.epoch, self._steps.start = epoch, start

    def __iter__(self) -> Iterator[Batch]:
        for pixels, step in made(self._loader):
            yield self._delivery(pixels, step)


class _Pixels(Dataset):
    """A map from a step to its pixels, (n, 3, H, W) uint8, or to what is wrong with one of them."""

    def __init__(self, split: Split, view: TrainView | EvalView):
        self.split, self.view = split, view

    def __getitem__(self, step: Step) -> tuple[Tensor, Step] | str:
        samples = step.samples
        views = self.view(step.epoch, samples, self.split.sizes[samples])
        rows = zip(views.windows, views.resized, views.starts, views.mirrored, strict=True)
        try:
            pixels = [
                self._square(self._decode(sample), *(value.tolist() for value in row))
                for sample, row in zip(samples.tolist(), rows, strict=True)
            ]
        except DataError as error:
            return str(error)
        return torch.stack(pixels), step

    def _square(
        self,
        image: Image.Image,
        window: list[int],
        resized: list[int],
        start: list[int],
        mirrored: bool,
    ) -> Tensor:
        size = self.view.image_size
        view = T.resized_crop(image, *window, resized, antialias=True)
        view = T.crop(view, *start, size, size)
        return T.pil_to_tensor(T.horizontal_flip(view) if mirrored else view)

    def _decode(self, sample: int) -> Image.Image:
        content = self.split.read(sample)
        try:
            with Image.open(io.BytesIO(content)) as file:
                image = file.convert("RGB")
        except MemoryError as error:
            raise machine_error(error) from None
        # PIL's readers of damaged files raise whatever they stumble over.
        except Exception as error:
            raise DataError(
                self.split.complaint(sample, f"cannot be decoded ({why(error)})")
            ) from None
        self.split.check_unchanged(sample, (image.height, image.width), len(content))
        return image
