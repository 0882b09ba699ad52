"""Functions that the config names: a reward term, an observation term, two events."""

import torch

from legged_gym.envs.base.legged_robot import LeggedRobot


def hop(env: LeggedRobot) -> torch.Tensor:
    """Squared difference of the feet's heights: a hop is made with both [m^2]. Shape (N,)."""
    left, right = env.state.feet_height.unbind(-1)
    return (left - right).square()


def feet_height(env: LeggedRobot) -> torch.Tensor:
    """Heights of the feet over the ground [m]. Shape (N, 2)."""
    return env.state.feet_height


def pull_down(env: LeggedRobot) -> None:
    """Every robot is pulled down a little in each policy step [N]."""
    env.sim.wrench_w[:, 0, 2] = -5.0


def stand(env: LeggedRobot, mask: torch.Tensor) -> None:
    """Robots that begin an episode, in `mask` (N,), are asked to stand."""
    env.commands.set(torch.zeros_like(env.commands.command), mask)
