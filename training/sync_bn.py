"""Batch norm over the images of all processes (Section 4.2, "SyncBN")."""

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training.distributed import Process


def synchronize_bn(model: nn.Module, process: Process) -> nn.Module:
    """Let each BatchNorm2d of `model` average over all processes, in place; return the model.

    Parameters, buffers and their keys stay the same ones. A process alone keeps plain BN, which
    computes the same.
    """
    if process.world == 1:
        return model
    if "nccl" in process.backend:
        return nn.SyncBatchNorm.convert_sync_batchnorm(model)
    # torch's own refuses tensors of CPUs (2.11 to 2.15).
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
        wide = _wide(x)
        count = wide.new_tensor([x.numel() // x.shape[1]])
        sums = torch.cat([wide.sum((0, 2, 3)), count])
        dist.all_reduce(sums)
        mean, count = sums[:-1] / sums[-1], sums[-1]
        centred = wide - mean[:, None, None]
        # In a second pass: a variance as the difference of two sums would lose its digits.
        var = centred.square().sum((0, 2, 3))
        dist.all_reduce(var)
        var /= count
        scale = torch.rsqrt(var + eps)
        ctx.save_for_backward(x, weight, mean, scale, count)
        ctx.mark_non_differentiable(mean, var, count)
        y = centred * (scale * weight)[:, None, None] + bias[:, None, None]
        return y.to(x.dtype), mean, var, count

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


def _wide(x: Tensor) -> Tensor:
    """Return `x` in float32, or more where it has more: sums over images need the digits."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
