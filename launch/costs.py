"""What runs cost: GPU-seconds and disk, from measured epochs or a stated figure; needs no torch."""

from collections.abc import Iterable
from statistics import median
from typing import Any, NamedTuple

from configs.schema import Config
from records.summary import LAST_EPOCHS


class Network(NamedTuple):
    """A network's size, as torchvision publishes it (tests hold it against the network)."""

    parameters: int  # with so many classes
    features: int  # that the last layer sees
    multiply_adds: float  # 1e9, forward, one image of 224 px
    classes: int = 1000


NETWORKS = {
    "vgg16_bn": Network(138_365_992, 4096, 15.47),
    "vgg19_bn": Network(143_678_248, 4096, 19.632),
    "resnet18": Network(11_689_512, 512, 1.814),
    "resnet50": Network(25_557_032, 2048, 4.089),
    "resnet101": Network(44_549_160, 2048, 7.801),
    "resnet152": Network(60_192_808, 2048, 11.514),
    "wrn38": Network(109_167_912, 4096, 49.519),
    "deeplabv3plus_resnet50": Network(40_351_040, 256, 34.944, 19),
    "deeplabv3plus_wrn38": Network(137_103_936, 256, 139.363, 19),
    "deeplabv3plus_wrn16_tiny": Network(1_987_752, 64, 2.581, 19),
}
STATED = 357.0  # images/s of one GPU that trains ResNet-50 at 224 px
_STATED_BY = (
    f"a published figure, as no epoch is measured yet: {STATED:g} images/s a GPU for ResNet-50 at "
    f"224 px (NVIDIA's DeepLearningExamples, V100, fp32: 2,858 on eight), other networks by their "
    f"multiply-adds; say --images-per-second for your GPUs"
)
_IMAGENET = (1_281_167, 50_000)  # training and validation images
# The same of Cityscapes' splits; an image has 1024 x 2048 pixels, its tiles a side of 1024.
_CITYSCAPES = {"cv0": (2_975, 500), "cv1": (3_060, 415), "cv2": (2_820, 655)}
_TILE = 1024


class Estimate(NamedTuple):
    """What a unit of a run's length takes, an epoch or an iteration, evaluation included.

    Attributes:
        gpu_seconds: seconds times GPUs (or processes, on a CPU).
        source: where the figure comes from.
    """

    gpu_seconds: float
    source: str


class Measured:
    """What epochs took: the settings of their runs, and the GPU-seconds of a unit of each epoch."""

    def __init__(self, runs: Iterable[tuple[Config, list[float]]]):
        """Collect the runs, each with its GPU-seconds a unit."""
        self._of: dict[tuple[Any, ...], list[float]] = {}
        for config, units in runs:
            if units:
                self._of.setdefault(_workload(config), []).append(median(units))

    def estimate(self, config: Config, own: list[float], stated: float | None) -> Estimate | None:
        """Return what a unit of a run takes; None: nothing is known of its images.

        Args:
            config: of the run.
            own: the GPU-seconds a unit of its epochs so far.
            stated: images/s of a GPU for ResNet-50 at 224 px, by the user.
        """
        if own:
            return Estimate(median(own[-5:]), "the run's own epochs")
        workload = _workload(config)
        if workload in self._of:
            return Estimate(median(self._of[workload]), "measured epochs of the same network")
        arch, *rest = workload
        for (other, *others), seconds in self._of.items():
            if others == rest and {arch, other} <= NETWORKS.keys():
                share = NETWORKS[arch].multiply_adds / NETWORKS[other].multiply_adds
                source = f"measured epochs of {other}, by the networks' multiply-adds"
                return Estimate(median(seconds) * share, source)
        if (images := _images(config)) is None or arch not in NETWORKS:
            return None
        work = NETWORKS[arch].multiply_adds / NETWORKS["resnet50"].multiply_adds
        seconds = images * work / (stated or STATED)
        return Estimate(seconds, f"--images-per-second {stated:g}" if stated else _STATED_BY)


def _workload(config: Config) -> tuple[Any, ...]:
    """Return the settings that an epoch's cost depends on most; padding's share is per cents."""
    data, train = config.data, config.train
    size = (data.root, data.global_batch_size)
    if config.task == "classification":
        size += (data.image_size, data.backend, data.synthetic_size)
    else:
        size += (data.crop_size, data.split)
    return (config.model.arch, *size, train.precision, train.compile, train.accumulate)


def _images(config: Config) -> float | None:
    """Return how many images of 224 px a unit trains on; None where that is not known unseen.

    An evaluated one counts a third: it is a forward pass alone.
    """
    data = config.data
    if config.task == "segmentation":
        if config.eval.tile != _TILE:  # other images than Cityscapes'
            return None
        train, val = _CITYSCAPES[data.split]
        evaluated = val * data.global_batch_size / train  # an iteration's share
        pixels = data.global_batch_size * data.crop_size**2 + evaluated / 3 * 2 * _TILE**2
        return pixels / 224**2
    sizes = _IMAGENET if config.model.num_classes == 1000 else None
    if data.backend == "synthetic":
        sizes = data.synthetic_size
    if sizes is None:
        return None
    train, val = sizes
    return (train + val / 3) * (data.image_size / 224) ** 2


class Disk(NamedTuple):
    """Bytes that a run's checkpoints take."""

    working: int  # at most, while it trains
    kept: int  # once finished, by train.keep


def disk(config: Config) -> Disk | None:
    """Return what a run's checkpoints take; None for a network that is not in NETWORKS.

    last.pt holds weights and momentum, all others weights alone; buffers are too small to count.
    """
    network = NETWORKS.get(config.model.arch)
    if network is None:
        return None
    absent = network.classes - config.model.num_classes
    weights = 4 * (network.parameters - absent * (network.features + 1))
    best, epochs, state = weights, LAST_EPOCHS * weights, 2 * weights
    # last.pt, previous.pt and the one that is being written; an epoch too many, too.
    working = 3 * state + epochs + weights + best
    return Disk(working, epochs + best + (state if config.train.keep == "all" else weights))
