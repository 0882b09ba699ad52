"""Reward terms: small functions of the environment, `(env) -> (N,)`, one for each non-zero scale of the config.

A term has the name of its scale. The term gives the raw quantity, the scale its sign and weight. A task may add terms
to those of this file: methods of its environment named `_reward_<name>`, and functions that `rewards.terms` of its
config lists.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from legged_gym.envs.base.extensions import load_functions
from legged_gym.sim.sim_options import GRAVITY
from legged_gym.utils.config import ConfigError, to_dict

if TYPE_CHECKING:
    from legged_gym.envs.base.legged_robot import LeggedRobot
    from legged_gym.envs.base.rewards_config import RewardsCfg

RewardTerm = Callable[["LeggedRobot"], torch.Tensor]
METHOD_PREFIX = "_reward_"


def keep_balance(env: "LeggedRobot") -> torch.Tensor:
    """1 while the robot has not fallen."""
    return (~env.episodes.fell).float()


def lin_vel_error(env: "LeggedRobot") -> torch.Tensor:
    """|v_xy - command|, heading frame [m/s]: pulls equally where the tracking kernel is flat, too.

    Zero while the robot recovers from a disturbance: in all velocity terms, an error that is not judged counts as zero.
    """
    return env.disturbances.undisturbed * (env.state.base_lin_vel_y[:, :2] - env.commands.command[:, :2]).norm(dim=-1)


def ang_vel_error(env: "LeggedRobot") -> torch.Tensor:
    """|w_z - command|, world z axis [rad/s]."""
    return env.disturbances.undisturbed * (env.state.root_ang_vel_w[:, 2] - env.commands.command[:, 2]).abs()


def tracking_lin_vel(env: "LeggedRobot") -> torch.Tensor:
    """exp(-|v_xy - command|^2 / sigma), heading frame."""
    return torch.exp(-lin_vel_error(env).square() / env.cfg.rewards.tracking_sigma)


def tracking_ang_vel(env: "LeggedRobot") -> torch.Tensor:
    """exp(-(w_z - command)^2 / sigma), world z axis."""
    return torch.exp(-ang_vel_error(env).square() / env.cfg.rewards.ang_tracking_sigma)


def base_height(env: "LeggedRobot") -> torch.Tensor:
    """Squared deviation of the base's height over the ground from its target [m^2]."""
    return (env.state.base_height - env.cfg.rewards.base_height_target).square()


def orientation(env: "LeggedRobot") -> torch.Tensor:
    """Squared sine of the tilt."""
    return env.state.projected_gravity_b[:, :2].square().sum(-1)


def lin_vel_z(env: "LeggedRobot") -> torch.Tensor:
    """Squared vertical velocity [m^2/s^2]."""
    return env.state.root_lin_vel_w[:, 2].square()


def ang_vel_xy(env: "LeggedRobot") -> torch.Tensor:
    """Squared roll and pitch rates [rad^2/s^2]."""
    return env.state.base_ang_vel_b[:, :2].square().sum(-1)


def feet_distance(env: "LeggedRobot") -> torch.Tensor:
    """Horizontal distance by which the feet are too close to each other [m]."""
    distance = (env.state.feet_pos_w[:, 0, :2] - env.state.feet_pos_w[:, 1, :2]).norm(dim=-1)
    return (env.cfg.rewards.min_feet_distance - distance).clamp(min=0.0)


def tracking_contacts_shaped_force(env: "LeggedRobot") -> torch.Tensor:
    """Force on a foot that the clock wants in the air: mean over feet of (1 - desired) (1 - exp(-F^2/sigma))."""
    force = env.state.feet_force_w.square().sum(-1)
    cost = (1.0 - env.rewards.desired_contact) * (1.0 - torch.exp(-force / env.cfg.rewards.gait_force_sigma))
    return env.rewards.gait_active * cost.mean(-1)


def tracking_contacts_shaped_vel(env: "LeggedRobot") -> torch.Tensor:
    """Velocity of a foot that the clock wants on the ground: mean over feet of desired (1 - exp(-v^2/sigma))."""
    speed = env.state.feet_lin_vel_w.square().sum(-1)
    cost = env.rewards.desired_contact * (1.0 - torch.exp(-speed / env.cfg.rewards.gait_vel_sigma))
    return env.rewards.gait_active * cost.mean(-1)


def torques(env: "LeggedRobot") -> torch.Tensor:
    """Sum of squared joint torques [N^2 m^2]."""
    return env.state.joint_torque.square().sum(-1)


def dof_acc(env: "LeggedRobot") -> torch.Tensor:
    """Sum of squared joint accelerations over a policy step [rad^2/s^4]."""
    return ((env.state.joint_vel - env.state.last_joint_vel) / env.dt).square().sum(-1)


def action_rate(env: "LeggedRobot") -> torch.Tensor:
    """Squared first difference of the action."""
    return (env.actions.now - env.actions.before[:, 0]).square().sum(-1)


def action_smooth(env: "LeggedRobot") -> torch.Tensor:
    """Squared second difference of the action."""
    return (env.actions.now - 2.0 * env.actions.before[:, 0] + env.actions.before[:, 1]).square().sum(-1)


def collision(env: "LeggedRobot") -> torch.Tensor:
    """Number of penalised bodies that touch something."""
    force = env.state.contact_force_w.index_select(1, env.rewards.penalized_bodies)
    return (force.square().sum(-1) > 1.0).sum(-1).float()


def dof_pos_limits(env: "LeggedRobot") -> torch.Tensor:
    """Sum of joint angles beyond the soft limits [rad]."""
    low, high = env.rewards.soft_joint_limits
    q = env.state.joint_pos
    return ((low - q).clamp(min=0.0) + (q - high).clamp(min=0.0)).sum(-1)


def foot_landing_vel(env: "LeggedRobot") -> torch.Tensor:
    """Squared downward velocity of feet that are about to land [m^2/s^2]."""
    landing = (env.state.feet_height < env.cfg.rewards.about_landing_threshold) & ~env.state.feet_contact
    return (landing * env.state.feet_lin_vel_w[..., 2].clamp(max=0.0).square()).sum(-1)


def feet_regulation(env: "LeggedRobot") -> torch.Tensor:
    """Squared horizontal foot velocity, weighed by exp(-height / 2.5 % of the base height) [m^2/s^2]."""
    near_ground = torch.exp(-env.state.feet_height.clamp(min=0.0) / (0.025 * env.cfg.rewards.base_height_target))
    return (near_ground * env.state.feet_lin_vel_w[..., :2].square().sum(-1)).sum(-1)


def feet_clearance(env: "LeggedRobot") -> torch.Tensor:
    """Squared height by which swing feet stay below the height that the clock asks for [m^2]."""
    return env.rewards.gait_active * (env.gait.swing_heights() - env.state.feet_height).clamp(min=0.0).square().sum(-1)


def feet_air_standing(env: "LeggedRobot") -> torch.Tensor:
    """Number of feet off the ground while the command is to stand, unless the robot recovers from a disturbance."""
    return env.commands.standing * env.disturbances.undisturbed * (~env.state.feet_contact).sum(-1)


def touchdown_speed(env: "LeggedRobot") -> torch.Tensor:
    """Squared downward speed with which feet touch down, summed over the feet that do [m^2/s^2]."""
    return env.state.landing_speed.square().sum(-1)


def landing_force(env: "LeggedRobot") -> torch.Tensor:
    """Excess of each foot's peak force in the step over twice the robot's weight, in weights, summed over the feet."""
    weights = env.state.peak_foot_force / (env.sim.robot.total_mass * GRAVITY)
    return (weights - 2.0).clamp(min=0.0).sum(-1)


def termination(env: "LeggedRobot") -> torch.Tensor:
    """1 in the step of a fall."""
    return env.episodes.fell.float()


TERMS: tuple[RewardTerm, ...] = (
    keep_balance,
    tracking_lin_vel,
    tracking_ang_vel,
    lin_vel_error,
    ang_vel_error,
    base_height,
    orientation,
    lin_vel_z,
    ang_vel_xy,
    feet_distance,
    tracking_contacts_shaped_force,
    tracking_contacts_shaped_vel,
    torques,
    dof_acc,
    action_rate,
    action_smooth,
    collision,
    dof_pos_limits,
    foot_landing_vel,
    feet_regulation,
    feet_clearance,
    feet_air_standing,
    touchdown_speed,
    landing_force,
    termination,
)
"""The package's terms; the one place that lists them."""


def find_terms(env_class: object, cfg: "RewardsCfg") -> dict[str, RewardTerm]:
    """Return the term of each scale, by name, switched on or not.

    A term of the environment's class overrides one of this file; one of the config's list overrides both.

    Args:
        env_class: May have terms as methods.
        cfg: Scales, and further terms.

    Raises:
        ConfigError: A scale has no term, or a listed term no scale.
    """
    terms: dict[str, RewardTerm] = {term.__name__: term for term in TERMS}
    for name in dir(env_class):
        if name.startswith(METHOD_PREFIX):
            terms[name.removeprefix(METHOD_PREFIX)] = getattr(env_class, name)
    listed = load_functions(cfg.terms, "rewards.terms")
    terms |= listed
    scales = to_dict(cfg.scales)
    for name in scales.keys() - terms.keys():
        raise ConfigError(
            f"rewards.scales.{name}: there is no reward term of that name; write it as a method {METHOD_PREFIX}{name} "
            f"of the environment, or as a function that rewards.terms lists; there are: {', '.join(sorted(terms))}"
        )
    for name in listed.keys() - scales.keys():
        raise ConfigError(f"rewards.terms: {name} has no scale: add a field {name} to the class of rewards.scales")
    return {name: term for name, term in terms.items() if name in scales}
