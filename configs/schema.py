"""One configuration a task, and what its keys are to resumed runs, evaluations and old files."""

from typing import Any

from configs.classification_keys import ClassificationConfig
from configs.segmentation_keys import SegmentationConfig

Config = ClassificationConfig | SegmentationConfig
CONFIGS: dict[str, type[ClassificationConfig] | type[SegmentationConfig]] = {
    "classification": ClassificationConfig,
    "segmentation": SegmentationConfig,
}

# Settings that may differ between two sessions of one run: they move no number of it. model.weights
# is not among them, though a session that resumes never opens the file: a command names the run's
# own recipe, or it is refused. The file may be gone; its path stays the one that config.yaml has.
OPERATIONAL_KEYS = frozenset(
    {"data.root", "data.exclude", "data.workers", "run.root", "run.name"}
    | {"train.checkpoint_steps", "train.keep", "train.timeout"}
    | {"recipe.global_batch_size", "recipe.bn_batch_size"}
    | {"eval.tile", "eval.flip"}
)

# Settings that an evaluation may override: how fast and where, not what is evaluated.
EVALUATION_KEYS = frozenset(
    {"data.root", "data.exclude", "data.workers", "data.backend", "data.decode"}
    | {"data.global_batch_size", "train.precision", "train.channels_last"}
    | {"eval.tile", "eval.flip"}
)

# What a key that is younger than the first run directories meant before it was written down: by the
# age of the key. Only recorded runs are read with it; people write every key. Runs of segmentation
# are younger than all of these.
MEANING_BEFORE: dict[str, Any] = {
    "data.exclude": None,
    "data.decode": "cpu",
    "task": "classification",
    "train.accumulate": 1,
    "train.keep": "all",
    "train.timeout": 1800.0,
    "model.weights": None,
}
