"""Reflections of vectors of numbers, and those that a symmetric actor needs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Mirror:
    """The reflection of a vector of W numbers: number i becomes signs[i] times number rows[i]. It undoes itself."""

    rows: torch.Tensor
    """Shape (W,), int64."""
    signs: torch.Tensor
    """Shape (W,)."""

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Reflect vectors (..., W)."""
        return x[..., self.rows] * self.signs

    def repeated(self, times: int) -> Mirror:
        """Return the reflection of this many such vectors in a row."""
        starts = len(self.rows) * torch.arange(times, device=self.rows.device)
        return Mirror((starts.unsqueeze(-1) + self.rows).flatten(), self.signs.repeat(times))

    @staticmethod
    def joined(parts: Iterable[Mirror]) -> Mirror:
        """Reflect several vectors that stand in a row, each as it is reflected."""
        rows, signs, start = [], [], 0
        for part in parts:
            rows.append(start + part.rows)
            signs.append(part.signs)
            start += len(part.rows)
        return Mirror(torch.cat(rows), torch.cat(signs))


@dataclass(frozen=True)
class Symmetry:
    """Reflections of an actor's inputs and output in the sagittal plane, half a gait cycle later."""

    policy: Mirror
    """Reflection of the policy observation."""
    command: Mirror
    velocity: Mirror
    """Reflection of the base velocity, which the estimator estimates."""
    action: Mirror
    clock: int
    """Index of the number in the policy observation that is positive while the left foot is stance."""
