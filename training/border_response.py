"""How strongly features respond at the border, against the interior (Section 4.1, Fig. 5).

The ratio of an untrained network is not 1. Random weights over t of T taps add up to about
sqrt(t / T) of their sum inside: zero padding starts below 1, and partial padding, which multiplies
by T / t, above it.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

_IMAGES = 32  # of a batch; more would cost more and hardly move a mean over channels and pixels
_SMALLEST = 3  # pixels a side; a smaller map has no interior


@dataclass(frozen=True)
class BorderResponse:
    """Mean absolute responses of a feature map, over images, channels and pixels; in its own units.

    Attributes:
        border: of the outermost ring of pixels.
        interior: of all other pixels.
        ratio: border / interior: above 1 where "the features at the border have the strongest
            activation responses" (Section 4.1); inf or nan where the interior does not respond.
    """

    border: float
    interior: float
    ratio: float


@dataclass(frozen=True)
class _Stage:
    name: str
    depth: int  # in the tree of modules
    response: Tensor  # (H, W): the paper's "sum up the activation along channels", over images too
    averaged: int  # numbers in each of its pixels


@torch.no_grad()
def border_response(model: nn.Module, images: Tensor) -> dict[str, BorderResponse]:
    """Return the border's and the interior's response of every stage of `model`, in eval mode.

    A stage is a spatial size at which the network works. It is measured at the output of the
    outermost module of that size, the last of several: the layers inside the next stage's first
    block, which still work at the old size, do not count. Nor does a map that its module made
    larger than it came, or one of fewer than 3 x 3 pixels.

    One forward pass and one transfer to the host. The model is left as it was, also after an error:
    modes, hooks, BN statistics, gradients, and what torch.compile has made of it, which this pass
    goes round. Under autocast, call it in a context of its own: the weights that the context keeps
    have no gradient.

    Args:
        model: the network itself, not its DDP wrapper.
        images: (n, C, H, W), as the network takes them; the first 32 are used.

    Returns:
        {"<module>_<height>x<width>": response}, in the order of the forward pass; in a ResNet-50 of
        224-px images relu_112x112, layer1_56x56, ..., layer4_7x7.
    """
    stages: dict[tuple[int, int], _Stage] = {}
    # Hooks see nothing of a compiled forward pass, and would be compiled into the next one.
    with _in_eval_mode(model), _hooked(model, stages), torch.compiler.set_stance("force_eager"):
        model(images[:_IMAGES])
    if not stages:
        return {}
    rows = torch.stack([_means(stage) for stage in stages.values()]).tolist()
    return {
        f"{stage.name}_{height}x{width}": BorderResponse(*row)
        for ((height, width), stage), row in zip(stages.items(), rows, strict=True)
    }


@contextmanager
def _in_eval_mode(model: nn.Module) -> Iterator[None]:
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        for module, training in modes:  # each its own: some may be frozen
            module.training = training


@contextmanager
def _hooked(model: nn.Module, stages: dict[tuple[int, int], _Stage]) -> Iterator[None]:
    """Enter into `stages` what the modules of `model` put out inside the block."""
    with ExitStack() as stack:
        for path, module in model.named_modules():
            name, depth = path or type(module).__name__, len(path.split(".")) if path else 0
            handle = module.register_forward_hook(_entering(stages, name, depth))
            stack.callback(handle.remove)
        yield


def _entering(
    stages: dict[tuple[int, int], _Stage], name: str, depth: int
) -> Callable[[nn.Module, tuple[Any, ...], Any], None]:
    def hook(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if not _is_map(output) or min(output.shape[2:]) < _SMALLEST:
            return
        size = (output.shape[2], output.shape[3])
        if inputs and _is_map(inputs[0]) and inputs[0].shape[2:].numel() < output.shape[2:].numel():
            return
        if size in stages and depth > stages[size].depth:
            return
        # Now, not at the end: what follows may write over the output, as in-place ReLUs do.
        stages[size] = _Stage(name, depth, _response(output), output.shape[0] * output.shape[1])

    return hook


def _is_map(value: Any) -> bool:
    return isinstance(value, Tensor) and value.dim() == 4 and value.is_floating_point()


def _response(output: Tensor) -> Tensor:
    """Return the sum of absolute values over images and channels, (H, W), in at least float32."""
    wide = torch.promote_types(output.dtype, torch.float32)
    # Image by image: on a CPU six times as fast as all at once, whose copy leaves the caches.
    return torch.stack([image.abs().sum(0, dtype=wide) for image in output]).sum(0)


def _means(stage: _Stage) -> Tensor:
    """Return (3,) float64: the mean of the border, of the interior, and their ratio."""
    response = stage.response.double()
    inside = response[1:-1, 1:-1]
    around = response.sum() - inside.sum()
    interior = inside.sum() / (inside.numel() * stage.averaged)
    border = around / ((response.numel() - inside.numel()) * stage.averaged)
    return torch.stack([border, interior, border / interior])
