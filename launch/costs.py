"""What runs cost: GPU-seconds and disk, from measured epochs or a stated figure; needs no torch."""

from collections.abc import Iterable
from statistics import median
from typing import Any, NamedTuple

from configs.schema import Config
from records.summary import LAST_EPOCHS


class Network(NamedTuple):
    """A network's size, as torchvision publishes it (tests hold it against the network)."""

    parameters: int  # with 1000 classes
    features: int  # that the last layer sees
    multiply_adds: float  # 1e9, forward, one image of 224 px


NETWORKS = {
    "vgg16_bn": Network(138_365_992, 4096, 15.47),
    "vgg19_bn": Network(143_678_248, 4096, 19.632),
    "resnet18": Network(11_689_512, 512, 1.814),
    "resnet50": Network(25_557_032, 2048, 4.089),
    "resnet101": Network(44_549_160, 2048, 7.801),
    "resnet152": Network(60_192_808, 2048, 11.514),
}
STATED = 357.0  # images/s of one GPU that trains ResNet-50 at 224 px
_STATED_BY = (
    f"a published figure, as no epoch is measured yet: {STATED:g} images/s a GPU for ResNet-50 at "
    f"224 px (NVIDIA's DeepLearningExamples, V100, fp32: 2,858 on eight), other networks by their "
    f"multiply-adds; say --images-per-second for your GPUs"
)
_IMAGENET = (1_281_167, 50_000)  # training and validation images


class Estimate(NamedTuple):
    """What an epoch takes, evaluation included.

    Attributes:
        gpu_seconds: seconds times GPUs (or processes, on a CPU).
        source: where the figure comes from.
    """

    gpu_seconds: float
    source: str


class Measured:
    """What epochs took: the settings of their runs, and the GPU-seconds of each run's epochs."""

    def __init__(self, runs: Iterable[tuple[Config, list[float]]]):
        """Collect the runs, each with its epochs' GPU-seconds."""
        self._of: dict[tuple[Any, ...], list[float]] = {}
        for config, epochs in runs:
            if epochs:
                self._of.setdefault(_workload(config), []).append(median(epochs))

    def estimate(self, config: Config, own: list[float], stated: float | None) -> Estimate | None:
        """Return what an epoch of a run takes; None: nothing is known of its images.

        Args:
            config: of the run.
            own: the GPU-seconds of its epochs so far.
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
        work *= (config.data.image_size / 224) ** 2
        train, val = images
        seconds = (train + val / 3) * work / (stated or STATED)  # a forward pass is a third
        return Estimate(seconds, f"--images-per-second {stated:g}" if stated else _STATED_BY)


def _workload(config: Config) -> tuple[Any, ...]:
    """Return the settings that an epoch's cost depends on most; padding's share is per cents."""
    data, train = config.data, config.train
    size = (data.backend, data.root, data.image_size, data.global_batch_size, data.synthetic_size)
    return (config.model.arch, *size, train.precision, train.compile, train.accumulate)


def _images(config: Config) -> tuple[int, int] | None:
    """Return the numbers of training and validation images, where they are known unseen."""
    if config.data.backend == "synthetic":
        train, val = config.data.synthetic_size
        return train, val
    return _IMAGENET if config.model.num_classes == 1000 else None


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
    absent = 1000 - config.model.num_classes
    weights = 4 * (network.parameters - absent * (network.features + 1))
    best, epochs, state = weights, LAST_EPOCHS * weights, 2 * weights
    # last.pt, previous.pt and the one that is being written; an epoch too many, too.
    working = 3 * state + epochs + weights + best
    return Disk(working, epochs + best + (state if config.train.keep == "all" else weights))
