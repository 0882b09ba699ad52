"""Numbers that are not finite: found on the device, without a wait, before they spread."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch.optim import Adam


def all_finite(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Tell whether all numbers of some tensors are finite, and not so large that their squares overflow.

    Args:
        tensors: On one device; those of integers are finite.

    Returns:
        Scalar bool; nothing waits for the device.
    """
    floats = [tensor.detach() for tensor in tensors if tensor.is_floating_point()]
    return torch.stack([norm.double() for norm in torch._foreach_norm(floats)]).isfinite().all()


def first_not_finite(tree: Any, path: str = "") -> str | None:
    """Find a number that is not finite in nested dicts, lists, tuples and tensors; waits for the device.

    Returns:
        Path of the first one, as `actor_state_dict.mlp.0.weight`; None if all are finite.
    """
    if isinstance(tree, torch.Tensor) and tree.layout != torch.strided:
        return f"{path}, which is sparse,"  # never saved by us, so it is not searched
    if isinstance(tree, torch.Tensor):
        return path if tree.is_floating_point() and not bool(tree.isfinite().all()) else None
    if isinstance(tree, float):
        return None if math.isfinite(tree) else path
    items: Iterable[tuple[Any, Any]] = ()
    if isinstance(tree, Mapping):
        items = tree.items()
    elif isinstance(tree, list | tuple):
        items = enumerate(tree)
    found = (first_not_finite(item, f"{path}.{key}" if path else str(key)) for key, item in items)
    return next(filter(None, found), None)


class GuardedStep:
    """Takes an optimiser's steps if loss and gradients are finite, and counts the steps left out.

    A step that is left out changes neither parameters nor the optimiser's moments. That is decided by the optimiser's
    own kernel, as automatic mixed precision does it: steps can be recorded, and the host never waits.
    """

    def __init__(self, optimizer: Adam, device: torch.device | str) -> None:
        """Count from zero.

        Args:
            optimizer: Made by `make_adam`.
            device: Device of its parameters.
        """
        self.optimizer = optimizer
        self.skipped = torch.zeros((), device=device)
        """Steps left out since the last `clear`."""

    def __call__(self, *health: torch.Tensor) -> torch.Tensor:
        """Take the step, if it is finite.

        Args:
            health: Scalars that are finite if the gradients are: the loss, norms of gradients. Where several processes
                take the same steps, the same in all of them.

        Returns:
            Whether the step was left out, 0 or 1; scalar on the device.
        """
        broken = (~torch.stack([value.detach().float() for value in health]).isfinite().all()).float()
        self.skipped += broken
        self.optimizer.found_inf = broken  # type: ignore[attr-defined]  # read by the fused kernel
        self.optimizer.step()
        return broken

    def clear(self) -> None:
        """Count from zero again."""
        self.skipped.zero_()
