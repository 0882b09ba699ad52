"""Steps of a network's first layer, as if all its inputs were of one size."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from legged_gym.algorithms.networks import SymmetricMLP
from legged_gym.utils.distributed import Group

SMALLEST = 0.05
"""Smaller inputs count as this large: one that hardly changed while it was measured may change more later."""
SAMPLES = 16384
"""About how many samples tell the size of an input."""


class InputScale:
    """Divides an optimiser's steps of each column of a first layer by the size of its input.

    Adam steps as far for the weight of a small input as for that of a large one, although it does less there. So a
    network is slow to learn what only its small inputs tell. Inputs that are normalised (LeCun et al., Efficient
    BackProp, 1998) do the same and a little more. Here the network itself stays what it is, and so do its files. The
    sizes are measured once, on the first rollout.
    """

    def __init__(self, mlp: nn.Sequential, device: torch.device | str, wanted: bool = True) -> None:
        """Leave all steps as they are until `measure`.

        Args:
            mlp: The network, symmetric or not; its first layer is linear.
            device: Where it lives.
            wanted: Whether to measure and divide at all.
        """
        first = mlp[0]
        assert isinstance(first, nn.Linear)
        self._mlp, self._weight = mlp, first.weight
        self.factors = torch.ones(first.in_features, device=device)
        """What the steps of each column are multiplied by: one over its input's root mean square. Shape (I,)."""
        self.wanted = wanted
        self.due = wanted
        """The sizes are to be measured yet."""

    def measure(self, x: torch.Tensor, group: Group) -> None:
        """Measure the inputs' sizes on samples x (B, I), over all processes of the group."""
        x = x[:: max(1, len(x) // SAMPLES)]
        if isinstance(self._mlp, SymmetricMLP):
            x = self._mlp.to_left(x, self._mlp.on_left(x))
        square = group.mean(x.nan_to_num(0.0, 0.0, 0.0).square().mean(0))
        self.factors.copy_(square.sqrt().clamp(min=SMALLEST).reciprocal())
        self.due = False

    @contextmanager
    def steps(self) -> Iterator[None]:
        """In the body, the optimiser takes a step; without effect if it leaves the weights alone."""
        if not self.wanted:
            yield
            return
        before = self._weight.detach().clone()
        yield
        with torch.no_grad():
            torch.lerp(before, self._weight, self.factors, out=self._weight)

    def save(self) -> torch.Tensor | None:
        """Return what `load` takes: the factors once they are measured."""
        return self.factors.clone() if self.wanted and not self.due else None

    def load(self, factors: torch.Tensor | None) -> None:
        """Take over saved factors. A network that has learned without any goes on so: such steps would carry it off."""
        self.due = False
        self.factors.fill_(1.0)
        if self.wanted and isinstance(factors, torch.Tensor) and factors.shape == self.factors.shape:
            self.factors.copy_(factors)
