"""Precision of matrix products."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch
from torch import nn

from legged_gym.algorithms.networks import SymmetricMLP


@contextmanager
def tensor_cores() -> Iterator[None]:
    """Multiply float32 matrices on CUDA with a mantissa of 10 bits; without effect on a CPU."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before


@cache
def multiplies_bfloat16(device_type: str) -> bool:
    """Whether devices of this type multiply bfloat16 in units of their own: CUDA, and CPUs with AMX or AVX512-BF16."""
    if device_type == "cpu":
        units = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        return any(getattr(torch.cpu, name, bool)() for name in units)  # older versions of torch cannot tell
    return device_type == "cuda"


def forward(mlp: nn.Sequential, x: torch.Tensor, mixed: bool) -> torch.Tensor:
    """Output of a network.

    Args:
        mlp: Hidden layers and a last one, symmetric or not.
        x: Input (B, I).
        mixed: Compute the hidden layers in bfloat16 if the device has units for it. The last one is always exact.

    Returns:
        (B, O).
    """
    if not isinstance(mlp, SymmetricMLP):
        return _layers(mlp, x, mixed)
    on_left = mlp.on_left(x)
    return mlp.to_robot(_layers(mlp, mlp.to_left(x, on_left), mixed), on_left)


def _layers(mlp: nn.Sequential, x: torch.Tensor, mixed: bool) -> torch.Tensor:
    *hidden, last = mlp
    kind = x.device.type
    with torch.autocast(kind, torch.bfloat16, enabled=mixed and multiplies_bfloat16(kind)):
        for layer in hidden:
            x = layer(x)
    return last(x.float() if mixed else x)
