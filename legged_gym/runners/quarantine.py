"""Keeps numbers that are not finite out of rollouts: the robot that shows one is reset, the others go on."""

import torch
from tensordict import TensorDict

from legged_gym.utils.checkpoint import check_alike
from legged_gym.utils.distributed import ALONE, Group
from legged_gym.utils.math import known_empty


class Quarantine:
    """Checks the observations and rewards of an environment. Nothing is read back from the device.

    A robot with a broken observation is asked to begin anew by an action that is not a number, which
    `LeggedRobot.step` takes as a fall; until then its observation shows zeros where it is broken.
    """

    def __init__(
        self, groups: tuple[str, ...], num_envs: int, device: torch.device | str, processes: Group = ALONE
    ) -> None:
        """Begin with no robot in quarantine.

        Args:
            groups: Observation groups to look at.
            num_envs: Number of robots N.
            device: Where the rollout is.
            processes: Group of processes whose robots `log` counts.
        """
        self._groups, self._processes = groups, processes
        self._inside = torch.zeros(num_envs, dtype=torch.bool, device=device)
        self._anybody = False
        self._counts = torch.zeros(len(groups) + 1, device=device)

    def check(self, obs: TensorDict, rewards: torch.Tensor | None = None) -> None:
        """Put zeros in place of what is not finite, in place, and remember whose observation that was.

        Args:
            obs: What the robots observe.
            rewards: Their rewards; None before the first step. Shape (N,).
        """
        earned = torch.zeros_like(obs[self._groups[0]][:, 0]) if rewards is None else rewards
        sums = torch.stack([*(obs[name].sum(-1) for name in self._groups), earned])  # (G + 1, N)
        broken = ~sums.isfinite()
        torch.any(broken[:-1], dim=0, out=self._inside)
        self._anybody = not known_empty(self._inside)
        if known_empty(broken.any(0)):
            return
        self._counts += broken.sum(-1)
        for tensor in (*(obs[name] for name in self._groups), earned):
            torch.nan_to_num(tensor, nan=0.0, posinf=0.0, neginf=0.0, out=tensor)

    def release(self, actions: torch.Tensor) -> torch.Tensor:
        """Return the actions with NaN for robots in quarantine, so that the environment resets them. Shape (N, A)."""
        return actions.masked_fill(self._inside.unsqueeze(-1), torch.nan) if self._anybody else actions

    def exact_state(self) -> torch.Tensor:
        """Return which robots are in quarantine, in place. Shape (N,)."""
        return self._inside

    def load_exact_state(self, inside: torch.Tensor) -> None:
        """Take over what `exact_state` returned."""
        check_alike(inside, self._inside, "quarantine")
        self._inside.copy_(inside)
        self._anybody = not known_empty(self._inside)

    def log(self) -> dict[str, float]:
        """Return how often each group, or the reward, was not finite since the last call, if it ever was."""
        counts = self._processes.sum(self._counts).tolist()
        self._counts.zero_()
        return {name: count for name, count in zip((*self._groups, "reward"), counts, strict=True) if count}
