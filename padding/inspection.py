"""Which convolutions of a model pad, by which scheme, and what keeps them from being converted."""

import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import torch
from torch import fx, nn
from torch.nn.utils import parametrize

from .layer import padding_sides
from .partial import PartialConv2d

_SCHEMES = {"zeros": "zero", "reflect": "reflect", "replicate": "replicate", "circular": "circular"}
# nn.CircularPad2d and the others of their kind, and the scheme that each applies.
_PADDING_LAYERS = {
    (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d): "zero",
    (nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReflectionPad3d): "reflect",
    (nn.ReplicationPad1d, nn.ReplicationPad2d, nn.ReplicationPad3d): "replicate",
    (nn.CircularPad1d, nn.CircularPad2d, nn.CircularPad3d): "circular",
}
# Functions in a traced graph; the padding is the fifth argument of each.
_FUNCTIONS = ("conv1d", "conv2d", "conv3d", "convolution", "_convolution")
_OUR_FUNCTIONS = ("partial_conv2d", "extending_conv2d")


class Found(NamedTuple):
    """A padded convolution.

    Attributes:
        name: in the model, '' for the model itself.
        module: the layer, or the one that holds it.
        scheme: what it does at the border; None where that cannot be seen.
        obstacle: why its scheme cannot be changed, '' if it can.
    """

    name: str
    module: nn.Module
    scheme: str | None
    obstacle: str


def padding_of(model: nn.Module) -> dict[str, str]:
    """Return what every padded convolution of `model` does at the border, by the layer's name.

    'zero', 'partial', 'reflect', 'replicate' or 'circular'; 'unknown (why)' for layers with a
    forward of their own and for traced modules. Copies that a tool has fused or replaced are seen
    for what they are now.
    """
    return {
        found.name: found.scheme or f"unknown ({found.obstacle})"
        for found in padded_convolutions(model)
    }


def padded_convolutions(model: nn.Module) -> Iterator[Found]:
    """Yield every convolution of `model` that pads or may pad its input, in the model's order."""
    inside = None
    for name, module in model.named_modules():
        if inside is not None and name.startswith(inside):
            continue  # part of a scripted module that has been told already
        if isinstance(module, torch.jit.ScriptModule):
            inside = f"{name}." if name else ""
            yield from _in_script(name, module)
        elif isinstance(module, fx.GraphModule):
            yield from _in_graph(name, module)
        elif isinstance(module, nn.Conv2d):
            yield from _conv2d(name, module)
        else:
            yield from _other(name, module)


def written_as(module: nn.Module) -> type[nn.Module]:
    """Return the class that a layer had before parametrizations and conversions."""
    own = type(module).__bases__[0] if parametrize.is_parametrized(module) else type(module)
    return getattr(own, "converted_from", own)


def own_forward(module: nn.Conv2d) -> str:
    """Return what a layer computes by itself instead of as nn.Conv2d does, '' if nothing."""
    original = written_as(module)
    ours = issubclass(original, nn.Conv2d) and original.__module__.startswith(f"{__package__}.")
    for method in ("forward", "_conv_forward"):
        if method in vars(module):
            return f"a {method} set on the layer itself"
        if not ours and getattr(original, method) is not getattr(nn.Conv2d, method):
            return f"a {method} of its own"
    return ""


def _conv2d(name: str, conv: nn.Conv2d) -> Iterator[Found]:
    if isinstance(conv, nn.LazyConv2d):
        yield Found(name, conv, None, "LazyConv2d that has seen no batch yet")
    elif method := own_forward(conv):
        # It may pad by itself, as timm's Conv2dSame does with padding=0; a 1 x 1 kernel need not.
        if _pads(conv.padding) or max(conv.kernel_size) > 1:
            yield Found(name, conv, None, f"{written_as(conv).__name__} with {method}")
    elif any(padding_sides(conv)):
        scheme = "partial" if isinstance(conv, PartialConv2d) else _SCHEMES[conv.padding_mode]
        yield Found(name, conv, scheme, "")


def _other(name: str, module: nn.Module) -> Iterator[Found]:
    for kinds, scheme in _PADDING_LAYERS.items():
        if isinstance(module, kinds) and _pads(module.padding):
            yield Found(name, module, scheme, f"{type(module).__name__} before a convolution")
    if _is_convolution(module) and _pads(module.padding):
        scheme = _SCHEMES.get(getattr(module, "padding_mode", ""))
        yield Found(name, module, scheme, f"{type(module).__name__}, which is no nn.Conv2d")


def _is_convolution(module: nn.Module) -> bool:
    """Return whether a module has a convolution's settings, and is not a box around one."""
    return (
        all(hasattr(module, setting) for setting in ("in_channels", "kernel_size", "padding"))
        and not getattr(module, "transposed", hasattr(module, "output_padding"))
        and not any(
            isinstance(part, nn.Conv2d) or _is_convolution(part) for part in module.children()
        )  # fmt: skip
    )


def _in_script(name: str, module: torch.jit.ScriptModule) -> Iterator[Found]:
    graph = str(module.inlined_graph) if hasattr(module, "inlined_graph") else ""
    count = len(re.findall(r"aten::(?:_convolution|conv[123]d)\(", graph))
    if count:
        yield Found(name, module, None, f"traced or scripted module of {count} convolutions")


def _in_graph(name: str, module: fx.GraphModule) -> Iterator[Found]:
    for node in module.graph.nodes:
        function = getattr(node.target, "__name__", str(node.target)).partition(".")[0]
        if node.op != "call_function" or function not in _FUNCTIONS + _OUR_FUNCTIONS:
            continue
        padding = node.args[4:5] or [node.kwargs.get("padding", node.kwargs.get("sides", 0))]
        transposed = function in ("convolution", "_convolution") and node.args[6]
        if _pads(padding[0]) and not transposed:
            scheme = {"partial_conv2d": "partial", "extending_conv2d": node.args[3:4]}
            scheme = scheme.get(function, "zero")
            scheme = scheme if isinstance(scheme, str) else scheme[0]
            place = f"{name}.{node.name}" if name else node.name
            yield Found(place, module, scheme, "call in a traced graph")


def _pads(padding: Any) -> bool:
    if isinstance(padding, str):
        return padding == "same"
    return any(padding) if isinstance(padding, Iterable) else bool(padding)
