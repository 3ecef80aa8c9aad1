"""The checkpoints that the paper's authors published, into torchvision's networks."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from .errors import PaddingError


def authors_state_dict(checkpoint: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return a published checkpoint's weights under torchvision's keys.

    The authors trained with DataParallel, around the whole ResNet ("module.conv1.weight") or around
    the features of a VGG alone ("features.module.0.weight").

    Args:
        checkpoint: what the file holds, or its "state_dict".

    Raises:
        PaddingError: it holds no table of weights.
    """
    weights = checkpoint.get("state_dict", checkpoint) if isinstance(checkpoint, Mapping) else None
    if not isinstance(weights, Mapping) or not all(isinstance(key, str) for key in weights):
        raise PaddingError("a checkpoint is a table of names and weights, or has one: state_dict")
    return {re.sub(r"^(features\.)?module\.", r"\1", key): value for key, value in weights.items()}


def load_authors_checkpoint(model: nn.Module, file: str | Path) -> nn.Module:
    """Load a published checkpoint into `model`, in place, and return `model`.

    Counters of batches, which files of that time may lack, keep their value; they enter nothing.

    Raises:
        PaddingError: the file is not of this network.
    """
    content = torch.load(file, map_location="cpu", weights_only=True)
    weights = authors_state_dict(content)
    if problem := misfit(weights, model.state_dict()):
        raise PaddingError(f"{file} is not a checkpoint of this network: it {problem}")
    model.load_state_dict(weights, strict=False)
    return model


def misfit(weights: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> str:
    """Return in what `weights` are not those of a network whose state_dict is `expected`.

    The first key in the network's order and how many more there are; '' where all fit. Counters of
    batches may be missing.
    """
    missing = [k for k in expected if k not in weights and not k.endswith("num_batches_tracked")]
    unknown = [k for k in weights if k not in expected]
    shapes = [k for k in expected if k in weights and weights[k].shape != expected[k].shape]
    for problem, keys in (("lacks", missing), ("has", unknown), ("has another shape of", shapes)):
        if keys:
            return f"{problem} {keys[0]}" + (f" and {len(keys) - 1} more" if keys[1:] else "")
    return ""
