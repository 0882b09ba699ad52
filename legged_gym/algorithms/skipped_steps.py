"""Optimiser steps that were left out, by kind."""

from dataclasses import dataclass

LEARNED = ("policy and value", "replay", "velocity")
"""Kinds of optimiser steps: what they train."""


@dataclass(frozen=True)
class SkippedSteps:
    """Optimiser steps that were left out because something in them was not finite."""

    counts: dict[str, tuple[int, int]]
    """Steps left out and steps tried, by kind."""
    losses: list[str]
    """Losses that were not finite, or whose gradients were not."""

    @property
    def total(self) -> int:
        """Steps left out."""
        return sum(skipped for skipped, _ in self.counts.values())

    @property
    def mostly(self) -> bool:
        """More than half of the steps of some kind were left out."""
        return any(2 * skipped > tried for skipped, tried in self.counts.values())

    def __str__(self) -> str:
        steps = " and ".join(
            f"{skipped} of {tried} of {name}" for name, (skipped, tried) in self.counts.items() if skipped
        )
        return f"optimiser steps left out: {steps}" + (f"; not finite: {', '.join(self.losses)}" if self.losses else "")
