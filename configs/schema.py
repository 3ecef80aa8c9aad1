"""Every setting of a run: its type, its unit and what it means.

No field has a default: what a run does is written in its YAML files, where it can be read and
cited. The one exception is `run.name`, which is derived from the other settings.
"""

from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

Task = Literal["classification"]
Arch = Literal["vgg16_bn", "vgg19_bn", "resnet18", "resnet50", "resnet101", "resnet152"]
Padding = Literal["zero", "partial", "reflect", "replicate"]

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]


def _increasing(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(a > b for a, b in zip(values, values[1:], strict=False)):
        raise ValueError("must not decrease")
    return values


class Section(BaseModel):
    """A part of the configuration: immutable, strictly typed, without unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Model(Section):
    """The network; `padding` is the scientific variable of the study."""

    arch: Arch  # torchvision's constructor of that name
    padding: Padding  # what every convolution with padding > 0 does at the border
    num_classes: Count  # outputs of the last layer; must equal the data set's classes
    weights: str | None  # file of weights that training starts from; null: fresh ones from the seed


class Data(Section):
    """Where the images are and how they become batches (Section 4.1)."""

    root: str  # folder that holds train/<class>/ and val/<class>/, or shards (data.shard)
    exclude: str | None  # list of images to leave out, as data.check writes it
    backend: Literal["dali", "torchvision", "synthetic"]  # synthetic: noise, to time the rest
    decode: Literal["cpu", "gpu"]  # where DALI decodes
    image_size: Count  # px, side of the square the network sees
    eval_resize: Count  # px, the shorter side before the centre crop
    crop_area: Annotated[tuple[Fraction, Fraction], AfterValidator(_increasing)]  # of the image
    crop_aspect: Annotated[tuple[Positive, Positive], AfterValidator(_increasing)]  # width/height
    flip: Fraction  # probability of a horizontal flip
    global_batch_size: Count  # images a step, over all processes
    workers: Annotated[int, Field(ge=0)]  # threads (dali) or processes (torchvision; 0: none) that
    # load for each training process
    synthetic_size: tuple[Count, Count]  # images in train and val of the synthetic backend


def _no_number(value: object) -> object:
    """Return `value` as one that equals no truth value, where Python's 1 equals True."""
    return value if isinstance(value, bool | str) else f"{value}"


class Optim(Section):
    """SGD without Nesterov; weight decay acts on every parameter."""

    lr: Positive  # before the first milestone
    milestones: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(_increasing)
    ]  # epochs, counted from 0, at which lr is multiplied by gamma
    gamma: Positive
    momentum: Fraction
    weight_decay: NotNegative


class Train(Section):
    """How long, and with which arithmetic."""

    epochs: Count
    precision: Literal["fp32", "tf32", "bf16", "fp16"]  # bf16, fp16: autocast
    compile: Literal["off", "default", "max-autotune"]  # torch.compile's mode
    channels_last: Annotated[
        Literal[True, False, "auto"], BeforeValidator(_no_number)
    ]  # memory layout of images and weights; auto: on CPUs
    deterministic: bool  # only deterministic kernels: bit-equal reruns on a GPU, slower
    accumulate: Count  # passes that a process divides its part of a step over, to save memory
    checkpoint_steps: Annotated[int, Field(ge=0)]  # steps between two checkpoints within an epoch;
    # 0: after every epoch only
    keep: Literal["all", "best"]  # of a finished run: all, or best.pt and the last epochs' weights
    timeout: Positive  # s without a step after which a hanging run is ended


class Recipe(Section):
    """What `optim.lr` and the BN statistics belong to; a launch that departs is warned."""

    global_batch_size: Count  # images a step that `optim.lr` was chosen for
    bn_batch_size: Count  # images a process that each BN layer averages over


class Run(Section):
    """Where the results go: the run directory is root/name."""

    root: str
    name: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=+-]*$")] | None
    )  # null: <arch>_<padding>_seed<seed>


class Config(Section):
    """One run."""

    model: Model
    data: Data
    optim: Optim
    train: Train
    recipe: Recipe
    task: Task  # what is learned (tasks/)
    seed: Annotated[int, Field(ge=0, lt=2**32)]  # of weights, order, crops, flips and dropout
    run: Run


# Settings that may differ between two sessions of one run: they move no number of it. model.weights
# is not among them, though a session that resumes never opens the file: a command names the run's
# own recipe, or it is refused. The file may be gone; its path stays the one that config.yaml has.
OPERATIONAL_KEYS = frozenset(
    {"data.root", "data.exclude", "data.workers", "run.root", "run.name"}
    | {"train.checkpoint_steps", "train.keep", "train.timeout"}
    | {"recipe.global_batch_size", "recipe.bn_batch_size"}
)

# Settings that an evaluation may override: how fast and where, not what is evaluated.
EVALUATION_KEYS = frozenset(
    {"data.root", "data.exclude", "data.workers", "data.backend", "data.decode"}
    | {"data.global_batch_size", "train.precision", "train.channels_last"}
)

# What a key that is younger than the first run directories meant before it was written down: by the
# age of the key. Only recorded runs are read with it; people write every key.
MEANING_BEFORE: dict[str, Any] = {
    "data.exclude": None,
    "data.decode": "cpu",
    "task": "classification",
    "train.accumulate": 1,
    "train.keep": "all",
    "train.timeout": 1800.0,
    "model.weights": None,
}
