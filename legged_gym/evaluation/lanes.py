"""Rows on terrain: robots start on a lane of the terrain `lanes`, are steered along it, and their distance is
measured."""

from collections.abc import Sequence
from typing import Any

import torch

from legged_gym.evaluation.metrics import Result
from legged_gym.terrain.lanes import LANES

STEERING_GAIN, STEERING_LIMIT = 1.0, 0.5
"""Commanded yaw rate per error of the heading [1/s], and its bound [rad/s]. A robot has no compass: without steering
its
drift would be measured, and not the ground."""


class LaneRows:
    """Rows side by side of which some walk on a lane, along +x."""

    def __init__(self, env: Any, lanes: Sequence[str]) -> None:
        """Send the robots to their lanes, from the next reset on.

        Args:
            env: On the terrain `lanes`, its robots a multiple of the rows.
            lanes: Each row's lane; "" for none.
        """
        self.env, self._lanes = env, lanes
        columns = [list(LANES).index(lane) if lane else 0 for lane in lanes]
        robots = env.num_envs // len(lanes)
        env.ground.types.copy_(torch.tensor(columns).repeat_interleave(robots))
        self._steered = torch.tensor([bool(lane) for lane in lanes]).repeat_interleave(robots).to(env.device)
        self._everyone = torch.ones_like(self._steered)
        self._start: torch.Tensor | None = None
        self._distance = torch.zeros(env.num_envs, device=env.device)

    def steer(self) -> None:
        """Command the yaw rate that keeps the robots on their lanes; call it before each policy step."""
        x = self.env.state.root_pos_w[:, 0]
        self._start = x.clone() if self._start is None else self._start
        command = self.env.commands.command.clone()
        turn = (-STEERING_GAIN * self.env.state.yaw).clamp(-STEERING_LIMIT, STEERING_LIMIT)
        command[:, 2] = torch.where(self._steered, turn, command[:, 2])
        self.env.commands.set(command, self._everyone)

    def add(self, standing: torch.Tensor) -> None:
        """Note how far the robots in this mask (N,) have come: those that count and have not fallen."""
        distance = self.env.state.root_pos_w[:, 0] - self._start
        self._distance = torch.where(standing, distance, self._distance)

    def results(self) -> list[Result]:
        """Return for each row on a lane `distance`: how far along it its robots came before a fall, mean [m]."""
        means = self._distance.view(len(self._lanes), -1).mean(-1).tolist()
        return [{"distance": mean} if lane else {} for lane, mean in zip(self._lanes, means, strict=True)]
