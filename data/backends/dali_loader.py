"""Images decoded, cropped and resized by NVIDIA DALI, on the processor's cores or on the GPU.

DALI reads nothing and chooses nothing by itself: images, windows and flips come from the plan, as
in every backend, and the bytes from the split. So the order is exact for any number of processes,
an iteration can begin at any batch, and a bad file is known by its name.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

from data.backends.dali_pipeline import Form, Inputs, Pipeline, squares
from data.backends.decodable import why_undecodable
from data.backends.delivery import Delivery
from data.backends.prefetch import prefetched
from data.interface import Batch
from data.plan.steps import EvalSteps, Step, TrainSteps
from data.plan.views import EvalView, TrainView
from data.store.dataset import DataError
from data.store.machine import demand_open_files
from data.store.split import Split
from foundation.errors import UserError

_READERS = 8  # files that are read at a time: it is a network's delay that they wait for
_READY = 2  # finished steps that wait for the training


class DaliLoader:
    """The Loader of an image folder or of shards (data/interface.py).

    Raises:
        DataError: too few files may be open.
    """

    def __init__(
        self,
        split: Split,
        steps: TrainSteps | EvalSteps,
        view: TrainView | EvalView,
        threads: int,
        delivery: Delivery,
        decode_on: torch.device,
    ):
        demand_open_files(2 * _READERS)
        self.images = len(split)
        self._split, self._steps, self._view = split, steps, view
        self._threads = max(1, threads)
        self._delivery, self._decode_on = delivery, decode_on
        self._stream: torch.cuda.Stream | None = None  # one: the allocator keeps blocks for each
        # Between processor and GPU bytes travel, otherwise DALI does all there is to do.
        normalized = decode_on.type == delivery.device.type
        layout = "HWC" if delivery.channels_last or not normalized else "CHW"
        self._form = Form(view.image_size, layout, normalized)

    def __len__(self) -> int:
        return len(self._steps)

    def name(self, sample: int) -> str:
        """Return which image is at a place in the split."""
        return self._split.name(sample)

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose order, crops and flips of the next iteration, and the batch it starts with."""
        self._steps.epoch, self._steps.start = epoch, start

    def __iter__(self) -> Iterator[Batch]:
        for images, step in prefetched(self._steps_done(), _READY):
            yield self._delivery(images, step)

    def _steps_done(self) -> Iterator[tuple[Tensor, Step]]:
        begun: deque[tuple[Step, Inputs]] = deque()
        with ThreadPoolExecutor(_READERS, "reader") as readers:
            inputs = self._inputs(begun, readers)
            pipeline = squares(
                inputs, self._steps.share, self._threads, self._decode_on, self._form
            )
            for _ in range(len(self._steps)):
                yield self._take(pipeline, begun)

    def _inputs(
        self, begun: deque[tuple[Step, Inputs]], readers: ThreadPoolExecutor
    ) -> Iterator[Inputs]:
        """Yield what DALI asks for, some steps ahead, and note what it was given."""
        for step in self._steps:
            parts = readers.map(self._read, np.array_split(step.samples, _READERS))
            files = [np.frombuffer(file, np.uint8) for part in parts for file in part]
            inputs = (files, *self._numbers(step))
            begun.append((step, inputs))
            yield inputs

    def _numbers(self, step: Step) -> tuple[np.ndarray, ...]:
        """Return where each image's window and square lie, in DALI's terms (squares' `inputs`)."""
        views = self._view(step.epoch, step.samples, self._split.sizes[step.samples])
        start, size = views.windows[:, :2].astype(np.int32), views.windows[:, 2:].astype(np.int32)
        rows, columns = _place(views.starts, views.resized - self._form.size)
        resized, mirrored = views.resized.astype(np.float32), views.mirrored.astype(np.int32)
        return start, size, resized, rows, columns, mirrored

    def _read(self, samples: np.ndarray) -> list[bytes]:
        return [self._split.read(sample) for sample in samples.tolist()]

    def _take(self, pipeline: Pipeline, begun: deque[tuple[Step, Inputs]]) -> tuple[Tensor, Step]:
        try:
            squares_, shapes = pipeline.run()
        except UserError:  # about a file that could not be read
            raise
        except Exception as error:  # DALI has a class for each kind
            raise self._explained(begun, error) from None
        step, (files, *_) = begun.popleft()
        sizes = np.array(shapes.as_array())[:, :2].tolist()
        for sample, size, file in zip(step.samples.tolist(), sizes, files, strict=True):
            self._split.check_unchanged(sample, tuple(size), len(file))
        images = self._out_of_dali(torch.from_dlpack(squares_.as_tensor()))
        return (images.permute(0, 3, 1, 2) if self._form.layout == "HWC" else images), step

    def _out_of_dali(self, images: Tensor) -> Tensor:
        """Return the images in memory that stays theirs until the training is done with them."""
        if images.is_cuda:  # DALI's streams know nothing of the training's
            self._stream = self._stream or torch.cuda.Stream(images.device)
            with torch.cuda.stream(self._stream):
                copy = images.clone()
            self._stream.synchronize()
            copy.record_stream(torch.cuda.default_stream(images.device))
            return copy
        # On the CPU a result is not used again before it is let go.
        return images.pin_memory() if self._delivery.device.type == "cuda" else images

    def _explained(self, begun: deque[tuple[Step, Inputs]], error: Exception) -> Exception:
        """Return the error that names the image; DALI speaks of a whole batch."""
        begun_samples = [
            (sample, inputs, place)
            for step, inputs in begun
            for place, sample in enumerate(step.samples.tolist())
        ]
        for sample, inputs, place in begun_samples:
            size = self._split.sizes[sample].tolist()
            if reason := why_undecodable(inputs[0][place].tobytes(), size):
                return DataError(self._split.complaint(sample, reason))
        for sample, inputs, place in begun_samples:
            if reason := self._why_no_square(inputs, place):
                return DataError(self._split.complaint(sample, reason))
        return RuntimeError(f"DALI failed in steps whose images it can all decode alone: {error}")

    def _why_no_square(self, inputs: Inputs, place: int) -> str | None:
        """Return why DALI cannot do with one image alone what it was to do, None if it can."""
        alone = tuple(each[place : place + 1] for each in inputs)
        try:
            squares(iter([alone]), 1, 1, self._decode_on, self._form).run()
        except Exception as error:
            return f"cannot be cropped by DALI ({' '.join(str(error).split())})"
        return None


def _place(starts: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the square lies in what remains of rows and of columns, 0 to 1."""
    rows, columns = (starts / np.maximum(rest, 1)).astype(np.float32).T.copy()
    return rows, columns
