"""A file's weights into a network, by key: all of them but a last layer of other classes."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from padding.authors import authors_state_dict, misfit

# Where those put it who save more than a state_dict: train.py; the authors and pytorch/examples.
_PLACES = {"model": "a run's checkpoint", "state_dict": "a checkpoint with a state_dict"}


class WeightsError(ValueError):
    """What was read is no state_dict of the network."""


def load_weights(model: nn.Module, content: Any) -> dict[str, str | None]:
    """Load what torch.load made of a file into `model`, in place, whatever its padding.

    Where the file's number of classes is another, the last layer keeps the weights that it has.

    Args:
        model: the network.
        content: a state_dict, as torchvision's files are, or a checkpoint that holds one: a run's,
            or one that the paper's authors published.

    Returns:
        `kind`: what it was; `replaced`: the last layer and both numbers of classes, None where the
        file's was taken.

    Raises:
        WeightsError: it holds no weights, or those of another network; names the first key.
    """
    kind, weights = weights_in(content)
    weights, replaced = _with_last_layer(model, weights)
    load_matching(model, weights)
    return {"kind": kind, "replaced": replaced}


def load_matching(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """Load weights that must be the network's, in place.

    Raises:
        WeightsError: they are another's; names the first key.
    """
    if problem := misfit(weights, model.state_dict()):
        raise WeightsError(f"it {problem}")
    try:
        model.load_state_dict(weights, strict=False)
    except RuntimeError as error:  # a tensor that cannot be copied: quantized, without storage
        raise WeightsError(str(error).splitlines()[-1].strip()) from None


def weights_in(content: Any) -> tuple[str, dict[str, Tensor]]:
    """Return what the content of a file is and its weights under torchvision's keys."""
    kind, weights = "a state_dict", content
    for place, told in _PLACES.items():
        if isinstance(content, Mapping) and isinstance(content.get(place), Mapping):
            kind, weights = told, content[place]
    if not isinstance(weights, Mapping) or not weights:
        raise WeightsError(f"it holds no weights but a {type(weights).__name__}")
    for key, value in weights.items():
        if not isinstance(key, str):
            raise WeightsError(f"its key {key!r} is no name")
        if not isinstance(value, Tensor):
            raise WeightsError(f"its {key!r} is no tensor but a {type(value).__name__}")
    return kind, authors_state_dict({"state_dict": weights})


def _with_last_layer(
    model: nn.Module, weights: dict[str, Tensor]
) -> tuple[dict[str, Tensor], str | None]:
    """Return `weights` with the model's own last layer where they have other classes, and if so."""
    *_, (last, _) = model.named_parameters()
    name = last.rpartition(".")[0]  # fc, classifier.6: the layer whose parameters come last
    own = {
        f"{name}.{leaf}": value for leaf, value in model.get_submodule(name).state_dict().items()
    }
    one, other = weights.get(f"{name}.weight"), own[f"{name}.weight"]
    if one is None or one.shape[1:] != other.shape[1:] or len(one) == len(other):
        return weights, None
    replaced = {key: value for key, value in own.items() if key in weights}
    return weights | replaced, f"{name}: {len(one)} -> {len(other)} classes"
