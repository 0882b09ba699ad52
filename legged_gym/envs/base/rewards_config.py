"""Configuration of the rewards: weights and parameters of the terms in `rewards`, and terms of the user's own."""

from dataclasses import dataclass, field

from legged_gym.utils.config import Config, bounded


@dataclass
class RewardScalesCfg(Config):
    """Weight of each reward term per second; 0 switches a term off.

    A task derives a class of its own with a field for each term that it may use. That class alone says what its robots
    are rewarded for.
    """


@dataclass
class RewardsCfg(Config):
    """Parameters of the reward terms."""

    only_positive_rewards: bool = False
    """Clip the sum of a step's rewards at zero."""
    tracking_sigma: float = bounded(0.2, gt=0)
    """Width of the linear-velocity kernel exp(-error^2/sigma) [m^2/s^2]."""
    ang_tracking_sigma: float = bounded(0.25, gt=0)
    """Width of the yaw-rate kernel [rad^2/s^2]."""
    base_height_target: float = bounded(0.68, gt=0)
    """Height of the base over the ground [m]."""
    min_feet_distance: float = bounded(0.115, ge=0)
    """Horizontal distance of the feet below which `feet_distance` acts [m]."""
    gait_force_sigma: float = bounded(25.0, gt=0)
    """Width of the contact-force kernel 1 - exp(-F^2/sigma) [N^2]."""
    gait_vel_sigma: float = bounded(0.25, gt=0)
    """Width of the foot-velocity kernel [m^2/s^2]."""
    gait_kappa: float = bounded(0.05, gt=0)
    """Width of the switch between swing and stance in the clock's desired contact [cycles]."""
    recovery_time: float = bounded(1.0, ge=0)
    """How long after a push, shove or trip the terms that ask for velocity and gait are off [s]: a robot that may yield
    and step freely survives a push."""
    gait_when_standing: bool = True
    """Gait terms act for standing commands too: on point feet, to stand is to step in place."""
    soft_dof_pos_limit: float = bounded(0.95, gt=0, le=1)
    """Share of the joint range that costs nothing."""
    about_landing_threshold: float = bounded(0.08, gt=0)
    """Height of a foot over the ground below which its downward velocity is penalised [m]."""
    scales: RewardScalesCfg = field(default_factory=RewardScalesCfg)
    terms: tuple[str, ...] = ()
    """Further terms as `package.module:function`, functions of the environment that return (N,); each has the scale of
    its name, in a class derived from that of `scales`."""
