"""Networks on images of different sizes: one canvas, a mask, and the mask through every layer."""

import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn

from .errors import PaddingError
from .masked import masked_conv2d
from .partial_conv import PartialConv2d

_POINTWISE = (nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.SiLU, nn.GELU, nn.Dropout, nn.Identity)
_SUM = (operator.add, operator.iadd, torch.add, torch.Tensor.add, torch.Tensor.add_)
_RELU = (F.relu, torch.relu, torch.Tensor.relu, torch.Tensor.relu_)
_FLATTEN = (torch.flatten, torch.Tensor.flatten)


class _Masked(NamedTuple):
    """Features (N, C, H, W) and what of them is valid, bool (N, 1, H, W)."""

    values: Tensor
    mask: Tensor

    def filled(self, value: float = 0.0) -> Tensor:
        """Return the features with `value` in the holes."""
        return torch.where(self.mask, self.values, value)


def canvas(images: list[Tensor], size: tuple[int, int] | None = None) -> tuple[Tensor, Tensor]:
    """Return one batch of images of different sizes, and its mask (Section 3, "Big Padding").

    Args:
        images: (C, H, W) each, of any height and width.
        size: height and width of the canvas; None for the largest of each.

    Returns:
        (N, C, height, width) with every image in the top left corner and zeros beside it, and the
        bool mask (N, 1, height, width).

    Raises:
        PaddingError: an image is larger than `size`.
    """
    height, width = size or (max(i.shape[1] for i in images), max(i.shape[2] for i in images))
    batch = images[0].new_zeros(len(images), images[0].shape[0], height, width)
    mask = torch.zeros(len(images), 1, height, width, dtype=torch.bool, device=batch.device)
    for number, image in enumerate(images):
        rows, columns = image.shape[1:]
        if rows > height or columns > width:
            raise PaddingError(
                f"image {number}, {rows} x {columns}, is larger than the canvas, {height} x {width}"
            )
        batch[number, :, :rows, :columns] = image
        mask[number, :, :rows, :columns] = True
    return batch, mask


class MaskedModel(nn.Module):
    """A converted VGG or ResNet that takes a mask with its images.

    The mask starts at the image's own pixels and follows the paper's rule (Eq. 3) through
    every layer: valid is what rests on at least one valid value. Convolutions are those of Eq. 1,
    max-pooling and averages are over valid values, a residual sum counts what is missing on one
    side as 0, and batch normalization in training mode takes its statistics over valid values.
    With a mask of ones the model's own outputs come out.

    `model` itself is not changed, and shares its parameters.

    Args:
        model: converted by convert_padding(model, "partial"), of layers that torch.fx can follow.

    Raises:
        PaddingError: a layer, named in the message, has no rule for masks.
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        # Not a submodule: its layers are the model's own.
        self._graph = (fx.GraphModule(model, _LeafTracer().trace(model)),)

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """Return the model's output for (N, C, H, W) images with a mask (N or 1, 1, H, W)."""
        (graph,) = self._graph
        if mask.dim() != 4 or mask.shape[1] != 1 or mask.dtype != torch.bool:
            raise PaddingError(
                f"the mask is {mask.dtype} of shape {tuple(mask.shape)}; "
                f"a model takes a bool mask (N, 1, H, W)"
            )
        mask = mask.expand(len(images), -1, -1, -1)
        return _Threaded(graph, self.model).run(_Masked(images, mask))


class _LeafTracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not any(True for _ in module.children()) or isinstance(module, nn.Conv2d)


class _Threaded(fx.Interpreter):
    """Runs the graph with a mask beside every feature map."""

    def __init__(self, graph: fx.GraphModule, model: nn.Module):
        super().__init__(graph)
        self.layers = dict(model.named_modules())

    def call_module(self, target: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        layer, (input, *_) = self.layers[target], args
        if not isinstance(input, _Masked):
            return layer(*args, **kwargs)
        for kinds, rule in _RULES.items():
            if isinstance(layer, kinds):
                return rule(layer, input, target)
        raise PaddingError(f"layer {target}: no rule for masks through {type(layer).__name__}")

    def call_function(self, target: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        if not any(isinstance(arg, _Masked) for arg in args):
            return super().call_function(target, args, kwargs)
        first, *others = args
        if target in _SUM and isinstance(first, _Masked) and isinstance(others[0], _Masked):
            return _Masked(first.filled() + others[0].filled(), first.mask | others[0].mask)
        if target in _RELU:
            return first._replace(values=F.relu(first.values))
        if target in _FLATTEN:
            return target(first.filled(), *others, **kwargs)
        name = getattr(target, "__name__", target)
        raise PaddingError(f"no rule for masks through {name}(); use a module of torch.nn")

    def call_method(self, target: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        if not any(isinstance(arg, _Masked) for arg in args):
            return super().call_method(target, args, kwargs)
        return self.call_function(getattr(torch.Tensor, target), args, kwargs)


def _convolution(conv: nn.Conv2d, input: _Masked, name: str) -> _Masked:
    if isinstance(conv, PartialConv2d):
        return _Masked(*conv(input.filled(), input.mask))
    if type(conv) is nn.Conv2d and not any(conv._reversed_padding_repeated_twice):
        return _Masked(*masked_conv2d(conv, conv, input.filled(), input.mask))
    raise PaddingError(
        f'layer {name}: no rule for masks through {conv}; convert_padding(model, "partial") first',
        conv,
    )


def _batch_norm(layer: nn.Module, input: _Masked, name: str) -> _Masked:
    if not layer.training:
        return input._replace(values=layer(input.values))
    # The valid values of all images as the pixels of one: (1, C, valid, 1).
    channels_last = input.values.permute(0, 2, 3, 1)
    places = input.mask[:, 0]
    kept = layer(channels_last[places].T[None, :, :, None])[0, :, :, 0].T
    values = torch.zeros_like(channels_last, dtype=kept.dtype).index_put((places,), kept)
    return input._replace(values=values.permute(0, 3, 1, 2))


def _max_pool(layer: nn.MaxPool2d, input: _Masked, name: str) -> _Masked:
    mask = layer(input.mask.to(input.values.dtype)) > 0
    return _Masked(torch.where(mask, layer(input.filled(-torch.inf)), 0), mask)


def _average(layer: nn.Module, input: _Masked, name: str) -> _Masked:
    share = layer(input.mask.to(input.values.dtype))  # of the window that is valid
    whole = layer(torch.ones_like(input.mask[:1], dtype=input.values.dtype))
    mean = layer(input.filled()) * torch.where(share > 0, whole / share, 0)
    return _Masked(mean, share > 0)


_RULES = {
    nn.Conv2d: _convolution,
    (nn.BatchNorm2d, nn.SyncBatchNorm): _batch_norm,
    nn.MaxPool2d: _max_pool,
    (nn.AvgPool2d, nn.AdaptiveAvgPool2d): _average,
    _POINTWISE: lambda layer, input, name: input._replace(values=layer(input.values)),
    nn.Flatten: lambda layer, input, name: layer(input.filled()),
}
