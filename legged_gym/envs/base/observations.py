"""Observations as ordered lists of named terms; widths, noise and slices follow from the list."""

import itertools
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch

from legged_gym.envs.base.extensions import load_functions
from legged_gym.envs.base.symmetry import AXIAL, IN_PLANE, OPPOSITE, VECTOR, Reflection, term_mirror
from legged_gym.sim.sim_options import GRAVITY
from legged_gym.utils.errors import UserError
from legged_gym.utils.mirror import Mirror

if TYPE_CHECKING:
    from legged_gym.envs.base.legged_robot import LeggedRobot


CLOCK = "clock_sin"
"""The term that is positive while the left foot is stance."""
CLIPPED = {"policy", "critic"}
"""Groups whose values are clipped."""


@dataclass(frozen=True)
class Term:
    """One named piece of an observation."""

    name: str
    value: Callable[["LeggedRobot"], torch.Tensor]
    """Gives the unscaled quantity. Shape (N, width) or (N,)."""
    scale: float = 1.0
    noise: float = 0.0
    """Half-width of the uniform noise, before scaling."""
    reflection: Reflection | None = None
    """Change of the term for a robot reflected in its sagittal plane, half a gait cycle later; None: unknown."""


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
        if value.shape[0] != env.num_envs or value.ndim > 3:
            raise UserError(f"observation term {term.name}: has shape {tuple(value.shape)}, expected (N, width)")
        return value if value.ndim == 2 else value.view(len(value), -1)

    def column(self, name: str) -> int:
        """Return the first column of a term in the observation."""
        before = itertools.takewhile(lambda entry: entry[0] != name, self.layout)
        return sum(width for _, width in before)

    def mirror(self, joints: Mirror) -> Mirror:
        """Reflection of the observation, given that of joints.

        Raises:
            UserError: A term has no known reflection.
        """
        widths = [width for _, width in self.layout]
        parts = zip(self.terms, widths, strict=True)
        return Mirror.joined(term_mirror(term.name, term.reflection, width, joints) for term, width in parts)

    def compute(self, env: "LeggedRobot", noisy: bool = True) -> torch.Tensor:
        """Assemble the observation in a fresh tensor, with its noise unless `noisy` is False.

        Returns:
            Shape (N, sum of widths).
        """
        observation = torch.cat([self._column(term, env) for term in self.terms], dim=-1)
        if self._scale is not None:
            observation *= self._scale
        if noisy and self._noise is not None:
            # Not scaled by the curriculum: real sensors are noisy, and the walking gate is passed with this noise.
            observation.addcmul_(torch.empty_like(observation).uniform_(-1.0, 1.0), self._noise)
        return observation


class Observer:
    """Takes all observation groups of an instant, and keeps the history of the policy's."""

    def __init__(self, groups: dict[str, list[Term]], env: "LeggedRobot") -> None:
        """Allocate the history.

        Args:
            groups: The terms of each group; the group `policy` is noisy and repeated in the history.
            env: The environment, with its state allocated.
        """
        self._clip = env.cfg.normalization.clip_observations
        noisy = env.cfg.noise.add_noise
        self.groups = {name: ObservationGroup(terms, env, noisy and name == "policy") for name, terms in groups.items()}
        width = sum(w for _, w in self.groups["policy"].layout)
        self.history = torch.zeros(env.num_envs, env.cfg.env.history_length, width, device=env.device)
        """The last policy observations, the newest last. Shape (N, H, width)."""

    def observe(self, env: "LeggedRobot", fresh: torch.Tensor) -> dict[str, torch.Tensor]:
        """Make all groups; the history of the robots in `fresh` (N,) starts with copies of the first observation."""
        groups = {name: group.compute(env) for name, group in self.groups.items()}
        for name in groups.keys() & CLIPPED:
            groups[name].clamp_(-self._clip, self._clip)
        newest = groups["policy"].unsqueeze(1)  # (N, 1, 30)
        older = torch.lerp(self.history[:, 1:], newest, fresh.view(-1, 1, 1).float())  # many times faster than `where`
        history = torch.cat((older, newest), dim=1)
        self.history.copy_(history)
        groups["history"] = history.flatten(1)
        return groups

    def without_noise(self, env: "LeggedRobot") -> torch.Tensor:
        """Return the policy's observation of this instant as it would be without the terms' noise.

        It is as late and as biased as the noisy one. Terms of the user's own are asked once more. Shape (N, width).
        """
        return self.groups["policy"].compute(env, noisy=False).clamp_(-self._clip, self._clip)

    def keep(self, names: Collection[str]) -> None:
        """Make no other groups from now on but these, and the policy's, which the history repeats."""
        self.groups = {name: group for name, group in self.groups.items() if name in names or name == "policy"}

    def forget(self, mask: torch.Tensor) -> None:
        """Clear the history of the robots in `mask` (N,): values that get zero weight later must be finite."""
        self.history.masked_fill_(mask.view(-1, 1, 1), 0.0)


def further_terms(references: Sequence[str], group: str) -> list[Term]:
    """Terms of the user's own that `observations.<group>` of the config lists."""
    functions = load_functions(references, f"observations.{group}")
    return [Term(name, function) for name, function in functions.items()]


def policy_terms(env: "LeggedRobot") -> list[Term]:
    """Terms that the robot itself can compute: 30 numbers in the order of the robot maker's controller."""
    scales, noise = env.cfg.normalization.obs_scales, env.cfg.noise.noise_scales
    level = env.cfg.noise.noise_level
    return [
        Term("base_ang_vel_b", lambda e: e.sensors.ang_vel, scales.ang_vel, noise.ang_vel * level, AXIAL),
        Term("projected_gravity_b", lambda e: e.sensors.gravity, 1.0, noise.gravity * level, VECTOR),
        Term("joint_pos", lambda e: e.sensors.joint_pos, scales.dof_pos, noise.dof_pos * level, "joints"),
        Term("joint_vel", lambda e: e.sensors.joint_vel, scales.dof_vel, noise.dof_vel * level, "joints"),
        Term("last_action", lambda e: e.actions.applied, reflection="joints"),
        Term(CLOCK, lambda e: torch.sin(2.0 * torch.pi * e.gait.clock), reflection=OPPOSITE),
        Term("clock_cos", lambda e: torch.cos(2.0 * torch.pi * e.gait.clock), reflection=OPPOSITE),
        Term("gait_params", lambda e: e.gait.params, reflection="same"),
    ]


def command_terms(env: "LeggedRobot") -> list[Term]:
    """The velocity command, scaled."""
    scales = env.cfg.normalization.obs_scales
    return [
        Term("lin_vel_command", lambda e: e.commands.command[:, :2], scales.lin_vel, reflection=IN_PLANE),
        Term("ang_vel_command", lambda e: e.commands.command[:, 2], scales.ang_vel, reflection=OPPOSITE),
    ]


def velocity_terms(env: "LeggedRobot") -> list[Term]:
    """The true base velocity, which the estimator learns to estimate from the history."""
    return [Term("base_lin_vel_b", lambda e: e.state.base_lin_vel_b, reflection=VECTOR)]


def critic_terms(env: "LeggedRobot") -> list[Term]:
    """The true state at the same instant, without noise, and what was randomised."""
    scales, p = env.cfg.normalization.obs_scales, env.sim.parameters
    weight = env.sim.robot.total_mass * GRAVITY
    return [
        Term("base_lin_vel_b", lambda e: e.state.base_lin_vel_b, scales.lin_vel),
        Term("base_ang_vel_b", lambda e: e.state.base_ang_vel_b, scales.ang_vel),
        Term("projected_gravity_b", lambda e: e.state.projected_gravity_b),
        Term("joint_pos", lambda e: e.state.joint_pos - e.default_joint_pos, scales.dof_pos),
        Term("joint_vel", lambda e: e.state.joint_vel, scales.dof_vel),
        Term("last_action", lambda e: e.actions.applied),
        Term("clock_sin", lambda e: torch.sin(2.0 * torch.pi * e.gait.clock)),
        Term("clock_cos", lambda e: torch.cos(2.0 * torch.pi * e.gait.clock)),
        Term("gait_params", lambda e: e.gait.params),
        *command_terms(env),
        Term("base_height", lambda e: e.state.base_height),
        Term("feet_height", lambda e: e.state.feet_height),
        Term("feet_force", lambda e: e.state.feet_force_w, 1.0 / weight),
        Term("feet_pos_y", lambda e: e.state.feet_pos_y),
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
    ]


def ground_terms(env: "LeggedRobot") -> list[Term]:
    """Heights of the ground around the robot, where they are measured."""
    return [Term("ground_around", lambda e: e.ground.around, 5.0)] if env.ground.around.shape[-1] else []


def teacher_terms(env: "LeggedRobot") -> list[Term]:
    """The true state, unscaled, as a model-based teacher reads it."""
    s = env.state
    return [
        Term("base_pos_w", lambda e: s.root_pos_w),
        Term("base_quat_xyzw", lambda e: s.root_quat_xyzw),
        Term("base_lin_vel_w", lambda e: s.root_lin_vel_w),
        Term("base_ang_vel_b", lambda e: e.state.base_ang_vel_b),
        Term("com_pos_w", lambda e: s.com_pos_w),
        Term("com_lin_vel_w", lambda e: s.com_lin_vel_w),
        Term("joint_pos", lambda e: s.joint_pos),
        Term("joint_vel", lambda e: s.joint_vel),
        Term("feet_pos_w", lambda e: s.feet_pos_w),
        Term("feet_lin_vel_w", lambda e: s.feet_lin_vel_w),
        Term("feet_force_w", lambda e: e.state.feet_force_w),
        Term("command", lambda e: e.commands.command),
        Term("clock", lambda e: e.gait.clock),
        Term("gait_frequency", lambda e: e.gait.params[:, 0]),
        Term("swing_height", lambda e: e.gait.params[:, 3]),
        Term("feet_ground_height", lambda e: e.ground.under_feet),
        Term("ground_ahead", lambda e: e.ground.ahead),
        Term("episode_time", lambda e: e.episodes.length * e.dt),
        Term("standing", lambda e: e.commands.standing.float()),
        Term("mass", lambda e: e.mass),
    ]
