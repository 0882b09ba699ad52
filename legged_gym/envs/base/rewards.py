"""Reward terms: small functions of the environment, `(env) -> (N,)`, one for each non-zero scale of the config.

A term's name is its scale's. Terms give the raw quantity; sign and weight are the scale's.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from legged_gym.envs.base.legged_robot import LeggedRobot


def keep_balance(env: "LeggedRobot") -> torch.Tensor:
    """1 while the robot has not fallen."""
    return (~env.fell).float()


def lin_vel_error(env: "LeggedRobot") -> torch.Tensor:
    """|v_xy - command|, heading frame [m/s]: pulls alike where the tracking kernel is flat, far away and at its top.

    None while the robot recovers from a disturbance: what is not judged counts as right, in all terms of velocity.
    """
    return env.undisturbed * (env.base_lin_vel_y[:, :2] - env.commands.command[:, :2]).norm(dim=-1)


def ang_vel_error(env: "LeggedRobot") -> torch.Tensor:
    """|w_z - command|, world z axis [rad/s]."""
    return env.undisturbed * (env.state.root_ang_vel_w[:, 2] - env.commands.command[:, 2]).abs()


def tracking_lin_vel(env: "LeggedRobot") -> torch.Tensor:
    """exp(-|v_xy - command|^2 / sigma), heading frame."""
    return torch.exp(-lin_vel_error(env).square() / env.cfg.rewards.tracking_sigma)


def tracking_ang_vel(env: "LeggedRobot") -> torch.Tensor:
    """exp(-(w_z - command)^2 / sigma), world z axis."""
    return torch.exp(-ang_vel_error(env).square() / env.cfg.rewards.ang_tracking_sigma)


def base_height(env: "LeggedRobot") -> torch.Tensor:
    """Squared deviation of the base's height over the ground from its target [m^2]."""
    return (env.base_height - env.cfg.rewards.base_height_target).square()


def orientation(env: "LeggedRobot") -> torch.Tensor:
    """Squared sine of the tilt."""
    return env.projected_gravity_b[:, :2].square().sum(-1)


def lin_vel_z(env: "LeggedRobot") -> torch.Tensor:
    """Squared vertical velocity [m^2/s^2]."""
    return env.state.root_lin_vel_w[:, 2].square()


def ang_vel_xy(env: "LeggedRobot") -> torch.Tensor:
    """Squared roll and pitch rates [rad^2/s^2]."""
    return env.base_ang_vel_b[:, :2].square().sum(-1)


def feet_distance(env: "LeggedRobot") -> torch.Tensor:
    """How much nearer than allowed the feet are to each other, horizontally [m]."""
    distance = (env.state.feet_pos_w[:, 0, :2] - env.state.feet_pos_w[:, 1, :2]).norm(dim=-1)
    return (env.cfg.rewards.min_feet_distance - distance).clamp(min=0.0)


def tracking_contacts_shaped_force(env: "LeggedRobot") -> torch.Tensor:
    """Force on a foot that the clock wants in the air: mean over feet of (1 - desired) (1 - exp(-F^2/sigma))."""
    force = env.feet_force_w.square().sum(-1)
    cost = (1.0 - env.desired_contact) * (1.0 - torch.exp(-force / env.cfg.rewards.gait_force_sigma))
    return env.gait_active * cost.mean(-1)


def tracking_contacts_shaped_vel(env: "LeggedRobot") -> torch.Tensor:
    """Velocity of a foot that the clock wants on the ground: mean over feet of desired (1 - exp(-v^2/sigma))."""
    speed = env.state.feet_lin_vel_w.square().sum(-1)
    cost = env.desired_contact * (1.0 - torch.exp(-speed / env.cfg.rewards.gait_vel_sigma))
    return env.gait_active * cost.mean(-1)


def torques(env: "LeggedRobot") -> torch.Tensor:
    """Sum of squared joint torques [N^2 m^2]."""
    return env.state.joint_torque.square().sum(-1)


def dof_acc(env: "LeggedRobot") -> torch.Tensor:
    """Sum of squared joint accelerations over a policy step [rad^2/s^4]."""
    return ((env.state.joint_vel - env.last_joint_vel) / env.dt).square().sum(-1)


def action_rate(env: "LeggedRobot") -> torch.Tensor:
    """Squared first difference of the action."""
    return (env.actions - env.last_actions[:, 0]).square().sum(-1)


def action_smooth(env: "LeggedRobot") -> torch.Tensor:
    """Squared second difference of the action."""
    return (env.actions - 2.0 * env.last_actions[:, 0] + env.last_actions[:, 1]).square().sum(-1)


def collision(env: "LeggedRobot") -> torch.Tensor:
    """Number of penalised bodies that touch something."""
    force = env.state.contact_force_w.index_select(1, env.penalized_bodies)
    return (force.square().sum(-1) > 1.0).sum(-1).float()


def dof_pos_limits(env: "LeggedRobot") -> torch.Tensor:
    """Sum of joint angles beyond the soft limits [rad]."""
    low, high = env.soft_joint_limits
    q = env.state.joint_pos
    return ((low - q).clamp(min=0.0) + (q - high).clamp(min=0.0)).sum(-1)


def foot_landing_vel(env: "LeggedRobot") -> torch.Tensor:
    """Squared downward velocity of feet that are about to land [m^2/s^2]."""
    landing = (env.feet_height < env.cfg.rewards.about_landing_threshold) & ~env.feet_contact
    return (landing * env.state.feet_lin_vel_w[..., 2].clamp(max=0.0).square()).sum(-1)


def feet_regulation(env: "LeggedRobot") -> torch.Tensor:
    """Squared horizontal foot velocity, weighed by exp(-height / 2.5 % of the base height) [m^2/s^2]."""
    near_ground = torch.exp(-env.feet_height.clamp(min=0.0) / (0.025 * env.cfg.rewards.base_height_target))
    return (near_ground * env.state.feet_lin_vel_w[..., :2].square().sum(-1)).sum(-1)


def feet_clearance(env: "LeggedRobot") -> torch.Tensor:
    """Squared height over the ground that feet lack of what the clock asks of them in swing [m^2]."""
    return env.gait_active * (env.gait.swing_heights() - env.feet_height).clamp(min=0.0).square().sum(-1)


def feet_air_standing(env: "LeggedRobot") -> torch.Tensor:
    """Number of feet off the ground while the command is to stand, unless the robot recovers from a disturbance."""
    return env.commands.standing * env.undisturbed * (~env.feet_contact).sum(-1)


def touchdown_speed(env: "LeggedRobot") -> torch.Tensor:
    """Squared downward speed with which feet touch down, summed over the feet that do [m^2/s^2]."""
    return env.state.landing_speed.square().sum(-1)


def landing_force(env: "LeggedRobot") -> torch.Tensor:
    """Highest force on each foot within the step beyond twice the robot's weight, in weights, summed over the feet."""
    weights = env.state.peak_foot_force / (env.sim.robot.total_mass * 9.81)
    return (weights - 2.0).clamp(min=0.0).sum(-1)


def termination(env: "LeggedRobot") -> torch.Tensor:
    """1 in the step of a fall."""
    return env.fell.float()


TERMS: tuple[Callable[["LeggedRobot"], torch.Tensor], ...] = (
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
"""All terms; the one place that lists them."""
