"""Batch norm over the images of all processes (Section 4.2, "SyncBN")."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from training.distributed import Process


def synchronize_bn(model: nn.Module, process: Process) -> nn.Module:
    """Let each BatchNorm2d of `model` average over all processes, in place; return the model.

    Parameters, buffers and their keys stay the same ones. A process alone keeps plain BN, which
    computes the same.
    """
    if process.world == 1:
        return model
    # torch's own (2.11 to 2.15) refuses tensors of CPUs, and on GPUs the processor waits for each
    # layer's forward pass: it leaves out processes without images, which do not exist here.
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(parent, name, _synchronized(child))
    return model


class SyncBatchNorm2d(nn.BatchNorm2d):
    """BatchNorm2d whose training statistics are those of all processes' images together."""

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, C, H, W) normalized, in the dtype of `x`; called by all processes at once."""
        if not self.training:
            return super().forward(x)
        y, mean, var, count = _Normalize.apply(x, self.weight, self.bias, self.eps)
        with torch.no_grad():
            self.num_batches_tracked += 1
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(var * (count / (count - 1)), self.momentum)
        return y


def _synchronized(bn: nn.BatchNorm2d) -> SyncBatchNorm2d:
    assert bn.affine  # as in all of the networks here
    made = SyncBatchNorm2d(bn.num_features, bn.eps, bn.momentum, device="meta")
    made.weight, made.bias = bn.weight, bn.bias
    for name, buffer in bn.named_buffers():
        setattr(made, name, buffer)
    return made.train(bn.training)


class _Normalize(torch.autograd.Function):
    """(x - mean) / sqrt(var + eps) * weight + bias, with the mean and variance of all processes."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count, mean, var = _gathered(x)
        y = F.batch_norm(x, mean, var, weight, bias, False, 0.0, eps)
        ctx.save_for_backward(x, weight, mean, torch.rsqrt(var + eps), count)
        ctx.mark_non_differentiable(mean, var, count)
        return y, mean, var, count

    @staticmethod
    def backward(ctx: Any, grad: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        x, weight, mean, scale, count = ctx.saved_tensors
        wide, grad = (_wide(x) - mean[:, None, None]) * scale[:, None, None], _wide(grad)
        of_bias, of_weight = grad.sum((0, 2, 3)), (grad * wide).sum((0, 2, 3))
        sums = torch.stack([of_bias, of_weight])
        dist.all_reduce(sums)
        mean_grad, mean_product = (sums / count)[:, :, None, None]
        of_x = (grad - mean_grad - wide * mean_product) * (scale * weight)[:, None, None]
        return of_x.to(x.dtype), of_weight, of_bias, None


def _gathered(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the numbers a channel, their mean and their variance, over all processes."""
    var, mean = torch.var_mean(_wide(x), (0, 2, 3), correction=0)
    own = torch.cat([mean, var, mean.new_full((1,), x.numel() // x.shape[1])])
    gathered = [torch.empty_like(own) for _ in range(dist.get_world_size())]
    dist.all_gather(gathered, own)
    each = torch.stack(gathered)
    means, variances = each[:, :-1].chunk(2, dim=1)
    counts = each[:, -1:]
    count = counts.sum()
    mean = (counts * means).sum(0) / count
    # Of the distances of each process's mean: a difference of two sums would lose its digits.
    var = (counts * (variances + (means - mean).square())).sum(0) / count
    return count, mean, var


def _wide(x: Tensor) -> Tensor:
    """Return `x` in float32, or more where it has more: sums over images need the digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
