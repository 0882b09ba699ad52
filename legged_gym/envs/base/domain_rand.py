"""Differences between robots and episodes, drawn at every reset and scaled by the curriculum's difficulty."""

from collections.abc import Sequence

import torch

from legged_gym.envs.base.legged_robot_config import LeggedRobotCfg
from legged_gym.sim.sim_options import CONTACT_TIME_CONSTANT
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.math import overwrite, quat_from_tilt

Columns = dict[str, list[tuple[float, float, float]]]
"""Nominal value, lowest and highest value of each column of each quantity."""


class Draws:
    """Quantities that are drawn together, uniformly; the difficulty widens their ranges from the nominal values."""

    def __init__(
        self, columns: Columns, difficulty: torch.Tensor, share: torch.Tensor | None = None, milder: Sequence[str] = ()
    ) -> None:
        """Lay the columns of all quantities out side by side.

        Args:
            columns: See `Columns`.
            difficulty: How far draws may differ from the nominal values, 0 to 1. Scalar tensor.
            share: Factor on the difficulty for each robot, in the quantities `milder`. Shape (N, 1); None for 1.
            milder: Names of the quantities that `share` makes milder.
        """
        self._difficulty = difficulty
        self._share: torch.Tensor | None = None
        if share is not None:
            widths = [(name in milder, len(column)) for name, column in columns.items()]
            is_milder = [mild for mild, width in widths for _ in range(width)]
            self._share = torch.where(torch.tensor(is_milder, dtype=torch.bool, device=share.device), share, 1.0)
        self._widths = {name: len(column) for name, column in columns.items()}
        table = torch.tensor([c for column in columns.values() for c in column]).view(-1, 3).to(difficulty.device)
        self._nominal, low, high = table.unbind(-1)
        self._start, self._span = low - self._nominal, high - low

    def draw(self, num: int) -> dict[str, torch.Tensor]:
        """Draw each quantity for `num` robots, by name. Shape (num, width)."""
        u = torch.rand(num, len(self._nominal), device=self._nominal.device)
        # nominal + difficulty (start + span u), in two operations instead of four
        reach = self._difficulty if self._share is None else self._difficulty * self._share
        drawn = torch.addcmul(self._nominal, reach, torch.addcmul(self._start, self._span, u))
        return dict(zip(self._widths, drawn.split(list(self._widths.values()), dim=-1), strict=True))


class DomainRandomizer:
    """Draws what the config asks for and hands it to the simulator or keeps it for the environment."""

    def __init__(
        self, cfg: LeggedRobotCfg, sim: Simulator, difficulty: torch.Tensor, share: torch.Tensor | None = None
    ) -> None:
        """Allocate, and set what is not randomised.

        Args:
            cfg: The environment's configuration.
            sim: Takes the physical parameters.
            difficulty: How far draws may differ from the nominal values, 0 to 1. Scalar tensor.
            share: Factor on the difficulty of each robot's friction and load. Shape (N, 1); None for 1.
        """
        self.cfg = cfg.domain_rand
        self.sim = sim
        self._difficulty = difficulty
        n, joints = sim.num_envs, len(sim.robot.joint_names)
        self.joint_zero_error = torch.zeros(n, joints, device=sim.device)
        """Error of each joint's zero [rad]. Shape (N, J)."""
        self.imu_quat = torch.zeros(n, 4, device=sim.device)
        """Rotation from the base to the IMU's frame, x y z w. Shape (N, 4)."""
        self.imu_quat[:, 3] = 1.0
        self.gyro_bias = torch.zeros(n, 3, device=sim.device)
        """[rad/s]. Shape (N, 3)."""
        self.action_delay = torch.full((n,), cfg.control.action_delay, device=sim.device)
        """Mean delay of the action [s]. Shape (N,)."""
        self.observation_delay = torch.zeros(n, device=sim.device)
        """Mean age of what is measured [s]. Shape (N,)."""
        self.observation_age = torch.zeros(n, device=sim.device)
        """Age of what is measured at this instant [s]. Shape (N,)."""
        self._stale = torch.zeros(n, dtype=torch.bool, device=sim.device)
        self._per_episode = Draws(self._episode_columns(cfg), difficulty, share, ("friction", "foot_friction"))
        self._per_body = Draws(self._body_columns(), difficulty, share, ("base_mass_added",))
        self._friction = cfg.terrain.static_friction
        sim.set_parameter("friction", torch.full_like(sim.parameters["friction"], self._friction))
        sim.set_parameter("action_delay", self.action_delay)

    def _episode_columns(self, cfg: LeggedRobotCfg) -> Columns:
        """Quantities that are drawn at every reset."""
        rand, joints, kp, kd = (
            cfg.domain_rand,
            self.joint_zero_error.shape[-1],
            cfg.control.stiffness,
            cfg.control.damping,
        )
        columns: Columns = {}
        if rand.randomize_friction:
            columns["friction"] = [(cfg.terrain.static_friction, *rand.friction_range)]
        if rand.randomize_gains:
            columns["kp"] = [(kp, kp * rand.stiffness_range[0], kp * rand.stiffness_range[1])] * joints
            columns["kd"] = [(kd, kd * rand.damping_range[0], kd * rand.damping_range[1])] * joints
            columns["strength"] = [(1.0, *rand.strength_range)] * joints
        if rand.randomize_foot_friction:
            columns["foot_friction"] = [(1.0, *rand.foot_friction_range)] * len(self.sim.robot.foot_names)
        if rand.randomize_contact_stiffness:
            columns["contact_time_constant"] = [(CONTACT_TIME_CONSTANT, *rand.contact_time_constant_range)]
        if rand.randomize_action_delay:
            columns["action_delay"] = [(cfg.control.action_delay, *rand.action_delay_range)]
        if rand.randomize_observation_delay:
            columns["observation_delay"] = [(0.0, *rand.observation_delay_range)]
        if rand.randomize_default_pose:
            columns["joint_zero_error"] = [(0.0, *rand.default_pose_range)] * joints
        if rand.randomize_imu:
            columns["imu_tilt"] = [(0.0, *rand.imu_tilt_range)] * 2
            columns["gyro_bias"] = [(0.0, *rand.gyro_bias_range)] * 3
        return columns

    def _body_columns(self) -> Columns:
        """Quantities that are drawn once per training iteration."""
        cfg, bodies = self.cfg, len(self.sim.robot.body_names)
        columns: Columns = {}
        if cfg.randomize_armature:
            columns["armature"] = [(self.sim.options.armature, *cfg.armature_range)] * self.joint_zero_error.shape[-1]
        if cfg.randomize_base_mass:
            columns["base_mass_added"] = [(0.0, *cfg.added_mass_range)]
        if cfg.randomize_base_com:
            columns["base_com_offset"] = [(0.0, -reach, reach) for reach in cfg.base_com_range]
        if cfg.randomize_link_mass:
            columns["link_mass_scale"] = [(1.0, *cfg.link_mass_range)] * bodies
        if cfg.randomize_link_inertia:
            columns["link_inertia_scale"] = [(1.0, *cfg.link_inertia_range)] * bodies
        return columns

    def draw(self) -> dict[str, torch.Tensor]:
        """Draw what differs between episodes, for all robots; see `reset`."""
        return self._per_episode.draw(self.sim.num_envs)

    def reset(self, mask: torch.Tensor, drawn: dict[str, torch.Tensor]) -> None:
        """Give what was drawn to the robots in `mask` (N,); new bodies wait for `refresh_bodies`."""
        self._stale |= mask
        for name in ("joint_zero_error", "gyro_bias", "action_delay", "observation_delay"):
            if name in drawn:
                kept = getattr(self, name)
                overwrite(kept, mask, drawn.pop(name).view_as(kept))
        if "imu_tilt" in drawn:
            overwrite(self.imu_quat, mask, quat_from_tilt(drawn.pop("imu_tilt")))
        feet = drawn.pop("foot_friction", None)
        if feet is not None:
            drawn["friction"] = drawn.get("friction", self._friction) * feet
        elif "friction" in drawn:
            drawn["friction"] = drawn["friction"].expand_as(self.sim.parameters["friction"])
        self._set(drawn, mask)

    def vary_delays(self) -> None:
        """Draw the delays of the next policy step around those of the episode."""
        dt = self.sim.policy_dt
        jitter = self.cfg.delay_jitter * (2.0 * torch.rand(2, self.sim.num_envs, device=self.sim.device) - 1.0)
        jitter = jitter * self._difficulty
        if self.cfg.randomize_action_delay:
            self.sim.set_parameter("action_delay", (self.action_delay + jitter[0]).clamp(0.0, dt))
        if self.cfg.randomize_observation_delay:
            self.observation_age.copy_((self.observation_delay + jitter[1]).clamp(0.0, dt))

    def refresh_bodies(self) -> None:
        """Draw masses and inertias for the robots that were reset since the last call.

        Engines derive much from these, so this is called once per training iteration and not at every step.
        """
        self._set(self._per_body.draw(self.sim.num_envs), self._stale)
        self._stale.zero_()

    def _set(self, drawn: dict[str, torch.Tensor], mask: torch.Tensor) -> None:
        current = self.sim.parameters
        self.sim.set_parameters({name: value.view_as(current[name]) for name, value in drawn.items()}, mask)
