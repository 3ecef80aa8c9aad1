"""The only place that chooses a backend."""

from dataclasses import dataclass

import numpy as np
import torch

from configs.schema import Data
from data.backends.delivery import Delivery
from data.backends.synthetic import SyntheticLoader
from data.backends.torchvision_loader import TorchvisionLoader
from data.index import load_index
from data.interface import Loader
from data.plan.steps import EvalSteps, TrainSteps
from data.plan.views import EvalView, TrainView
from data.store.dataset import DataError
from data.store.headers import MAX_PIXELS, resized_pixels
from data.store.split import Split


@dataclass(frozen=True)
class Loaders:
    """Both splits for one process, and the data set's fingerprint."""

    train: Loader
    val: Loader
    fingerprint: str


def build_loaders(
    data: Data,
    num_classes: int,
    seed: int,
    place: tuple[int, int],
    device: torch.device,
    channels_last: bool,
) -> Loaders:
    """Return the loaders of one process.

    Args:
        data: the configuration's section.
        num_classes: of the model; the data set must have as many.
        seed: of order, crops and flips.
        place: this process's rank and the number of processes.
        device: where the batches go.
        channels_last: memory layout of the images.

    Raises:
        DataError: the data set is missing or unusable, has another number of classes, or the
            processes do not divide the batch.
    """
    rank, world = place
    if data.global_batch_size % world:
        raise DataError(
            f"data.global_batch_size {data.global_batch_size} cannot be divided by {world} "
            f"processes; choose a multiple of {world}"
        )
    batch = data.global_batch_size

    def steps(train_images: int, val_images: int) -> tuple[TrainSteps, EvalSteps]:
        return (
            TrainSteps(train_images, batch, rank, world, seed),
            EvalSteps(val_images, batch // world, rank, world),
        )

    if data.backend == "synthetic":
        train, val = (
            SyntheticLoader(part, data.image_size, num_classes, device, channels_last)
            for part in steps(*data.synthetic_size)
        )
        return Loaders(train, val, f"synthetic {data.synthetic_size[0]} {data.synthetic_size[1]}")

    index = load_index(data.root, data.exclude)
    if len(index.classes) != num_classes:
        raise DataError(
            f"{data.root}: has {len(index.classes)} classes, the model {num_classes}; "
            f"set model.num_classes={len(index.classes)}"
        )
    train_view = TrainView(seed, data.image_size, data.crop_area, data.crop_aspect, data.flip)
    val_view = EvalView(data.eval_resize, data.image_size)
    _check_resized(index.val, data.eval_resize)
    train_steps, val_steps = steps(len(index.train), len(index.val))
    train, val = (
        _loader(data, split, part, view, Delivery(split, device, channels_last))
        for split, part, view in (
            (index.train, train_steps, train_view),
            (index.val, val_steps, val_view),
        )
    )
    return Loaders(train, val, index.fingerprint)


def _check_resized(split: Split, shorter: int) -> None:
    """Refuse images so narrow that resizing their shorter side takes all memory."""
    height, width = split.sizes.astype(np.int64).T
    for sample in np.flatnonzero(resized_pixels(height, width, shorter) > MAX_PIXELS)[:1].tolist():
        raise DataError(
            f"{split.name(sample)}: is too narrow: more than 100 megapixels when its shorter side "
            f"is resized to data.eval_resize={shorter}; leave it out (data.exclude), or lower "
            f"data.eval_resize"
        )


def _loader(
    data: Data,
    split: Split,
    steps: TrainSteps | EvalSteps,
    view: TrainView | EvalView,
    delivery: Delivery,
) -> Loader:
    on_gpu = data.decode == "gpu"
    if on_gpu and (data.backend != "dali" or delivery.device.type != "cuda"):
        raise DataError("data.decode=gpu needs data.backend=dali and a GPU; set data.decode=cpu")
    if data.backend == "torchvision":
        return TorchvisionLoader(split, steps, view, data.workers, delivery)
    try:
        from data.backends.dali_loader import DaliLoader  # late: not every machine has DALI
    except ImportError as error:
        raise DataError(
            f"data.backend=dali: DALI cannot be imported ({error}); pip install "
            f"nvidia-dali-cuda130 (driver 580 or newer, else nvidia-dali-cuda120), or set "
            f"data.backend=torchvision"
        ) from None
    decode_on = delivery.device if on_gpu else torch.device("cpu")
    return DaliLoader(split, steps, view, data.workers, delivery, decode_on)
