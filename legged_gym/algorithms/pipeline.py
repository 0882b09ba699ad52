"""Learning from one rollout while the next one is collected."""

import copy
from collections.abc import Generator

import torch
from rsl_rl.models import MLPModel
from rsl_rl.storage import RolloutStorage
from torch import nn

from legged_gym.utils.cuda_graph import Branch

TENSORS = ("rewards", "actions", "values", "actions_log_prob", "returns", "advantages")
"""What a storage holds besides observations and the parameters of the actions' distribution, to learn from it."""

Pieces = Generator[None, None, torch.Tensor]
"""An update in pieces: each `next` queues some of its work, and it returns its mean losses."""


class Update:
    """An update that is queued piece by piece, on a queue of its own if the GPU has something else to do."""

    def __init__(self, pieces: Pieces, branch: Branch) -> None:
        """Queue the first piece."""
        self._pieces, self._branch = pieces, branch
        self._losses: torch.Tensor | None = None
        self._advance(1, waits=True)

    def advance(self, count: int) -> None:
        """Queue some more pieces, if there are any."""
        self._advance(count, waits=False)

    def _advance(self, count: int, waits: bool) -> None:
        with torch.inference_mode(False), self._branch.fork(waits):
            for _ in range(count):
                if self._losses is not None:
                    return
                try:
                    next(self._pieces)
                except StopIteration as end:
                    self._losses = end.value

    def finish(self) -> torch.Tensor:
        """Queue the rest, and let what is queued from now on wait for it; returns the mean losses."""
        while self._losses is None:
            self.advance(1)
        self._branch.join()
        return self._losses


class Pipeline:
    """Lets the next rollout be collected while the last one is learned from.

    Physics and the networks of a rollout leave much of a GPU idle, and so do the small steps of an update. So an update
    learns from a copy of the rollout, and a copy of the networks, with the weights from before the update, acts.
    Without a pipeline both are the originals.
    """

    def __init__(
        self, storage: RolloutStorage, actor: MLPModel, critic: MLPModel, device: torch.device, enabled: bool
    ) -> None:
        """Make the copies.

        Args:
            storage: What is filled while a rollout is collected.
            actor: The policy that learns.
            critic: The value network that learns.
            device: Where they are.
            enabled: False: collect first, then learn.
        """
        self._storage, self._newest = storage, nn.ModuleList((actor, critic))
        self.lesson = storage
        """The rollout that is learned from."""
        self.actor, self.critic = actor, critic
        """The networks that act."""
        if enabled:
            self.lesson = RolloutStorage(
                *("rl", storage.num_envs, storage.num_transitions_per_env, storage.observations[0]),
                *(storage.actions_shape, storage.device),
            )
            self.actor, self.critic = (copy.deepcopy(net).requires_grad_(False) for net in (actor, critic))
        self._branch = Branch(device if enabled else "cpu")

    def begin(self, pieces: Pieces) -> Update:
        """Take the collected rollout over, and the weights that have been learned; begin to learn from it."""
        if self.lesson is not self._storage:
            copy_rollout(self._storage, self.lesson)
            self.refresh()
        self._storage.clear()
        return Update(pieces, self._branch)

    @torch.no_grad()
    def refresh(self) -> None:
        """Give the networks that act the newest weights; not while they are learned."""
        acting = nn.ModuleList((self.actor, self.critic))
        if self.lesson is not self._storage:
            torch._foreach_copy_(_tensors(acting), _tensors(self._newest))


def copy_rollout(source: RolloutStorage, target: RolloutStorage) -> None:
    """Copy what is learned from into a storage of the same shape, whose memory stays where it is."""
    target.observations.copy_(source.observations)
    params = source.distribution_params or ()
    if target.distribution_params is None:
        target.distribution_params = tuple(torch.zeros_like(x) for x in params)
    names = [getattr(source, name) for name in TENSORS]
    torch._foreach_copy_([getattr(target, name) for name in TENSORS], names)
    torch._foreach_copy_(list(target.distribution_params), list(params))


def _tensors(nets: nn.Module) -> list[torch.Tensor]:
    return [*nets.parameters(), *nets.buffers()]
