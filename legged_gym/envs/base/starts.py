"""Where and how robots start an episode."""

import torch

from legged_gym.envs.base.domain_rand import Draws
from legged_gym.envs.base.ground import Plane
from legged_gym.envs.base.legged_robot_config import InitStateCfg
from legged_gym.sim.sim_state import Placement
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.math import quat_from_yaw


class Starts:
    """Draws starts, and puts robots there."""

    def __init__(self, cfg: InitStateCfg, sim: Simulator, ground: Plane, difficulty: torch.Tensor) -> None:
        """Prepare the draws.

        Args:
            cfg: Ranges, those at difficulty 1.
            sim: Robots that are put there.
            ground: Has the places where robots may start.
            difficulty: Factor on velocities and joint deviations, 0 to 1. Scalar.
        """
        self._sim, self._ground, self._difficulty = sim, ground, difficulty
        joints = len(sim.robot.joint_names)
        x, y, z = cfg.pos
        self._pos = torch.tensor((x, y, z + sim.robot.zero_pose_height), device=sim.device).expand(sim.num_envs, 3)
        self._still = torch.zeros(sim.num_envs, joints, device=sim.device)
        widths = {"yaw": 1, "lin_vel": 3, "ang_vel": 3, "joint_pos": joints}
        columns = {name: [(0.0, *getattr(cfg, name))] * width for name, width in widths.items()}
        columns |= {"clock": [(0.0, 0.0, 1.0)]} | ground.start_columns()
        self._draws = Draws(columns, torch.ones((), device=sim.device))  # whatever the difficulty

    def draw(self) -> dict[str, torch.Tensor]:
        """Draw a start for every robot, by name; `clock` is where in the gait cycle it begins [cycles]."""
        return self._draws.draw(self._sim.num_envs)

    def place(self, mask: torch.Tensor, start: dict[str, torch.Tensor], joint_zero: torch.Tensor) -> None:
        """Put the robots in `mask` (N,) where they start.

        Args:
            mask: Those robots.
            start: From `draw`.
            joint_zero: Joint angles where the robots measure their default pose [rad]. Shape (N, J).
        """
        placement = Placement(
            root_pos_w=self._ground.start(self._pos, start, mask),
            root_quat_xyzw=quat_from_yaw(start["yaw"].squeeze(-1)),
            root_lin_vel_w=self._difficulty * start["lin_vel"],
            root_ang_vel_w=self._difficulty * start["ang_vel"],
            joint_pos=joint_zero + self._difficulty * start["joint_pos"],
            joint_vel=self._still,
        )
        self._sim.reset(mask, placement)
