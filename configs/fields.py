"""What the sections of every task are made of, and the sections that all tasks share.

No field has a default: what a run does is written in its YAML files, where it can be read and
cited. The one exception is `run.name`, which is derived from the other settings.
"""

from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

Padding = Literal["zero", "partial", "reflect", "replicate"]

Count = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]  # of weights, order, crops, flips and dropout


def _increasing(values: tuple[float, ...]) -> tuple[float, ...]:
    if any(a > b for a, b in zip(values, values[1:], strict=False)):
        raise ValueError("must not decrease")
    return values


Increasing = AfterValidator(_increasing)


class Section(BaseModel):
    """A part of the configuration: immutable, strictly typed, without unknown keys."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def _no_number(value: object) -> object:
    """Return `value` as one that equals no truth value, where Python's 1 equals True."""
    return value if isinstance(value, bool | str) else f"{value}"


class Sgd(Section):
    """SGD without Nesterov; weight decay acts on every parameter."""

    lr: Positive  # at the beginning
    momentum: Fraction
    weight_decay: NotNegative


class Training(Section):
    """With which arithmetic, and what is kept."""

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
    bn_batch_size: Count  # images that each BN layer averages over: a process's, or with SyncBN all


class Run(Section):
    """Where the results go: the run directory is root/name."""

    root: str
    name: (
        Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._=+-]*$")] | None
    )  # null: <arch>_<padding>_seed<seed>, with the split before the seed where there are several
