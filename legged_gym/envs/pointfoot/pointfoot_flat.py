"""The tasks `pointfoot_flat` and `pointfoot_rough`: a point-foot biped walks at commanded velocities on any ground.

What is special to point feet: they pass no torque to the ground, so the robot stands by stepping, and it stays upright
as long as its next step can catch it. That is what V_stab measures.
"""

import torch

from legged_gym.envs.base import observations
from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.envs.base.observations import Term
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.sim.sim_options import GRAVITY
from legged_gym.terrain.build import make_terrain
from legged_gym.terrain.terrain import Terrain

LEAST_HEIGHT = 0.3
"""The centre of mass counts as so high over the stance foot at least: a robot that falls has a finite frequency [m]."""
WORST_EXCESS = 1.0
"""Excess over the reach from which on V_stab does not rise any more [m]: nothing catches the robot there."""


class PointFootFlat(LeggedRobot):
    """A point-foot biped on a triangle mesh, a height field or a plane."""

    cfg: PointFootFlatCfg

    def make_terrain(self) -> Terrain | None:
        """Build the map of `cfg.terrain`: None on level ground, which engines take for the plane z = 0."""
        return make_terrain(self.cfg.terrain)

    def group_terms(self) -> dict[str, list[Term]]:
        """As for any legged robot, and the heights around it for the critic alone: the policy is blind.

        They come last, so that a run that has begun on level ground can go on where there are heights.
        """
        groups = super().group_terms()
        return groups | {"critic": groups["critic"] + observations.ground_terms(self)}

    def _reward_v_stab(self) -> torch.Tensor:
        """V_stab: squared distance by which the next step is too short to catch the robot [m^2]. Shape (N,)."""
        return self.capture_excess().square()

    def capture_excess(self) -> torch.Tensor:
        """How much too far the next step would have to reach to catch the robot; 0 if it can [m]. Shape (N,).

        A point foot is a fixed pivot p, from which the capture point diverges: xi - p grows by e^(omega t). When the
        swing foot lands, at the end of the step, it must reach xi (one-step capturability; Koolen et al., IJRR 2012).
        """
        state, gait = self.state, self.gait
        on_left = (gait.clock < 0.5).view(-1, 1)
        foot = torch.where(on_left, state.feet_pos_w[:, 0], state.feet_pos_w[:, 1])
        time_left = (0.5 - gait.clock.remainder(0.5)) / gait.params[:, 0]  # of the step: half a cycle [s]
        omega = (GRAVITY / (state.com_pos_w[:, 2] - foot[:, 2]).clamp(min=LEAST_HEIGHT)).sqrt()
        xi = state.com_pos_w[:, :2] + state.com_lin_vel_w[:, :2] / omega.unsqueeze(-1)
        distance = (xi - foot[:, :2]).norm(dim=-1) * torch.exp(omega * time_left)
        return (distance - self.cfg.rewards.capture_reach).clamp(0.0, WORST_EXCESS)
