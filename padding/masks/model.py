"""Networks on images of different sizes: one canvas, a mask, and the mask through every layer."""

import operator
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, fx, nn
from torch.nn.utils import parametrize

from ..errors import PaddingError
from ..layer import described, padding_sides
from ..partial import PartialConv2d
from .convolution import masked_conv2d

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
        self._graph = (fx.GraphModule(model, _traced(model)),)

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """Return the model's output for (N, C, H, W) images with a mask (N or 1, 1, H, W)."""
        (graph,) = self._graph
        sizes = [(1, *images.shape[2:]), (len(images), 1, *images.shape[2:])]
        if tuple(mask.shape) not in (sizes[1], (1, *sizes[0])) or mask.dtype != torch.bool:
            raise PaddingError(
                f"the mask is {mask.dtype} of shape {tuple(mask.shape)}; "
                f"a model takes a bool mask {sizes[1]} with these images"
            )
        if mask.device != images.device:
            raise PaddingError(f"the mask is on {mask.device}, the images on {images.device}")
        mask = mask.expand(len(images), -1, -1, -1)
        return _Threaded(graph, self.model).run(_Masked(images, mask))


def _traced(model: nn.Module) -> fx.Graph:
    try:
        return _LeafTracer().trace(model)
    except PaddingError:
        raise
    except Exception as error:  # whatever a forward does with what is no tensor yet
        raise _untraceable(type(model).__name__, error) from None


def _untraceable(place: str, error: Exception) -> PaddingError:
    reason = str(error).partition("\n")[0]
    return PaddingError(f"{place}: torch.fx cannot follow its forward, so masks cannot ({reason})")


class _LeafTracer(fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not any(True for _ in module.children()) or isinstance(module, nn.Conv2d)

    def call_module(
        self, m: nn.Module, forward: Callable[..., Any], args: tuple, kwargs: dict[str, Any]
    ) -> Any:
        try:
            return super().call_module(m, forward, args, kwargs)
        except PaddingError:
            raise
        except Exception as error:
            raise _untraceable(f"layer {self.path_of_module(m)}", error) from None


class _Threaded(fx.Interpreter):
    """Runs the graph with a mask beside every feature map."""

    def __init__(self, graph: fx.GraphModule, model: nn.Module):
        super().__init__(graph)
        self.extra_traceback = False  # a refusal is one line of ours
        self.layers = dict(model.named_modules())
        self.whole = self.place = type(model).__name__

    def run_node(self, n: fx.Node) -> Any:
        inside = n.meta.get("nn_module_stack")
        self.place = f"layer {next(reversed(inside))}" if inside else self.whole
        return super().run_node(n)

    def call_module(self, target: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        layer, (input, *_) = self.layers[target], args
        if not isinstance(input, _Masked):
            return layer(*args, **kwargs)
        for kinds, rule in _RULES.items():
            if isinstance(layer, kinds):
                return rule(layer, input, target)
        raise PaddingError(f"layer {target}: no rule for masks through {type(layer).__name__}")

    def call_function(self, target: Callable, args: tuple, kwargs: dict[str, Any]) -> Any:
        if not _holds_masked((args, kwargs)):
            return super().call_function(target, args, kwargs)
        first, *others = args
        both = isinstance(first, _Masked) and len(others) == 1 and isinstance(others[0], _Masked)
        if target in _SUM and both and not kwargs:
            return _Masked(first.filled() + others[0].filled(), first.mask | others[0].mask)
        if target in _RELU and isinstance(first, _Masked):
            return first._replace(values=F.relu(first.values))
        if target in _FLATTEN and isinstance(first, _Masked):
            return target(first.filled(), *others, **kwargs)
        name = getattr(target, "__name__", target)
        raise PaddingError(
            f"{self.place}: no rule for masks through {name}(); use a module of torch.nn"
        )

    def call_method(self, target: str, args: tuple, kwargs: dict[str, Any]) -> Any:
        if not _holds_masked((args, kwargs)):
            return super().call_method(target, args, kwargs)
        return self.call_function(getattr(torch.Tensor, target), args, kwargs)


def _holds_masked(values: Any) -> bool:
    """Return whether masked features are anywhere among the arguments of a call."""
    if isinstance(values, _Masked):
        return True
    if isinstance(values, dict):
        values = values.values()
    return (
        isinstance(values, Iterable)
        and not isinstance(values, str | Tensor)
        and any(_holds_masked(value) for value in values)
    )


def _convolution(conv: nn.Conv2d, input: _Masked, name: str) -> _Masked:
    if isinstance(conv, PartialConv2d):
        return _Masked(*conv(input.filled(), input.mask))
    plain = parametrize.type_before_parametrizations(conv) is nn.Conv2d
    if plain and not any(padding_sides(conv)):
        return _Masked(*masked_conv2d(conv, conv, input.filled(), input.mask))
    raise PaddingError(
        f"layer {name}: no rule for masks through {described(conv)}; "
        f'convert_padding(model, "partial") first',
        conv,
    )


def _batch_norm(layer: nn.Module, input: _Masked, name: str) -> _Masked:
    if not layer.training and layer.running_mean is not None:
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
