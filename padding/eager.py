"""When the fast paths of the layers may be taken, and what stands in for them elsewhere.

The layers compute in place, outside of autograd's sight, and give the gradient themselves. A
compiler, an exporter, a function transform or a second derivative sees the plain formula instead.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import Parameter


def runs_eagerly(input: Tensor, weight: Tensor) -> bool:
    """Return whether nobody but first-order autograd looks at this call of a convolution."""
    return (
        type(input) is Tensor
        and type(weight) in (Parameter, Tensor)
        and input.dim() == 4
        and not torch.compiler.is_compiling()
        and not torch.jit.is_tracing()
        and torch._C._len_torch_dispatch_stack() == 0
        and not torch._C._are_functorch_transforms_active()
        and forward_ad._current_level < 0
    )


def needs_gradient(*tensors: Tensor | None) -> bool:
    """Return whether autograd records an operation on these."""
    return torch.is_grad_enabled() and any(t is not None and t.requires_grad for t in tensors)


def apply(function: type[torch.autograd.Function], tensors: tuple, arguments: tuple) -> Tensor:
    """Call a convolution as an autograd function, with the casts that autocast makes for one."""
    device = tensors[0].device.type
    if not (torch.amp.is_autocast_available(device) and torch.is_autocast_enabled(device)):
        return function.apply(*tensors, *arguments)
    lower = torch.get_autocast_dtype(device)
    cast = (
        tensor if tensor is None or tensor.dtype == torch.float64 else tensor.to(lower)
        for tensor in tensors
    )
    with torch.autocast(device, enabled=False):
        return function.apply(*cast, *arguments)


def differentiable_gradients(
    formula: Callable[..., Tensor],
    inputs: tuple[Tensor | None, ...],
    arguments: tuple,
    needed: tuple[bool, ...],
    gradient: Tensor,
) -> tuple[Tensor | None, ...]:
    """Return the gradients of formula(*inputs, *arguments), ready to be differentiated again."""
    wanted = [value for value, need in zip(inputs, needed, strict=True) if need]
    output = formula(*inputs, *arguments)
    found = iter(torch.autograd.grad(output, wanted, gradient, create_graph=True))
    return tuple(next(found) if need else None for need in needed)
