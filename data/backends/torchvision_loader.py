"""Images decoded by PIL and resized by torchvision in DataLoader's worker processes."""

import io
import shutil
import signal
from collections.abc import Iterator

import torch
import torchvision.transforms.v2.functional as T
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.backends.delivery import Delivery
from data.interface import Batch
from data.plan.steps import EvalSteps, Step, TrainSteps
from data.plan.views import EvalView, TrainView
from data.store.dataset import DataError
from data.store.machine import demand_open_files, machine_error
from data.store.split import Split

_SHARED_MEMORY = "/dev/shm"
_GRACE = 10  # s
_PREFETCH = 2  # steps each worker prepares ahead
_FILES = 10  # open in this process for each worker: pipes, and the batches on their way


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
        if workers:
            demand_open_files(_FILES * workers)
            _check_shared_memory(workers * (_PREFETCH + 1) * steps.share * 3 * view.image_size**2)
        self._loader = DataLoader(
            _Pixels(split, view),
            sampler=steps,
            batch_size=None,  # a step is one item: workers build whole batches
            num_workers=workers,
            prefetch_factor=_PREFETCH if workers else None,
            persistent_workers=workers > 0,
            worker_init_fn=_leave_signals_to_the_parent if workers else None,
            pin_memory=delivery.device.type == "cuda",
            generator=torch.Generator(),  # or it would draw from the stream of dropout
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
        try:
            for pixels, step in self._loader:
                if isinstance(pixels, str):
                    raise DataError(pixels)
                yield self._delivery(pixels, step)
        except RuntimeError as error:
            if "DataLoader worker" not in str(error):
                raise
            raise DataError(
                f"a loader worker was killed ({str(error).partition('. ')[0]}); if memory ran out, "
                f"lower data.workers; if {_SHARED_MEMORY} did, enlarge it (docker run --shm-size)"
            ) from error


def _check_shared_memory(needed: int) -> None:
    try:
        free = shutil.disk_usage(_SHARED_MEMORY).free
    except OSError:
        return  # not Linux
    if free < needed:
        raise DataError(
            f"{_SHARED_MEMORY} has {free / 2**20:.0f} MiB left, the loader's workers need "
            f"{needed / 2**20:.0f}; enlarge it (docker run --shm-size), lower data.workers, or set "
            f"data.backend=dali, which does without"
        )


def _leave_signals_to_the_parent(worker: int) -> None:
    # torchrun and Ctrl-C signal the whole process group; a worker that died first would make an
    # interrupted run look like a failed one. But SIGTERM is also how Python, on its way out, ends
    # workers that it then waits for: they obey late.
    for request in (signal.SIGINT, signal.SIGUSR1):
        signal.signal(request, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: signal.alarm(_GRACE))


class _Pixels(Dataset):
    """A map from a step to its pixels, (n, 3, H, W) uint8, or to what is wrong with one of them."""

    def __init__(self, split: Split, view: TrainView | EvalView):
        self.split, self.view = split, view

    def __getitem__(self, step: Step) -> tuple[Tensor | str, Step]:
        samples = step.samples
        views = self.view(step.epoch, samples, self.split.sizes[samples])
        rows = zip(views.windows, views.resized, views.starts, views.mirrored, strict=True)
        try:
            pixels = [
                self._square(self._decode(sample), *(value.tolist() for value in row))
                for sample, row in zip(samples.tolist(), rows, strict=True)
            ]
        except DataError as error:
            return str(error), step  # raised in the caller: DataLoader would add a traceback
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
            raise DataError(self.split.complaint(sample, f"cannot be decoded ({error})")) from None
        self.split.check_unchanged(sample, (image.height, image.width), len(content))
        return image
