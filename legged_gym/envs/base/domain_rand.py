"""Differences between robots and episodes, drawn at every reset and scaled by the curriculum's difficulty."""

import torch

from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.math import quat_from_tilt, uniform


class DomainRandomizer:
    """Draws what the config asks for and hands it to the simulator or keeps it for the environment."""

    def __init__(self, cfg: LeggedRobotCfg, sim: Simulator, difficulty: torch.Tensor) -> None:
        """Allocate, and set what is not randomised.

        Args:
            cfg: The environment's configuration.
            sim: Takes the physical parameters.
            difficulty: How far from nominal values are drawn, 0 to 1. Scalar tensor.
        """
        self.cfg = cfg.domain_rand
        self.sim = sim
        self._difficulty = difficulty
        n, joints = sim.num_envs, len(sim.robot.joint_names)
        self._stiffness, self._damping = cfg.control.stiffness, cfg.control.damping
        self.joint_zero_error = torch.zeros(n, joints, device=sim.device)
        """Error of each joint's zero [rad]. Shape (N, J)."""
        self.imu_quat = torch.zeros(n, 4, device=sim.device)
        """Rotation from the base to the IMU's frame, x y z w. Shape (N, 4)."""
        self.imu_quat[:, 3] = 1.0
        self._stale = torch.zeros(n, dtype=torch.bool, device=sim.device)
        self._com_reach = torch.tensor(self.cfg.base_com_range, device=sim.device)
        self._friction = cfg.terrain.static_friction
        sim.set_parameter("friction", torch.full((n,), self._friction, device=sim.device))

    def _draw(self, name: str, nominal: float, bounds: tuple[float, float]) -> torch.Tensor:
        """Draw a simulation parameter around its nominal value."""
        drawn = uniform(tuple(self.sim.parameters[name].shape), *bounds, self.sim.device)
        return nominal + self._difficulty * (drawn - nominal)

    def reset(self, mask: torch.Tensor) -> None:
        """Draw anew for the robots in `mask` (N,), but for their bodies: these wait for `refresh_bodies`."""
        cfg, sim, device, rows = self.cfg, self.sim, self.sim.device, mask.unsqueeze(-1)
        self._stale |= mask
        if cfg.randomize_friction:
            sim.set_parameter("friction", self._draw("friction", self._friction, cfg.friction_range), mask)
        if cfg.randomize_gains:
            sim.set_parameter("kp", self._stiffness * self._draw("kp", 1.0, cfg.stiffness_range), mask)
            sim.set_parameter("kd", self._damping * self._draw("kd", 1.0, cfg.damping_range), mask)
            sim.set_parameter("strength", self._draw("strength", 1.0, cfg.strength_range), mask)
        if cfg.randomize_action_delay:
            delay = self._draw("action_delay", 0.0, cfg.action_delay_range)
            sim.set_parameter("action_delay", (delay / sim.options.timestep).round(), mask)
        if cfg.randomize_default_pose:
            error = self._difficulty * uniform(tuple(self.joint_zero_error.shape), *cfg.default_pose_range, device)
            self.joint_zero_error.copy_(torch.where(rows, error, self.joint_zero_error))
        if cfg.randomize_imu:
            tilt = self._difficulty * uniform((len(mask), 2), *cfg.imu_tilt_range, device)
            self.imu_quat.copy_(torch.where(rows, quat_from_tilt(tilt), self.imu_quat))

    def refresh_bodies(self) -> None:
        """Draw masses and inertias for the robots that were reset since the last call.

        Engines derive much from these, so this is called once per training iteration and not at every step.
        """
        cfg, draws = self.cfg, {}
        if cfg.randomize_base_mass:
            draws["base_mass_added"] = self._draw("base_mass_added", 0.0, cfg.added_mass_range)
        if cfg.randomize_base_com:
            draws["base_com_offset"] = self._draw("base_com_offset", 0.0, (-1.0, 1.0)) * self._com_reach
        if cfg.randomize_link_mass:
            draws["link_mass_scale"] = self._draw("link_mass_scale", 1.0, cfg.link_mass_range)
        if cfg.randomize_link_inertia:
            draws["link_inertia_scale"] = self._draw("link_inertia_scale", 1.0, cfg.link_inertia_range)
        for name, value in draws.items():
            self.sim.set_parameter(name, value, self._stale)
        self._stale.zero_()

    def push_velocity(self) -> torch.Tensor:
        """Draw a velocity change for every robot: random direction, random size up to the maximum [m/s].

        Returns:
            World frame. Shape (N, 3).
        """
        n, device = self.sim.num_envs, self.sim.device
        angle = uniform((n,), 0.0, 2.0 * torch.pi, device)
        size = self._difficulty * uniform((n,), 0.0, self.cfg.max_push_vel_xy, device)
        return torch.stack((size * torch.cos(angle), size * torch.sin(angle), torch.zeros_like(size)), dim=-1)
