"""The only place that chooses a backend."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from configs.classification_keys import Data
from configs.segmentation_keys import Scenes
from data.backends.delivery import Delivery, Normalized
from data.backends.scenes_loader import ScenesLoader
from data.backends.synthetic import SyntheticLoader
from data.backends.torchvision_loader import TorchvisionLoader
from data.index import load_index
from data.interface import Loader
from data.plan.scenes import SceneSteps, SceneView, class_share
from data.plan.steps import EvalSteps, TrainSteps
from data.plan.views import EvalView, TrainView
from data.store.dataset import DataError
from data.store.headers import MAX_PIXELS, resized_pixels
from data.store.labels import NAMES
from data.store.scene_index import SceneIndex, load_scene_index
from data.store.split import Split


@dataclass(frozen=True)
class Loaders:
    """Both splits for one process, the data set's fingerprint, and its classes' names."""

    train: Loader
    val: Loader
    fingerprint: str
    classes: tuple[str, ...]  # in the order of the labels


@dataclass(frozen=True)
class Validation:
    """The same of an evaluation, which needs no training images."""

    val: Loader
    fingerprint: str
    classes: tuple[str, ...]


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
    batch = data.global_batch_size
    _check_divisible(batch, world)
    if data.backend == "synthetic":
        train_images, val_images = data.synthetic_size
        train = TrainSteps(train_images, batch, rank, world, seed)
        val = EvalSteps(val_images, batch // world, rank, world)
        noise = partial(SyntheticLoader, image_size=data.image_size, num_classes=num_classes)
        noise = partial(noise, device=device, channels_last=channels_last)
        names = tuple(map(str, range(num_classes)))
        return Loaders(noise(train), noise(val), f"synthetic {train_images} {val_images}", names)

    index = load_index(data.root, data.exclude)
    if len(index.classes) != num_classes:
        raise DataError(
            f"{data.root}: has {len(index.classes)} classes, the model {num_classes}; "
            f"set model.num_classes={len(index.classes)}"
        )
    _check_resized(index.val, data.eval_resize)
    train = _loader(
        data,
        index.train,
        TrainSteps(len(index.train), batch, rank, world, seed),
        TrainView(seed, data.image_size, data.crop_area, data.crop_aspect, data.flip),
        Delivery(index.train, device, channels_last),
    )
    val = _loader(
        data,
        index.val,
        EvalSteps(len(index.val), batch // world, rank, world),
        EvalView(data.eval_resize, data.image_size),
        Delivery(index.val, device, channels_last),
    )
    return Loaders(train, val, index.fingerprint, index.classes)


def build_scene_loaders(
    data: Scenes,
    seed: int,
    place: tuple[int, int],
    device: torch.device,
    channels_last: bool,
) -> Loaders:
    """Return the loaders of one process for Cityscapes.

    Args:
        data: the configuration's section.
        seed: of the epochs' lists and crops.
        place, device, channels_last: as build_loaders.

    Raises:
        DataError: the data set is missing or unusable, a class has no centroid, the batch is larger
            than an epoch, or the processes do not divide it.
    """
    batch = data.global_batch_size
    _check_divisible(batch, place[1])
    index = _scene_index(data)
    if index.fine < batch:
        raise DataError(
            f"data.global_batch_size {batch} is more than the {index.fine} training images of "
            f"{data.split}, which leaves no step in an epoch; lower it"
        )
    if class_share(index.fine, data.uniform_share, len(NAMES)):
        index.check_centroids(data.uniform_tile)
    view = SceneView(seed, data.crop_size, data.scale, data.flip, data.jitter, data.blur)
    scenes = index.fine, data.uniform_share, index.centroids
    steps = SceneSteps(view, index.train.sizes, scenes, batch, place)
    train = ScenesLoader(index.train, steps, data.workers, Normalized(device, channels_last))
    val = _scene_val(index, data.workers, place, Normalized(device, channels_last))
    return Loaders(train, val, index.fingerprint, NAMES)


def build_scene_validation(
    data: Scenes, place: tuple[int, int], device: torch.device, channels_last: bool
) -> Validation:
    """Return the validation images of one process, of any number; arguments and errors as above.

    Where the coarse part is missing or damaged, of which nothing is validated on, the fingerprint
    is of the validation images alone.
    """
    try:
        index = _scene_index(data)
        known = index.fingerprint
    except DataError:
        if not data.coarse_classes:
            raise
        index = load_scene_index(data.root, data.split, data.uniform_tile)
        known = index.val_fingerprint
    val = _scene_val(index, data.workers, place, Normalized(device, channels_last))
    return Validation(val, known, NAMES)


def _scene_index(data: Scenes) -> SceneIndex:
    return load_scene_index(data.root, data.split, data.uniform_tile, data.coarse_classes)


def _scene_val(
    index: SceneIndex, workers: int, place: tuple[int, int], normalized: Normalized
) -> ScenesLoader:
    return ScenesLoader(index.val, EvalSteps(len(index.val), 1, *place), workers, normalized)


def _check_divisible(batch: int, world: int) -> None:
    if batch % world:
        raise DataError(
            f"data.global_batch_size {batch} cannot be divided by {world} processes; choose a "
            f"multiple of {world}"
        )


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
