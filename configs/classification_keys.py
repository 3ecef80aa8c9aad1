"""The sections of an image classification run (Section 4.1): their types, units and meanings."""

from typing import Annotated, Literal

from pydantic import Field

from configs.fields import (
    Count,
    Fraction,
    Increasing,
    Padding,
    Positive,
    Recipe,
    Run,
    Section,
    Seed,
    Sgd,
    Training,
)

Arch = Literal["vgg16_bn", "vgg19_bn", "resnet18", "resnet50", "resnet101", "resnet152", "wrn38"]


class Model(Section):
    """The network; `padding` is the scientific variable of the study."""

    arch: Arch  # models/build.py; torchvision's constructor of that name, but for wrn38
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
    crop_area: Annotated[tuple[Fraction, Fraction], Increasing]  # of the image
    crop_aspect: Annotated[tuple[Positive, Positive], Increasing]  # width/height
    flip: Fraction  # probability of a horizontal flip
    global_batch_size: Count  # images a step, over all processes
    workers: Annotated[int, Field(ge=0)]  # threads (dali) or processes (torchvision; 0: none) that
    # load for each training process
    synthetic_size: tuple[Count, Count]  # images in train and val of the synthetic backend


class Optim(Sgd):
    """SGD whose rate falls by a factor at milestones."""

    milestones: Annotated[
        tuple[Annotated[int, Field(ge=0)], ...], Increasing
    ]  # epochs, counted from 0, at which lr is multiplied by gamma
    gamma: Positive


class Train(Training):
    """How long, and how."""

    epochs: Count


class ClassificationConfig(Section):
    """One run."""

    model: Model
    data: Data
    optim: Optim
    train: Train
    recipe: Recipe
    task: Literal["classification"]
    seed: Seed
    run: Run

    @property
    def length(self) -> int:
        """How long the run is, in epochs."""
        return self.train.epochs
