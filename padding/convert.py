"""Change the padding scheme of a model in place."""

import warnings
from functools import cache
from typing import Any

from torch import nn
from torch.nn.utils import parametrize

from .errors import PaddingError, PaddingWarning
from .extrapolate import EXTRAPOLATING
from .inspection import Found, own_forward, padded_convolutions, written_as
from .layer import as_pair, check_padding, padding_sides
from .partial import PartialConv2d

# scheme -> the layer that applies it, and nn.Conv2d's own name for that padding
SCHEMES: dict[str, tuple[type[nn.Conv2d], str]] = {
    "zero": (nn.Conv2d, "zeros"),
    "partial": (PartialConv2d, PartialConv2d.mode),
    **{layer.mode: (layer, layer.mode) for layer in EXTRAPOLATING},
}
_LAYERS = {layer for layer, _ in SCHEMES.values()}
_NAMES_SHOWN = 3  # of the layers that stay as they are


def convert_padding(
    model: nn.Module, scheme: str, subclasses: tuple[type[nn.Conv2d], ...] = ()
) -> nn.Module:
    """Make every padded convolution of `model` pad by `scheme`, in place, and return `model`.

    A layer changes its class and nothing else: parameters, buffers, hooks, parametrizations,
    device, dtype and the state_dict's keys stay the very same objects, so an optimizer built before
    still holds them and any scheme can be undone. Convolutions without padding are not touched.

    Padded ones that stay as they are (subclasses of nn.Conv2d that are not asked for or have a
    forward of their own, circular padding, other dimensions, traced modules) are told in one
    PaddingWarning, as is a model in which nothing could be converted. `padding_of` lists them all.

    Args:
        model: any module, or a single convolution.
        scheme: 'zero', 'partial', 'reflect' or 'replicate'.
        subclasses: of nn.Conv2d, to be converted as well. Their forward must be nn.Conv2d's.

    Raises:
        PaddingError: `scheme` is none of these, or a layer, named in the message, cannot be
            converted: it is lazy, of one of the `subclasses` with a forward of its own, or has an
            impossible padding. The model is then unchanged.
    """
    if scheme not in SCHEMES:
        raise PaddingError(f"unknown padding scheme {scheme!r}; choose from {', '.join(SCHEMES)}")
    if not isinstance(model, nn.Module):
        raise PaddingError(
            f"a {type(model).__name__} is no nn.Module; convert the model before it is exported"
        )
    _check(model, subclasses)
    layer, padding_mode = SCHEMES[scheme]
    changes, left = [], []
    for found in padded_convolutions(model):
        obstacle = found.obstacle or _why_left(found, subclasses)
        if obstacle:
            left.append(found._replace(obstacle=obstacle))
        else:
            changes.append((found.module, _class_for(found.module, layer)))
    for module, new_class in changes:
        module.__class__ = new_class
        module.stride, module.dilation = as_pair(module.stride), as_pair(module.dilation)
        if not isinstance(module.padding, str):
            module.padding = as_pair(module.padding)
        module._reversed_padding_repeated_twice = list(padding_sides(module))
        module.padding_mode = padding_mode
    if left or not changes:
        warnings.warn(_told(scheme, len(changes), left), PaddingWarning, stacklevel=2)
    return model


def _check(model: nn.Module, subclasses: tuple[type[nn.Conv2d], ...]) -> None:
    for name, module in model.named_modules():
        if not isinstance(module, nn.Conv2d):
            continue
        place = f"layer {name}" if name else type(module).__name__
        if isinstance(module, nn.LazyConv2d):
            raise PaddingError(
                f"{place}: a lazy convolution has no shape yet; run a batch through it first",
                module,
            )
        original, method = written_as(module), own_forward(module)
        if method and issubclass(original, subclasses):
            raise PaddingError(
                f"{place}: {original.__name__} has {method}, which a padding scheme would "
                f"replace; leave it out of `subclasses`",
                module,
            )
        if not method:
            check_padding(module, place)


def _why_left(found: Found, subclasses: tuple[type[nn.Conv2d], ...]) -> str:
    if found.scheme not in SCHEMES:
        return f"{found.scheme} padding"
    original = written_as(found.module)
    converted = original in _LAYERS or isinstance(found.module, (*_LAYERS - {nn.Conv2d},))
    if converted or issubclass(original, subclasses):
        return ""
    return f"{original.__name__}, a subclass of nn.Conv2d that is not named in `subclasses`"


def _told(scheme: str, changed: int, left: list[Found]) -> str:
    if not left:
        return f"convert_padding: nothing to convert to {scheme}: the model has no padded nn.Conv2d"
    kinds: dict[str, list[str]] = {}
    for found in left:
        kinds.setdefault(found.obstacle, []).append(found.name or "the module itself")
    listed = "; ".join(
        f"{len(names)} x {kind} ({', '.join(names[:_NAMES_SHOWN])}"
        f"{', ...' * (len(names) > _NAMES_SHOWN)})"
        for kind, names in kinds.items()
    )
    return (
        f"convert_padding: {changed or 'no'} padded convolutions became {scheme}, {len(left)} "
        f"stay as they are: {listed}"
    )


def _class_for(module: nn.Module, layer: type[nn.Conv2d]) -> type:
    original = written_as(module)
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
