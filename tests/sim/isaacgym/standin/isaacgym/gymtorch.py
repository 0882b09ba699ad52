"""Between Isaac Gym's tensors and torch's: no copies."""

from __future__ import annotations

import torch

from isaacgym.gymapi import Tensor


def wrap_tensor(gym_tensor: Tensor) -> torch.Tensor:
    """View memory that the simulation owns."""
    if not isinstance(gym_tensor, Tensor):
        raise TypeError(f"wrap_tensor(): incompatible argument: {type(gym_tensor)!r}")
    return torch.from_numpy(gym_tensor.array)


def unwrap_tensor(torch_tensor: torch.Tensor) -> Tensor:
    """Describe a tensor for the simulation."""
    if not torch_tensor.is_contiguous():
        raise Exception("Input tensor must be contiguous")
    return Tensor(torch_tensor.detach().numpy())
