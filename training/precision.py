"""The arithmetic of a run: number formats, memory layout, determinism."""

import os
from contextlib import AbstractContextManager

import torch
from torch import nn

_AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


def set_arithmetic(precision: str, deterministic: bool) -> None:
    """Set what torch keeps globally; call once, before the model is built.

    Args:
        precision: 'fp32' is full precision, in convolutions too (cuDNN's default there is TF32);
            'tf32' rounds the factors of float32 products to 10 bits; 'bf16' and 'fp16' autocast.
        deterministic: allow only kernels that give the same bits every time.
    """
    torch.set_float32_matmul_precision("highest" if precision == "fp32" else "high")
    torch.backends.cudnn.allow_tf32 = precision != "fp32"
    torch.backends.cudnn.benchmark = not deterministic
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it
    torch.use_deterministic_algorithms(deterministic)


def autocast(precision: str, device: torch.device) -> AbstractContextManager:
    """Return the context for the forward pass."""
    dtype = _AUTOCAST.get(precision)
    return torch.autocast(device.type, dtype=dtype, enabled=dtype is not None)


def is_channels_last(setting: bool | str, device: torch.device) -> bool:
    """Return the memory layout that train.channels_last means on a device.

    'auto' takes what is faster without changing what is computed: on CPUs (docs/training.md). On
    GPUs it depends on precision and card, so there a person says so.
    """
    return device.type == "cpu" if setting == "auto" else bool(setting)


def prepare(model: nn.Module, channels_last: bool, compile_mode: str) -> nn.Module:
    """Lay out and compile `model` in place; its state_dict keys stay as they are.

    Before an optimizer takes its parameters: fused kernels walk through memory, so momentum has to
    lie there as the weights do.
    """
    if channels_last:
        model.to(memory_format=torch.channels_last)
    if compile_mode != "off":
        # Whole model, fixed shapes: one graph each for full and last batches, train and eval.
        model.compile(mode=compile_mode, dynamic=False)
    return model
