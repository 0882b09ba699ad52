"""Differences between robots: drawn once for rigid bodies, at every reset for the rest."""

import torch

from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.math import quat_from_rpy, uniform


class DomainRandomizer:
    """Draws what the config asks for and hands it to the simulator or keeps it for the environment."""

    def __init__(self, cfg: LeggedRobotCfg, sim: Simulator) -> None:
        """Allocate, and draw the rigid-body values, which stay for the run."""
        self.cfg = cfg.domain_rand
        self.sim = sim
        n, joints = sim.num_envs, len(sim.robot.joint_names)
        self._shape_joints, self._stiffness, self._damping = (n, joints), cfg.control.stiffness, cfg.control.damping
        self.joint_zero_error = torch.zeros(n, joints, device=sim.device)
        """Error of each joint's zero [rad]. Shape (N, J)."""
        self.imu_quat = torch.zeros(n, 4, device=sim.device)
        """Rotation from the base to the IMU's frame, x y z w. Shape (N, 4)."""
        self.imu_quat[:, 3] = 1.0
        self._friction = cfg.terrain.static_friction
        self._draw_bodies()

    def _draw_bodies(self) -> None:
        cfg, sim = self.cfg, self.sim
        p, device = sim.parameters, sim.device
        n, bodies = p["link_mass_scale"].shape
        friction = torch.full((n,), self._friction, device=device)
        sim.set_parameter(
            "friction", uniform((n,), *cfg.friction_range, device) if cfg.randomize_friction else friction
        )
        if cfg.randomize_base_mass:
            sim.set_parameter("base_mass_added", uniform((n,), *cfg.added_mass_range, device))
        if cfg.randomize_base_com:
            reach = torch.tensor(cfg.base_com_range, device=device)
            sim.set_parameter("base_com_offset", uniform((n, 3), -1.0, 1.0, device) * reach)
        if cfg.randomize_link_mass:
            sim.set_parameter("link_mass_scale", uniform((n, bodies), *cfg.link_mass_range, device))
        if cfg.randomize_link_inertia:
            sim.set_parameter("link_inertia_scale", uniform((n, bodies), *cfg.link_inertia_range, device))

    def reset(self, mask: torch.Tensor) -> None:
        """Draw the per-episode values of the robots in `mask` (N,)."""
        cfg, sim, device = self.cfg, self.sim, self.sim.device
        shape = self._shape_joints
        if cfg.randomize_gains:
            sim.set_parameter("kp", self._stiffness * uniform(shape, *cfg.stiffness_range, device), mask)
            sim.set_parameter("kd", self._damping * uniform(shape, *cfg.damping_range, device), mask)
            sim.set_parameter("strength", uniform(shape, *cfg.strength_range, device), mask)
        if cfg.randomize_action_delay:
            steps = uniform(shape[:1], *cfg.action_delay_range, device) / sim.options.timestep
            sim.set_parameter("action_delay", steps.round(), mask)
        rows = mask.unsqueeze(-1)
        if cfg.randomize_default_pose:
            error = uniform(shape, *cfg.default_pose_range, device)
            self.joint_zero_error.copy_(torch.where(rows, error, self.joint_zero_error))
        if cfg.randomize_imu:
            rpy = torch.nn.functional.pad(uniform((shape[0], 2), *cfg.imu_tilt_range, device), (0, 1))
            self.imu_quat.copy_(torch.where(rows, quat_from_rpy(rpy), self.imu_quat))

    def push_velocity(self) -> torch.Tensor:
        """Draw a velocity change for every robot: random direction, random size up to the maximum [m/s]. Shape (N, 3)."""
        n, device = self.sim.num_envs, self.sim.device
        angle = uniform((n,), 0.0, 2.0 * torch.pi, device)
        size = uniform((n,), 0.0, self.cfg.max_push_vel_xy, device)
        return torch.stack((size * torch.cos(angle), size * torch.sin(angle), torch.zeros_like(size)), dim=-1)
