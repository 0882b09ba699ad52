"""The mean of a policy's weights over the last iterations: the policy that is judged, saved and deployed."""

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

ActorT = TypeVar("ActorT", bound=nn.Module)

OF_THE_RUN = 0.2
"""Largest share of the iterations so far that the mean goes back, for at first a policy improves quickly."""


class AveragedActor(Generic[ActorT]):
    """An actor with the exponential mean of the weights that training goes through.

    With a large learning rate each update moves the weights around an optimum, and how well a policy walks changes
    from one iteration to the next. Their mean lies nearer to it (Polyak and Juditsky, SIAM J. Control Optim. 1992).
    """

    def __init__(self, newest: ActorT, iterations: int, share: float = 0.0) -> None:
        """Copy an actor.

        Args:
            newest: The one that is trained.
            iterations: About how many iterations the mean goes back; 1: it is the newest actor.
            share: Share of the iterations so far that it goes back, if those are more and it goes back at all.
        """
        self._newest, self._iterations, self._share = newest, iterations, share if iterations > 1 else 0.0
        self.actor: ActorT = copy.deepcopy(newest).requires_grad_(False).eval()
        """It acts like the trained one, in evaluation mode."""

    def add(self, iteration: int) -> None:
        """Take the newest weights into the mean, after `iteration` iterations of the run."""
        span = max(1.0, min(max(self._iterations, self._share * iteration), OF_THE_RUN * iteration))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.actor.parameters()), list(self._newest.parameters()), 1.0 / span)

    def load_state_dict(self, state: dict[str, torch.Tensor]) -> None:
        """Take over the weights of an actor."""
        self.actor.load_state_dict(state)
