"""Velocity commands and the gait clock: what is asked of each robot."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from legged_gym.envs.base.commands_config import CommandsCfg, GaitCfg
from legged_gym.utils.math import overwrite


class Commands:
    """Commanded velocities in the heading frame."""

    def __init__(self, cfg: CommandsCfg, num_envs: int, difficulty: torch.Tensor) -> None:
        """Allocate; all robots stand until `resample` is called.

        Args:
            cfg: Ranges and shares.
            num_envs: Number of robots N.
            difficulty: Where commands are drawn, from `initial_ranges` (0) to `ranges` (1). Scalar tensor.
        """
        self.cfg = cfg
        self._difficulty, device = difficulty, difficulty.device
        names = ("lin_vel_x", "lin_vel_y", "ang_vel_yaw")
        self._initial = torch.tensor([getattr(cfg.initial_ranges, name) for name in names], device=device)  # (3, 2)
        self._full = torch.tensor([getattr(cfg.ranges, name) for name in names], device=device)
        self.command = torch.zeros(num_envs, 3, device=device)
        """v_x, v_y [m/s] and w_z [rad/s], heading frame. Shape (N, 3)."""
        self.standing = torch.ones(num_envs, dtype=torch.bool, device=device)
        """The command asks to stand: all of it is zero. Shape (N,)."""
        self.reversing = torch.zeros(num_envs, dtype=torch.bool, device=device)
        """The command changes its sign every `reversing_time`. Shape (N,)."""

    def resample(self, mask: torch.Tensor) -> None:
        """Draw new commands for the robots in `mask` (N,)."""
        # Drawn for all robots: only the device knows how many are in the mask.
        u = torch.rand(len(mask), 4, device=mask.device)
        low, high = torch.lerp(self._initial, self._full, self._difficulty).unbind(-1)
        command, kind = torch.lerp(low, high, u[:, :3]), u[:, 3]
        command[:, 2].masked_fill_(kind >= 1.0 - self.cfg.straight_share, 0.0)
        standing = kind < self.cfg.standing_share
        reversing = ~standing & (kind < self.cfg.standing_share + self.cfg.reversing_share)
        command[:, :2].mul_(torch.where(reversing, self.cfg.reversing_lin_vel, 1.0).unsqueeze(-1))
        self.set(command.masked_fill_(standing.unsqueeze(-1), 0.0), mask)
        self.reversing.logical_or_(mask & reversing)

    @contextmanager
    def no_narrower(self) -> Iterator[None]:
        """Draw in the body from ranges that are at least as wide as those of now, whatever the difficulty."""
        initial = self._initial.clone()
        self._initial.lerp_(self._full, self._difficulty)  # in place, for recorded work reads it
        try:
            yield
        finally:
            self._initial.copy_(initial)

    def set(self, command: torch.Tensor, mask: torch.Tensor) -> None:
        """Give the robots in `mask` (N,) a command (N, 3) that stays."""
        overwrite(self.command, mask, command)
        self.standing.copy_((self.command == 0.0).all(-1))
        self.reversing.logical_and_(~mask)

    def reverse(self, due: torch.Tensor) -> None:
        """Change the sign of those commands that do so, for the robots in `due` (N,)."""
        self.command.mul_(torch.where(due & self.reversing, -1.0, 1.0).unsqueeze(-1))


class GaitClock:
    """The clock that teacher, rewards and policy share, and its parameters.

    The clock g runs over [0, 1) once per gait cycle of two steps. A foot is to be on the ground while its own phase is
    below `duration`; the left foot's phase is g, the right one's g - offset.
    """

    def __init__(self, cfg: GaitCfg, num_envs: int, difficulty: torch.Tensor) -> None:
        """Allocate; `resample` and `reset` fill in.

        Args:
            cfg: The nominal gait and the ranges of its parameters.
            num_envs: Number of robots N.
            difficulty: How far parameters may differ from the nominal gait, 0 to 1. Scalar tensor.
        """
        device, names = difficulty.device, ("frequency", "offset", "duration", "swing_height")
        bounds = torch.tensor([getattr(cfg.ranges, name) for name in names], device=device)
        self._low, self._high = bounds.unbind(-1)
        self._nominal = torch.tensor([getattr(cfg.nominal, name) for name in names], device=device)
        self._difficulty, self._nominal_share = difficulty, cfg.nominal_share
        self.clock = torch.zeros(num_envs, device=device)
        """g [cycles]. Shape (N,)."""
        self.params = torch.zeros(num_envs, 4, device=device)
        """Frequency [Hz], offset [cycles], duration [cycles], swing height [m]. Shape (N, 4)."""

    def resample(self, mask: torch.Tensor) -> None:
        """Draw new gait parameters for the robots in `mask` (N,)."""
        u = torch.rand(len(mask), 5, device=mask.device)
        drawn = torch.lerp(self._low, self._high, u[:, :4])
        far = self._difficulty * (u[:, 4:] >= self._nominal_share)
        overwrite(self.params, mask, torch.lerp(self._nominal.expand_as(drawn), drawn, far))

    def reset(self, mask: torch.Tensor, clock: torch.Tensor) -> None:
        """Start the robots in `mask` (N,) at a point of the cycle (N,)."""
        overwrite(self.clock, mask, clock)

    def advance(self, dt: float) -> None:
        """Let the clock run for dt [s]."""
        self.shift(self.params[:, 0] * dt)

    def shift(self, delta: torch.Tensor) -> None:
        """Move the clock by delta [cycles]. Shape (N,)."""
        self.clock.add_(delta).remainder_(1.0)

    def desired_contact(self, kappa: float) -> torch.Tensor:
        """Contact the clock asks for: 1 in stance, 0 in swing, a logistic switch of width `kappa` [cycles] between.

        Returns:
            Left and right. Shape (N, 2).
        """
        phase = torch.stack((self.clock, self.clock - self.params[:, 1]), dim=-1)  # (N, 2)
        half = 0.5 * self.params[:, 2:3]
        # Around the cycle, -0.5 to 0.5: a foot is on the ground within half its duration of mid-stance.
        from_mid_stance = torch.remainder(phase - half + 0.5, 1.0) - 0.5
        return torch.sigmoid((half - from_mid_stance.abs()) / (0.5 * kappa))

    def swing_heights(self) -> torch.Tensor:
        """Height that the clock asks of each foot: the swing height in mid-swing, sin^2 towards its ends, 0 in stance.

        Returns:
            Left and right [m]. Shape (N, 2).
        """
        phase = torch.stack((self.clock, self.clock - self.params[:, 1]), dim=-1).remainder(1.0)
        duration, height = self.params[:, 2:].unsqueeze(1).unbind(-1)  # (N, 1)
        swing = ((phase - duration) / (1.0 - duration)).clamp(min=0.0)
        return height * torch.sin(torch.pi * swing).square()
