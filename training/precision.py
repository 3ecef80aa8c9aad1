"""The arithmetic of a run: number formats, memory layout, determinism."""

import os
from contextlib import AbstractContextManager

import torch

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
