"""Change the padding scheme of a model in place."""

from functools import cache
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from .errors import PaddingError
from .extending import ReflectConv2d, ReplicateConv2d
from .layer import as_pair, check_padding, padding_sides
from .partial_conv import PartialConv2d

# scheme -> the layer that applies it, and nn.Conv2d's own name for that padding
SCHEMES: dict[str, tuple[type[nn.Conv2d], str]] = {
    "zero": (nn.Conv2d, "zeros"),
    "partial": (PartialConv2d, PartialConv2d.mode),
    "reflect": (ReflectConv2d, ReflectConv2d.mode),
    "replicate": (ReplicateConv2d, ReplicateConv2d.mode),
}
_LAYERS = {layer for layer, _ in SCHEMES.values()}


def convert_padding(
    model: nn.Module, scheme: str, subclasses: tuple[type[nn.Conv2d], ...] = ()
) -> nn.Module:
    """Make every padded convolution of `model` pad by `scheme`, in place, and return `model`.

    A layer changes its class and nothing else: parameters, buffers, hooks, parametrizations,
    device, dtype and the state_dict's keys stay the very same objects, so an optimizer built before
    still holds them and any scheme can be undone. Left alone are convolutions without padding,
    circular padding, and subclasses of nn.Conv2d that are not asked for.

    Args:
        model: any module, or a single convolution.
        scheme: 'zero', 'partial', 'reflect' or 'replicate'.
        subclasses: of nn.Conv2d, to be converted as well. Their forward must be nn.Conv2d's.

    Raises:
        PaddingError: `scheme` is none of these, or a layer, named in the message, cannot be
            converted: it is lazy, has a forward of its own or an impossible padding. The model is
            then unchanged.
    """
    if scheme not in SCHEMES:
        raise PaddingError(f"unknown padding scheme {scheme!r}; choose from {', '.join(SCHEMES)}")
    layer, padding_mode = SCHEMES[scheme]
    changes = []
    for name, module in model.named_modules():
        place = f"layer {name}" if name else type(module).__name__
        if isinstance(module, nn.LazyConv2d):
            raise PaddingError(
                f"{place}: a lazy convolution has no shape yet; run a batch through it first",
                module,
            )
        original = _original(module, subclasses)
        if original is None or module.padding_mode == "circular":
            continue
        check_padding(module, place)
        if not any(padding_sides(module)):
            continue
        if original not in _LAYERS:
            _check_forward(original, place, module)
        changes.append((module, _class_for(module, layer, original)))
    for module, new_class in changes:
        module.__class__ = new_class
        module.stride, module.dilation = as_pair(module.stride), as_pair(module.dilation)
        if not isinstance(module.padding, str):
            module.padding = as_pair(module.padding)
        module._reversed_padding_repeated_twice = list(padding_sides(module))
        module.padding_mode = padding_mode
    return model


def _original(module: nn.Module, subclasses: tuple[type[nn.Conv2d], ...]) -> type | None:
    """Return the class that `module` was written as, None if it is not to be converted."""
    if not isinstance(module, nn.Conv2d):
        return None
    own = type(module).__bases__[0] if parametrize.is_parametrized(module) else type(module)
    asked = own in _LAYERS or hasattr(own, "converted_from") or issubclass(own, subclasses)
    return getattr(own, "converted_from", own) if asked else None


def _check_forward(original: type[nn.Conv2d], place: str, module: nn.Module) -> None:
    for method in ("forward", "_conv_forward"):
        if getattr(original, method) is not getattr(nn.Conv2d, method):
            raise PaddingError(
                f"{place}: {original.__name__} has a {method} of its own, which a padding scheme "
                f"would replace; leave it out of `subclasses`",
                module,
            )


def _class_for(module: nn.Module, layer: type[nn.Conv2d], original: type) -> type:
    new_class = layer if original in _LAYERS else _adapted(layer, original)
    if not parametrize.is_parametrized(module):
        return new_class
    # torch gives a parametrized module a class of its own, derived from the class that it returns
    # to in the end. The same with another base:
    members = {k: v for k, v in vars(type(module)).items() if k not in ("__dict__", "__weakref__")}
    return type(f"Parametrized{new_class.__name__}", (new_class,), members)


@cache
def _adapted(layer: type[nn.Conv2d], original: type[nn.Conv2d]) -> type[nn.Conv2d]:
    """Return `original` with the forward pass of `layer`; it is still an `original`."""
    if layer is nn.Conv2d:
        return original

    def reduce(self: nn.Module, protocol: int) -> tuple[Any, ...]:
        return _new, (layer, original), self.__getstate__()

    members = {"converted_from": original, "__reduce_ex__": reduce}
    return type(f"{original.__name__}As{layer.__name__}", (layer, original), members)


def _new(layer: type[nn.Conv2d], original: type[nn.Conv2d]) -> nn.Module:
    adapted = _adapted(layer, original)
    return adapted.__new__(adapted)
