"""What a package of a user's own might hold: terms and events that configs of the tests name."""

import torch

from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.utils.math import rotate_yaw, yaw_from_quat

NOT_A_FUNCTION = 3


def torques(env: LeggedRobot) -> torch.Tensor:
    """Replaces the package's term of that name. Shape (N,)."""
    return 1e3 * env.state.joint_torque.abs().sum(-1)


def always_two(env: LeggedRobot) -> torch.Tensor:
    """Shape (N,)."""
    return torch.full((env.num_envs,), 2.0)


def feet_height(env: LeggedRobot) -> torch.Tensor:
    """Shape (N, 2)."""
    return env.state.feet_height


def of_another_shape(env: LeggedRobot) -> torch.Tensor:
    """Shape (3, 2)."""
    return torch.zeros(3, 2)


def pull_down(env: LeggedRobot) -> None:
    """[N]"""
    env.sim.wrench_w[:, 0, 2] = -30.0


SEEN: list[tuple[torch.Tensor, torch.Tensor]] = []
"""Heading and velocity in the heading frame that events saw, and those of the simulator's state."""


def look(env: LeggedRobot, mask: torch.Tensor | None = None) -> None:
    """As a reset event, and as a step event."""
    yaw = yaw_from_quat(env.sim.state.root_quat_xyzw)
    seen = torch.cat((env.state.yaw.unsqueeze(-1), env.state.base_lin_vel_y), dim=-1)
    SEEN.append((seen, torch.cat((yaw.unsqueeze(-1), rotate_yaw(-yaw, env.sim.state.root_lin_vel_w)), dim=-1)))


def stand(env: LeggedRobot, mask: torch.Tensor) -> None:
    """For the robots in `mask` (N,)."""
    env.commands.set(torch.full_like(env.commands.command, 0.125), mask)
