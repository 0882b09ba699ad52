"""Carries out the user's driving of a robot: commands and shoves."""

import math
from typing import Any

import torch

from legged_gym.viewer.controls import DIRECTIONS, Controls

SHOVE_TIME = 0.1
"""How long a shove lasts [s]."""
COMMAND_TIME = 5.0
"""How long a command of the task lasts while the user does not drive [s]."""


def drivable_cfg(cfg: Any) -> Any:
    """Leave commands to a `Driver`: the environment changes none within an episode."""
    cfg.commands.resampling_time, cfg.commands.reversing_share = 1e6, 0.0
    return cfg


def command_limits(cfg: Any) -> list[tuple[float, float]]:
    """Return the widest commands that a task asks for: v_x, v_y [m/s], w_z [rad/s]."""
    ranges = cfg.commands.ranges
    return [tuple(getattr(ranges, name)) for name in ("lin_vel_x", "lin_vel_y", "ang_vel_yaw")]


class Driver:
    """Applies `Controls` to an environment; robots that the user does not drive get commands of the task."""

    def __init__(self, env: Any, controls: Controls) -> None:
        """Begin without commands or shoves."""
        self.env, self.controls = env, controls
        self._steps, self._shove_left, self._shoved = 0, 0, 0
        self._random = torch.Generator().manual_seed(0)

    def after_step(self) -> None:
        """Set commands and forces of the next step; call it after every step and after a reset."""
        self._steps += 1
        robot = self.controls.robot
        mask = torch.zeros(self.env.num_envs, dtype=torch.bool, device=self.env.device)
        mask[robot] = True
        command = self.controls.command
        if self._steps % max(1, round(COMMAND_TIME / self.env.dt)) == 0:
            self.env.commands.resample(torch.ones_like(mask) if command is None else ~mask)
        if command is not None:
            wanted = torch.as_tensor(command, dtype=torch.float32, device=self.env.device)
            self.env.commands.set(wanted.expand(self.env.num_envs, 3), mask)
        self._shove(robot)

    def _shove(self, robot: int) -> None:
        """Begin, hold or end a shove on the base's centre of mass."""
        if self._shove_left > 0:
            self._shove_left -= 1
            if self._shove_left == 0:
                self.env.sim.wrench_w[self._shoved, 0] = 0.0
        if self.controls.pop_wish("shove") is None:
            return
        if self._shove_left > 0:
            self.env.sim.wrench_w[self._shoved, 0] = 0.0
        self._shoved, self._shove_left = robot, max(1, round(SHOVE_TIME / self.env.dt))
        size = self.controls.shove_impulse / (self._shove_left * self.env.dt)
        angle = self._shove_angle(robot)
        force = torch.tensor((size * math.cos(angle), size * math.sin(angle), 0.0), device=self.env.device)
        self.env.sim.wrench_w[robot, 0, :3] = force

    def _shove_angle(self, robot: int) -> float:
        """Direction of a shove in the world [rad]."""
        chosen = DIRECTIONS.get(self.controls.shove_direction)
        if chosen is None:
            return 2.0 * math.pi * float(torch.rand((), generator=self._random))
        return math.radians(chosen) + float(self.env.state.yaw[robot])
