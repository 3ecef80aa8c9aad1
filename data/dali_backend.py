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

from data.dali_pipeline import Form, Inputs, Pipeline, squares
from data.decodable import why_undecodable
from data.delivery import Delivery
from data.interface import Batch, DataError
from data.prefetch import prefetched
from data.split import Split
from data.steps import EvalSteps, Step, TrainSteps
from data.views import EvalView, TrainView

_READERS = 8  # files that are read at a time: it is a network's delay that they wait for
_READY = 2  # finished steps that wait for the training


class DaliLoader:
    """The Loader of an image folder or of shards (data/interface.py)."""

    def __init__(
        self,
        split: Split,
        steps: TrainSteps | EvalSteps,
        view: TrainView | EvalView,
        threads: int,
        delivery: Delivery,
        decode_on: torch.device,
    ):
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

    def set_epoch(self, epoch: int, start: int = 0) -> None:
        """Choose order, crops and flips of the next iteration, and the batch it starts with."""
        self._steps.epoch, self._steps.start = epoch, start

    def __iter__(self) -> Iterator[Batch]:
        for images, step in prefetched(self._steps_done(), _READY):
            yield self._delivery(images, step)

    def _steps_done(self) -> Iterator[tuple[Tensor, Step]]:
        begun: deque[Step] = deque()
        with ThreadPoolExecutor(_READERS, "reader") as readers:
            inputs = self._inputs(begun, readers)
            pipeline = squares(
                inputs, self._steps.share, self._threads, self._decode_on, self._form
            )
            for _ in range(len(self._steps)):
                yield self._take(pipeline, begun)

    def _inputs(self, begun: deque[Step], readers: ThreadPoolExecutor) -> Iterator[Inputs]:
        """Yield what DALI asks for, some steps ahead, and note which."""
        for step in self._steps:
            samples = step.samples
            views = self._view(step.epoch, samples, self._split.sizes[samples])
            parts = readers.map(self._read, np.array_split(samples, _READERS))
            files = [np.frombuffer(file, np.uint8) for part in parts for file in part]
            begun.append(step)
            yield (
                files,
                views.windows[:, :2].astype(np.int32),
                views.windows[:, 2:].astype(np.int32),
                views.resized.astype(np.float32),
                *(_place(views.starts, views.resized - self._form.size)),
                views.mirrored.astype(np.int32),
            )

    def _read(self, samples: np.ndarray) -> list[bytes]:
        return [self._split.read(sample) for sample in samples.tolist()]

    def _take(self, pipeline: Pipeline, begun: deque[Step]) -> tuple[Tensor, Step]:
        try:
            squares_, shapes = pipeline.run()
        except RuntimeError as error:
            raise self._explained(begun, error) from None
        step = begun.popleft()
        for sample, shape in zip(step.samples.tolist(), np.array(shapes.as_array()), strict=True):
            self._split.check_size(sample, int(shape[0]), int(shape[1]))
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

    def _explained(self, begun: deque[Step], error: RuntimeError) -> Exception:
        """Return the error that names the image; DALI speaks of a whole batch."""
        for sample in (sample for step in begun for sample in step.samples.tolist()):
            size = self._split.sizes[sample].tolist()
            if reason := why_undecodable(self._split.read(sample), size):
                return DataError(self._split.complaint(sample, reason))
        return RuntimeError(f"DALI failed in steps whose images can all be decoded: {error}")


def _place(starts: np.ndarray, rest: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the square lies in what remains of rows and of columns, 0 to 1."""
    rows, columns = (starts / np.maximum(rest, 1)).astype(np.float32).T.copy()
    return rows, columns
