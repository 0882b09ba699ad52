"""Observations as ordered lists of named terms; widths, noise and slices follow from the list."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from legged_gym.envs.base.legged_robot import LeggedRobot


@dataclass(frozen=True)
class Term:
    """One named piece of an observation."""

    name: str
    value: Callable[["LeggedRobot"], torch.Tensor]
    """Gives the unscaled quantity. Shape (N, width) or (N,)."""
    scale: float = 1.0
    noise: float = 0.0
    """Half-width of the uniform noise, before scaling."""


class ObservationGroup:
    """A vector observation made of terms."""

    def __init__(self, terms: list[Term], env: "LeggedRobot", noisy: bool = False) -> None:
        """Read the terms' widths off the environment.

        Args:
            terms: What the observation consists of, in order.
            env: The environment, with its state allocated.
            noisy: Add the terms' noise.
        """
        self.terms = terms
        widths = [self._column(term, env).shape[-1] for term in terms]
        self.layout = [(term.name, width) for term, width in zip(terms, widths, strict=True)]
        """Name and width of each term, in order."""
        repeats = torch.tensor(widths)
        scale = torch.tensor([t.scale for t in terms]).repeat_interleave(repeats).to(env.device)
        noise = torch.tensor([t.noise for t in terms]).repeat_interleave(repeats).to(env.device)
        self._scale = scale if bool((scale != 1.0).any()) else None
        self._noise = noise * scale if noisy and bool(noise.any()) else None

    @staticmethod
    def _column(term: Term, env: "LeggedRobot") -> torch.Tensor:
        value = term.value(env).contiguous()  # `cat` is slow if one piece is not
        return value if value.ndim == 2 else value.view(len(value), -1)

    def compute(self, env: "LeggedRobot") -> torch.Tensor:
        """Assemble the observation in a fresh tensor. Shape (N, sum of widths)."""
        observation = torch.cat([self._column(term, env) for term in self.terms], dim=-1)
        if self._scale is not None:
            observation *= self._scale
        if self._noise is not None:
            # Not scaled by the curriculum: sensors are noisy from the first day on, and the gate is walked with them.
            observation.addcmul_(torch.empty_like(observation).uniform_(-1.0, 1.0), self._noise)
        return observation


def policy_terms(env: "LeggedRobot") -> list[Term]:
    """What the robot itself measures and knows: 30 numbers in the order of the robot maker's controller."""
    scales, noise = env.cfg.normalization.obs_scales, env.cfg.noise.noise_scales
    level = env.cfg.noise.noise_level
    return [
        Term("base_ang_vel_b", lambda e: e.measured_ang_vel, scales.ang_vel, noise.ang_vel * level),
        Term("projected_gravity_b", lambda e: e.measured_gravity, 1.0, noise.gravity * level),
        Term("joint_pos", lambda e: e.measured_joint_pos, scales.dof_pos, noise.dof_pos * level),
        Term("joint_vel", lambda e: e.measured_joint_vel, scales.dof_vel, noise.dof_vel * level),
        Term("last_action", lambda e: e.applied_actions),
        Term("clock_sin", lambda e: torch.sin(2.0 * torch.pi * e.gait.clock)),
        Term("clock_cos", lambda e: torch.cos(2.0 * torch.pi * e.gait.clock)),
        Term("gait_params", lambda e: e.gait.params),
    ]


def command_terms(env: "LeggedRobot") -> list[Term]:
    """The velocity command, scaled."""
    scales = env.cfg.normalization.obs_scales
    return [
        Term("lin_vel_command", lambda e: e.commands.command[:, :2], scales.lin_vel),
        Term("ang_vel_command", lambda e: e.commands.command[:, 2], scales.ang_vel),
    ]


def velocity_terms(env: "LeggedRobot") -> list[Term]:
    """The true base velocity, which the estimator learns to tell from the history."""
    return [Term("base_lin_vel_b", lambda e: e.base_lin_vel_b)]


def critic_terms(env: "LeggedRobot") -> list[Term]:
    """The true state at the same instant, without noise, and what was randomised."""
    scales, p = env.cfg.normalization.obs_scales, env.sim.parameters
    weight = env.sim.robot.total_mass * 9.81
    return [
        Term("base_lin_vel_b", lambda e: e.base_lin_vel_b, scales.lin_vel),
        Term("base_ang_vel_b", lambda e: e.base_ang_vel_b, scales.ang_vel),
        Term("projected_gravity_b", lambda e: e.projected_gravity_b),
        Term("joint_pos", lambda e: e.state.joint_pos - e.default_joint_pos, scales.dof_pos),
        Term("joint_vel", lambda e: e.state.joint_vel, scales.dof_vel),
        Term("last_action", lambda e: e.applied_actions),
        Term("clock_sin", lambda e: torch.sin(2.0 * torch.pi * e.gait.clock)),
        Term("clock_cos", lambda e: torch.cos(2.0 * torch.pi * e.gait.clock)),
        Term("gait_params", lambda e: e.gait.params),
        *command_terms(env),
        Term("base_height", lambda e: e.base_height),
        Term("feet_height", lambda e: e.feet_height),
        Term("feet_force", lambda e: e.feet_force_w, 1.0 / weight),
        Term("feet_pos_y", lambda e: e.feet_pos_y),
        Term("friction", lambda e: p["friction"]),
        Term("base_mass_added", lambda e: p["base_mass_added"], 0.2),
        Term("base_com_offset", lambda e: p["base_com_offset"], 10.0),
        Term("kp", lambda e: p["kp"] / env.cfg.control.stiffness - 1.0),
        Term("kd", lambda e: p["kd"] / max(env.cfg.control.damping, 1e-6) - 1.0),
        Term("strength", lambda e: p["strength"] - 1.0),
        Term("armature", lambda e: p["armature"], 50.0),
        Term("contact_time_constant", lambda e: p["contact_time_constant"], 50.0),
        Term("action_delay", lambda e: p["action_delay"], 50.0),
        Term("observation_age", lambda e: e.randomizer.observation_age, 50.0),
        Term("gyro_bias", lambda e: e.randomizer.gyro_bias, 10.0),
        Term("wrench", lambda e: e.sim.wrench_w[:, :, :2], 1.0 / weight),
        Term("joint_zero", lambda e: e.joint_zero - e.default_joint_pos, 10.0),
        *([] if env.ground.around.shape[-1] == 0 else [Term("ground_around", lambda e: e.ground.around, 5.0)]),
    ]


def teacher_terms(env: "LeggedRobot") -> list[Term]:
    """The true state, unscaled, as a model-based teacher reads it."""
    s = env.state
    return [
        Term("base_pos_w", lambda e: s.root_pos_w),
        Term("base_quat_xyzw", lambda e: s.root_quat_xyzw),
        Term("base_lin_vel_w", lambda e: s.root_lin_vel_w),
        Term("base_ang_vel_b", lambda e: e.base_ang_vel_b),
        Term("com_pos_w", lambda e: s.com_pos_w),
        Term("com_lin_vel_w", lambda e: s.com_lin_vel_w),
        Term("joint_pos", lambda e: s.joint_pos),
        Term("joint_vel", lambda e: s.joint_vel),
        Term("feet_pos_w", lambda e: s.feet_pos_w),
        Term("feet_lin_vel_w", lambda e: s.feet_lin_vel_w),
        Term("feet_force_w", lambda e: e.feet_force_w),
        Term("command", lambda e: e.commands.command),
        Term("clock", lambda e: e.gait.clock),
        Term("gait_frequency", lambda e: e.gait.params[:, 0]),
        Term("swing_height", lambda e: e.gait.params[:, 3]),
        Term("feet_ground_height", lambda e: e.ground.under_feet),
        Term("ground_ahead", lambda e: e.ground.ahead),
        Term("episode_time", lambda e: e.episode_length_buf * e.dt),
        Term("standing", lambda e: e.commands.standing.float()),
        Term("mass", lambda e: e.mass),
    ]
