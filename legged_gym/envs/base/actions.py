"""From the policy's action to joint targets, and the actions that came before."""

import torch

from legged_gym.utils.math import known_empty


class Actions:
    """The last actions of N robots, in units of the action scale."""

    def __init__(self, num_envs: int, num_joints: int, clip: float, device: torch.device) -> None:
        """Allocate; all are zero.

        Args:
            num_envs: Number of robots N.
            num_joints: Number of joints J.
            clip: Largest action that is passed on.
            device: Where the robots are.
        """
        self._clip = clip
        self.now = torch.zeros(num_envs, num_joints, device=device)
        """The policy's action of this step. Shape (N, J)."""
        self.before = torch.zeros(num_envs, 2, num_joints, device=device)
        """The same, one and two steps earlier. Shape (N, 2, J)."""
        self.applied = torch.zeros(num_envs, num_joints, device=device)
        """The action as the controller clamped it, see `Simulator`; it is the robot's own last action. Shape (N, J)."""
        self.refused = torch.zeros(num_envs, dtype=torch.bool, device=device)
        """The robot was given an action that is not finite: it executed zero and counts as broken. Shape (N,)."""
        self.num_refused = torch.zeros((), device=device)
        """Number of refused actions since the last `EpisodeLog.read`. Scalar."""

    def receive(self, actions: torch.Tensor) -> None:
        """Remember what the policy asks for now (N, J)."""
        self.before[:, 1].copy_(self.before[:, 0])
        self.before[:, 0].copy_(self.now)
        self.now.copy_(actions.clamp(-self._clip, self._clip))
        torch.logical_not(actions.sum(-1).isfinite(), out=self.refused)
        if not known_empty(self.refused):
            self.num_refused += self.refused.sum()
            self.now.masked_fill_(self.refused.unsqueeze(-1), 0.0)

    def forget(self, mask: torch.Tensor) -> None:
        """Start the robots in `mask` (N,) from zero actions."""
        self.now.masked_fill_(mask.view(-1, 1), 0.0)
        self.applied.masked_fill_(mask.view(-1, 1), 0.0)
        self.before.masked_fill_(mask.view(-1, 1, 1), 0.0)
