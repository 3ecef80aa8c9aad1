"""When a layer computes in its own way, and how autograd and torch.func see it then.

Compilers and tracers see plain operations instead.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.nn import Parameter


def is_plain_call(input: Tensor, weight: Tensor) -> bool:
    """Return whether tensors of torch's own are computed on now, not traced or compiled."""
    return (
        type(input) is Tensor
        and type(weight) in (Parameter, Tensor)
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
    )


def as_autocast_casts(*tensors: Tensor | None) -> tuple[Tensor | None, ...]:
    """Return a convolution's tensors as autocast casts them, which looks into no Function."""
    device = tensors[0].device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return tensors
    lower = torch.get_autocast_dtype(device)
    return tuple(
        tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(lower)
        for tensor in tensors
    )


class PaddedConvolution(Function):
    """A convolution of (input, weight, bias, settings), whose subclasses give

    forward: its output.
    backward: in differentiable operations, so that there are second derivatives too.
    """

    generate_vmap_rule = True

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        """Keep what backward and jvp need, the same whether or not a mode looks on."""
        *tensors, ctx.settings = inputs
        ctx.save_for_backward(*tensors)
        ctx.save_for_forward(*tensors)

    @classmethod
    def tangent(cls, ctx: Any, of_input: Any, of_weight: Any, of_bias: Any) -> Tensor:
        """Return the output's tangent: the convolution is linear in each of its tensors."""
        input, weight, _ = ctx.saved_tensors
        parts = []
        if of_input is not None:
            parts.append(cls.forward(of_input, weight, None, ctx.settings))
        if of_weight is not None or of_bias is not None:
            of_weight = torch.zeros_like(weight) if of_weight is None else of_weight
            parts.append(cls.forward(input, of_weight, of_bias, ctx.settings))
        return sum(parts)
