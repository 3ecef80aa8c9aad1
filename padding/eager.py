"""When the layers may take their fast paths, and what stands in for them elsewhere.

The layers compute in place, outside of autograd's sight, and give the gradient themselves. A
compiler, an exporter, a function transform or a second derivative sees the plain formula instead.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active, _len_torch_dispatch_stack
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.jit import is_tracing
from torch.nn import Parameter

Gradients = tuple[Tensor | None, ...]  # of input, weight and bias


class Convolution(NamedTuple):
    """A padded convolution in three functions of (input, weight, bias, *arguments).

    Attributes:
        formula: in differentiable operations alone.
        fast: the same numbers, sooner.
        gradients: of the first three, called with (gradient, needed, *those).
    """

    formula: Callable[..., Tensor]
    fast: Callable[..., Tensor]
    gradients: Callable[..., Gradients]

    def __call__(
        self, input: Tensor, weight: Tensor, bias: Tensor | None, *arguments: Any
    ) -> Tensor:
        """Return the output by the fastest way that serves the caller."""
        if not _runs_eagerly(input, weight):
            return self.formula(input, weight, bias, *arguments)
        if torch.is_grad_enabled() and (
            input.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
        ):
            return _with_autocast(self, (input, weight, bias), arguments)
        return self.fast(input, weight, bias, *arguments)


def _runs_eagerly(input: Tensor, weight: Tensor) -> bool:
    """Return whether nobody but first-order autograd looks at this call of a convolution."""
    return (
        type(input) is Tensor
        and type(weight) in (Parameter, Tensor)
        and input.dim() == 4
        and not is_compiling()
        and not is_tracing()
        and _len_torch_dispatch_stack() == 0
        and not _are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


def _with_autocast(rule: Convolution, tensors: tuple, arguments: tuple) -> Tensor:
    # Inside an autograd function autocast would cast unseen: cast here, as it does for nn.Conv2d.
    device = tensors[0].device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return _ByHand.apply(rule, *tensors, *arguments)
    lower = torch.get_autocast_dtype(device)
    cast = (
        tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(lower)
        for tensor in tensors
    )
    with torch.autocast(device, enabled=False):
        return _ByHand.apply(rule, *cast, *arguments)


class _ByHand(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rule: Convolution, *inputs: Any) -> Tensor:
        tensors, ctx.arguments, ctx.rule = inputs[:3], inputs[3:], rule
        ctx.save_for_backward(*tensors)
        return rule.fast(*inputs)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        inputs = (*ctx.saved_tensors, *ctx.arguments)
        needed = tuple(ctx.needs_input_grad[1:4])
        if torch.is_grad_enabled():  # create_graph=True
            found = _differentiable_gradients(ctx.rule.formula, inputs, needed, gradient)
        else:
            found = ctx.rule.gradients(gradient, needed, *inputs)
        return None, *found, *(None for _ in ctx.arguments)


def _differentiable_gradients(
    formula: Callable[..., Tensor], inputs: tuple, needed: tuple[bool, ...], gradient: Tensor
) -> Gradients:
    # Of aliases: hooks on the tensors themselves, and paths from one to another, are the caller's.
    tensors = [value if value is None else value.view_as(value) for value in inputs[:3]]
    wanted = [value for value, need in zip(tensors, needed, strict=True) if need]
    with torch.autocast(gradient.device.type, enabled=False):
        output = formula(*tensors, *inputs[3:])
    each = iter(torch.autograd.grad(output, wanted, gradient, create_graph=True))
    return tuple(next(each) if need else None for need in needed)
