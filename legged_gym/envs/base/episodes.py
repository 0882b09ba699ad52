"""When an episode ends and why, and what is logged of those that have ended."""

import math
from collections.abc import Sequence

import torch

from legged_gym.envs.base.legged_robot_config import TerminationCfg
from legged_gym.envs.base.robot_state import RobotState


class Episodes:
    """Age of each robot's episode, and how it ended in the last step."""

    def __init__(
        self, cfg: TerminationCfg, max_length: int, dt: float, terminating: torch.Tensor, num_envs: int
    ) -> None:
        """Allocate.

        Args:
            cfg: What counts as a fall.
            max_length: Longest episode [policy steps].
            dt: Policy step [s].
            terminating: Indices of the bodies whose contact is a fall. Shape (K,).
            num_envs: Number of robots N.
        """
        self.cfg, self._max_length, self._dt, self._terminating = cfg, max_length, dt, terminating
        device = terminating.device
        self.length = torch.zeros(num_envs, dtype=torch.long, device=device)
        """Policy steps since the last reset. Shape (N,)."""
        self._tilt_steps = torch.zeros(num_envs, dtype=torch.long, device=device)
        self.fell = torch.zeros(num_envs, dtype=torch.bool, device=device)
        """The robot fell in the last step (and was reset after it)."""
        self.timed_out = torch.zeros(num_envs, dtype=torch.bool, device=device)
        """The episode ended by time in the last step, without a fall."""
        self.broke = torch.zeros(num_envs, dtype=torch.bool, device=device)
        """The simulation of the robot left the finite numbers in the last step; counts as a fall."""

    @property
    def done(self) -> torch.Tensor:
        """Robots whose episode ended in the last step. Shape (N,)."""
        return self.fell | self.timed_out

    def is_every(self, interval: int, phase: torch.Tensor | int = 0) -> torch.Tensor:
        """Robots for which a multiple of `interval` policy steps has passed, and whose episode is not new. Shape (N,).

        Args:
            interval: [policy steps].
            phase: How much earlier each robot's turn comes [policy steps]. Shape (N,).
        """
        return ((self.length + phase) % interval == 0) & (self.length > 0)

    def check(self, state: RobotState, left: torch.Tensor | None, refused: torch.Tensor) -> None:
        """Find the robots that fell, broke or ran out of time.

        Args:
            state: After the step.
            left: Robots that are about to leave the ground, if there is an end to it. Shape (N,).
            refused: Robots whose action was not finite. Shape (N,).
        """
        cfg = self.cfg
        feet, base = state.feet_lin_vel_w.square().sum(-1).amax(-1), state.root_lin_vel_w.square().sum(-1)
        # A sum is finite only if all its terms are: this checks one number per robot instead of all.
        finite = torch.isfinite(state.root_pos_w.sum(-1) + state.joint_vel.sum(-1) + state.root_ang_vel_w.sum(-1))
        self.broke = ~(finite & (torch.maximum(feet, base) < cfg.max_speed**2)) | refused
        forces = state.contact_force_w.index_select(1, self._terminating).square().sum(-1)  # (N, K)
        touched = (forces > cfg.contact_force**2).any(-1)
        tilted = -state.projected_gravity_b[:, 2] < math.cos(cfg.max_tilt)
        self._tilt_steps.copy_(torch.where(tilted, self._tilt_steps + 1, 0))
        self.fell = touched | (self._tilt_steps * self._dt > cfg.tilt_time) | self.broke
        over = self.length >= self._max_length
        self.timed_out = (over if left is None else over | left) & ~self.fell

    def break_off(self, mask: torch.Tensor) -> None:
        """Mark the robots in `mask` (N,) as broken in this step, too."""
        self.broke |= mask
        self.fell |= mask
        self.timed_out &= ~mask

    def begin(self, mask: torch.Tensor) -> None:
        """Begin a new episode with the robots in `mask` (N,)."""
        self.length.masked_fill_(mask, 0)
        self._tilt_steps.masked_fill_(mask, 0)


class EpisodeLog:
    """Sums of the reward terms over each episode, and over all that ended since the last reading."""

    def __init__(
        self, names: Sequence[str], num_envs: int, dt: float, episode_length_s: float, device: torch.device
    ) -> None:
        """Allocate.

        Args:
            names: Names of the reward terms.
            num_envs: Number of robots N.
            dt: Policy step [s].
            episode_length_s: Longest episode [s].
            device: Where the robots are.
        """
        self.names, self._episode_length_s = [f"rew_{name}" for name in names], episode_length_s
        self._robot_seconds = dt * num_envs  # of a policy step
        self.sums = torch.zeros(len(names), num_envs, device=device)
        """Sum of each weighted reward term over the running episode. Shape (R, N)."""
        self.finished = torch.zeros(len(names) + 3, device=device)
        """Sums over the episodes that ended: reward terms, ends, falls, broken simulations. Shape (R + 3,)."""
        self.not_finite = torch.zeros(len(names), device=device)
        """Number of times that each reward term was not finite. Shape (R,)."""
        self.steps = 0
        """Policy steps since the last reading."""

    def finish(self, mask: torch.Tensor, episodes: Episodes) -> None:
        """Take over the sums of the robots in `mask` (N,), whose episodes have ended."""
        ends = torch.cat((self.sums, torch.stack((mask, episodes.fell, episodes.broke))))  # (R + 3, N)
        self.finished += torch.where(mask, ends, 0.0).sum(-1)
        self.sums.masked_fill_(mask, 0.0)

    def read(self, refused_actions: torch.Tensor) -> dict[str, float]:
        """Sum up the episodes that ended since the last call, and clear the counts. Waits for the device.

        Args:
            refused_actions: How many actions were not finite; cleared, too. Scalar.

        Returns:
            Reward terms per second of a full episode (absent if none ended), falls per second and robot, robots whose
            simulation broke; and under `not_finite_<term>` how often a reward term or an action was not finite, if it
            ever was.
        """
        # One copy, for each one waits for the device.
        counts = torch.cat((self.finished, self.not_finite, refused_actions.view(1))).tolist()
        sums, not_finite = counts[: len(self.finished)], counts[len(self.finished) :]
        robot_seconds = max(self.steps, 1) * self._robot_seconds
        for tensor in (self.finished, self.not_finite, refused_actions):
            tensor.zero_()
        self.steps = 0
        ended, fell, broke = sums[-3:]
        log = {"fall_rate": fell / robot_seconds, "broken_robots": broke}
        log |= {f"not_finite_{name}": n for name, n in zip((*self.names, "action"), not_finite, strict=True) if n}
        if ended:
            scale = 1.0 / (ended * self._episode_length_s)
            log |= {name: total * scale for name, total in zip(self.names, sums, strict=False)}
        return log
