"""When the layers may take their fast paths, and what stands in for them elsewhere.

The layers compute in place, outside of autograd's sight, and give the gradient themselves. A
compiler, an exporter, a function transform or a second derivative sees the plain formula instead.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C import _are_functorch_transforms_active, _len_torch_dispatch_stack
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad
from torch.compiler import is_compiling
from torch.jit import is_tracing
from torch.nn import Parameter

Gradients = tuple[Tensor | None, ...]  # of input, weight and bias


class Convolution(NamedTuple):
    """A padded convolution in three functions of (input, weight, bias, settings).

    Attributes:
        formula: in differentiable operations alone.
        fast: the same numbers, sooner.
        gradients: of the three tensors, called with (gradient, needed, *those).
    """

    formula: Callable[..., Tensor]
    fast: Callable[..., Tensor]
    gradients: Callable[..., Gradients]

    def __call__(self, input: Tensor, weight: Tensor, bias: Tensor | None, settings: Any) -> Tensor:
        """Return the output by the fastest way that serves the caller."""
        if not _runs_eagerly(input, weight):
            return self.formula(input, weight, bias, settings)
        if torch.is_grad_enabled() and (
            input.requires_grad or weight.requires_grad or (bias is not None and bias.requires_grad)
        ):
            return _with_autocast(self, (input, weight, bias), settings)
        return self.fast(input, weight, bias, settings)


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


def _with_autocast(rule: Convolution, tensors: tuple, settings: Any) -> Tensor:
    # Inside an autograd function autocast would cast unseen: cast here, as it does for nn.Conv2d.
    device = tensors[0].device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return _ByHand.apply(rule, settings, *tensors)
    lower = torch.get_autocast_dtype(device)
    cast = (
        tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(lower)
        for tensor in tensors
    )
    with torch.autocast(device, enabled=False):
        return _ByHand.apply(rule, settings, *cast)


class _ByHand(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, rule: Convolution, settings: Any, *tensors: Tensor | None) -> Tensor:
        ctx.rule, ctx.settings = rule, settings
        ctx.save_for_backward(*tensors)
        return rule.fast(*tensors, settings)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Gradients:
        inputs = (*ctx.saved_tensors, ctx.settings)
        needed = tuple(ctx.needs_input_grad[2:])
        # With create_graph=True, or of a batch of gradients in the guise of one (is_grads_batched).
        if torch.is_grad_enabled() or is_legacy_batchedtensor(gradient):
            found = _gradients_of_formula(ctx.rule.formula, inputs, needed, gradient)
        else:
            found = ctx.rule.gradients(gradient, needed, *inputs)
        return None, None, *found


def _gradients_of_formula(
    formula: Callable[..., Tensor], inputs: tuple, needed: tuple[bool, ...], gradient: Tensor
) -> Gradients:
    graph = torch.is_grad_enabled()
    with torch.enable_grad(), torch.autocast(gradient.device.type, enabled=False):
        # Of aliases: hooks on the tensors themselves, and paths from one to another, are the
        # caller's.
        tensors = [value if value is None else value.view_as(value) for value in inputs[:3]]
        output = formula(*tensors, inputs[3])
    wanted = [value for value, need in zip(tensors, needed, strict=True) if need]
    each = iter(torch.autograd.grad(output, wanted, gradient, create_graph=graph))
    return tuple(next(each) if need else None for need in needed)
