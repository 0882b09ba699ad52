"""Watches over the weights: a step that is not finite is left out, an iteration taken back, or the run ended."""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from legged_gym.algorithms.skipped_steps import SkippedSteps
from legged_gym.utils.errors import UserError
from legged_gym.utils.finite import all_finite

PATIENCE = 10
"""Iterations in a row of which nothing was learned, after which a run gives up."""


class TrainingBrokenError(UserError):
    """Nothing can be learned any more; the weights are those of the last iteration that learned."""


@dataclass
class Health:
    """Keeps a copy of everything that learning changes, and restores it after an iteration that spoilt it."""

    tensors: Callable[[], dict[str, torch.Tensor]]
    """Returns all tensors that an update changes, by name; they keep their memory, but new ones may appear."""

    def __post_init__(self) -> None:
        """Copy the tensors."""
        self._lost_in_a_row = 0
        self._kept: dict[str, torch.Tensor] = {}
        self._keep(self.tensors())

    def _keep(self, tensors: dict[str, torch.Tensor]) -> None:
        if self._kept.keys() != tensors.keys():
            self._kept = {name: tensor.detach().clone() for name, tensor in tensors.items()}
            return
        with torch.no_grad():
            torch._foreach_copy_(list(self._kept.values()), [tensor.detach() for tensor in tensors.values()])

    def _put_back(self, tensors: dict[str, torch.Tensor]) -> None:
        with torch.no_grad():
            for name, tensor in tensors.items():
                kept = self._kept.get(name)
                tensor.zero_() if kept is None else tensor.copy_(kept)  # moments that did not exist were zero

    def forget(self) -> None:
        """Copy the tensors anew, if they are finite: call it after loading a checkpoint or setting something."""
        tensors = self.tensors()
        if all_finite(tensors.values()):
            self._keep(tensors)

    def check(self, skipped: SkippedSteps, iteration: int) -> str | None:
        """Judge an iteration; waits for the device.

        Args:
            skipped: Optimiser steps left out of its update.
            iteration: Its number, for messages.

        Returns:
            What the user should know, if anything.

        Raises:
            TrainingBrokenError: The last `PATIENCE` iterations were lost.
        """
        tensors = self.tensors()
        finite = bool(all_finite(tensors.values()))
        if finite and not skipped.mostly:
            self._keep(tensors)
            self._lost_in_a_row = 0
            return str(skipped) if skipped.losses or skipped.total else None
        self._put_back(tensors)
        self._lost_in_a_row += 1
        reason = str(skipped) if finite else "weights became infinite or not a number"
        if self._lost_in_a_row >= PATIENCE:
            raise TrainingBrokenError(
                f"training gave up at iteration {iteration}: {PATIENCE} iterations in a row could not be learned from "
                f"({reason}); look for a learning rate or a reward scale that is too large"
            )
        return f"{reason}: the iteration is taken back"
