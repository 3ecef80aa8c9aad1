"""Change the padding scheme of a model in place."""

from torch import nn

from padding.errors import PaddingError
from padding.extending import ReflectConv2d, ReplicateConv2d
from padding.partial_conv import PartialConv2d

# scheme -> the layer that applies it, and nn.Conv2d's own name for that padding
SCHEMES: dict[str, tuple[type[nn.Conv2d], str]] = {
    "zero": (nn.Conv2d, "zeros"),
    "partial": (PartialConv2d, "zeros"),
    "reflect": (ReflectConv2d, "reflect"),
    "replicate": (ReplicateConv2d, "replicate"),
}


def convert_padding(model: nn.Module, scheme: str) -> nn.Module:
    """Make every padded convolution of `model` pad by `scheme`, in place, and return `model`.

    A layer changes its class and nothing else: parameters, buffers, hooks, device, dtype and the
    state_dict's keys stay the very same objects, so an optimizer built before still holds them and
    any scheme can be undone. Left alone are convolutions without padding, subclasses of nn.Conv2d
    (their forward is not ours to replace) and circular padding.

    Args:
        model: any module, or a single convolution.
        scheme: 'zero', 'partial', 'reflect' or 'replicate'.

    Raises:
        PaddingError: `scheme` is none of these.
    """
    if scheme not in SCHEMES:
        raise PaddingError(f"unknown padding scheme {scheme!r}; choose from {', '.join(SCHEMES)}")
    layer, padding_mode = SCHEMES[scheme]
    ours = {known for known, _ in SCHEMES.values()}
    for module in model.modules():
        if type(module) in ours and module.padding_mode != "circular" and _pads(module):
            module.__class__ = layer
            module.padding_mode = padding_mode
    return model


def _pads(conv: nn.Conv2d) -> bool:
    # Resolves 'same' and 'valid' too: what nn.Conv2d would hand to F.pad.
    return any(conv._reversed_padding_repeated_twice)
