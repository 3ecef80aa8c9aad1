"""The sections of a semantic segmentation run (Section 4.2): their types, units and meanings."""

from typing import Annotated, Literal

from pydantic import Field

from configs.fields import (
    Count,
    Fraction,
    Increasing,
    NotNegative,
    Padding,
    Positive,
    Recipe,
    Run,
    Section,
    Seed,
    Sgd,
    Training,
)

SceneArch = Literal[
    "deeplabv3plus_resnet50", "deeplabv3plus_wrn38", "deeplabv3plus_wrn16_tiny"
]  # models/deeplab.py
Split = Literal["cv0", "cv1", "cv2"]
TrainId = Annotated[int, Field(ge=0, le=18)]


class SceneModel(Section):
    """The network; `padding` is the scientific variable of the study."""

    arch: SceneArch
    padding: Padding  # what every convolution with padding > 0 does at the border
    num_classes: Literal[19]  # Cityscapes' classes that count
    backbone_weights: str | None  # file of a classifier's weights for the trunk; null: fresh ones
    aspp_rates: tuple[Count, ...]  # dilations of the ASPP's 3x3, px of the feature map
    first_block_dilation: Literal["full", "contract"]  # where a stride became a dilation, the first
    # 3x3: full, dilated as those after it; contract, as those before
    image_pool: bool  # whether the ASPP sees the mean of the whole map, too


class Scenes(Section):
    """Where Cityscapes is, and how it becomes batches."""

    root: str  # folder that holds leftImg8bit/, gtFine/ and gtCoarse/
    split: Split  # cv0: Cityscapes' own; cv1, cv2: other three cities for validation
    crop_size: Count  # px, side of the square that the network trains on
    scale: Annotated[tuple[Positive, Positive], Increasing]  # of an image, uniform
    flip: Fraction  # probability of a horizontal flip
    jitter: Annotated[float, Field(ge=0, le=0.5)]  # of brightness, contrast, saturation and hue
    blur: Annotated[tuple[NotNegative, NotNegative], Increasing]  # px, sigma, uniform
    uniform_share: Fraction  # of an epoch's crops: around centroids, equally many of each class
    uniform_tile: Count  # px, side of the tiles in which a class has a centroid
    coarse_classes: tuple[TrainId, ...]  # of which coarse labels give centroids, too; []: of none
    global_batch_size: Count  # images a step, over all processes
    workers: Annotated[int, Field(ge=0)]  # processes that load for each training process; 0: none


class Poly(Sgd):
    """SGD whose rate falls polynomially to 0 at the last iteration."""

    power: NotNegative


class SceneTrain(Training):
    """How long, and how."""

    iterations: Count  # steps in all
    sync_bn: bool  # whether BN averages over the images of all processes


class Evaluation(Section):
    """How a trained network is evaluated."""

    tile: Count  # px, side of the tiles of tile-based evaluation
    flip: bool  # whether each image's mirror image is averaged in


class SegmentationConfig(Section):
    """One run."""

    model: SceneModel
    data: Scenes
    optim: Poly
    train: SceneTrain
    eval: Evaluation
    recipe: Recipe
    task: Literal["segmentation"]
    seed: Seed
    run: Run

    @property
    def length(self) -> int:
        """How long the run is, in iterations."""
        return self.train.iterations
