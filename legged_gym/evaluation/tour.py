"""Script of a short film: commands one after the other, and a push."""

from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Leg:
    """One part of a tour."""

    caption: str
    duration: float
    """[s]"""
    command: tuple[float, float, float]
    """v_x, v_y [m/s] and w_z [rad/s], heading frame."""
    push: tuple[float, float] = (0.0, 0.0)
    """Velocity kick at the start, along x and y of the world [m/s]."""


TOUR = (
    Leg("forward 0.7 m/s", 3.0, (0.7, 0.0, 0.0)),
    Leg("sideways 0.3 m/s", 2.0, (0.0, 0.3, 0.0)),
    Leg("turn 0.8 rad/s", 2.0, (0.3, 0.0, -0.8)),
    Leg("pushed by 1 m/s", 1.5, (0.3, 0.0, 0.0), push=(0.7, 0.7)),
    Leg("backward 0.4 m/s", 1.5, (-0.4, 0.0, 0.0)),
)
TOUR_DURATION = sum(leg.duration for leg in TOUR)
"""[s]"""


def tour_cfg(cfg: Any) -> Any:
    """Leave commands to the tour and start with the heading along x, which the camera sees from front and side."""
    cfg.commands.resampling_time, cfg.commands.reversing_share = 1e6, 0.0
    cfg.init_state.yaw = (0.0, 0.0)
    return cfg


class Tour:
    """Leads all robots of an environment through `TOUR`, again and again."""

    def __init__(self, env: Any) -> None:
        """Begin before the first leg."""
        self.env = env
        self._everyone = torch.ones(env.num_envs, dtype=torch.bool, device=env.device)
        self._leg: Leg | None = None

    @property
    def caption(self) -> str:
        """Caption of the present leg."""
        return "" if self._leg is None else self._leg.caption

    def before(self, step: int) -> None:
        """Set the command and the push that are due before policy step `step`."""
        time = (step + 0.5) * self.env.dt % TOUR_DURATION
        ends = torch.tensor([leg.duration for leg in TOUR]).cumsum(0)
        leg = TOUR[int(torch.searchsorted(ends, time))]
        if leg is self._leg:
            return
        self._leg = leg
        command = torch.tensor([leg.command], device=self.env.device).repeat(self.env.num_envs, 1)
        self.env.commands.set(command, self._everyone)
        if any(leg.push):
            kick = torch.tensor([(*leg.push, 0.0)], device=self.env.device).repeat(self.env.num_envs, 1)
            self.env.sim.push(self._everyone, kick)
