"""Configuration of the observations of policy and critic: further terms, scales and clips, noise."""

from dataclasses import dataclass, field

from legged_gym.utils.config import Config, bounded


@dataclass
class ObservationsCfg(Config):
    """Further observation terms as `package.module:function`, functions of the environment that return (N, width)."""

    policy: tuple[str, ...] = ()
    """Appended to the policy's observation, which then differs from that of the robot maker's controller."""
    critic: tuple[str, ...] = ()
    """Appended to the critic's observation."""


@dataclass
class ObsScalesCfg(Config):
    """Factors on the observed quantities."""

    lin_vel: float = bounded(2.0, gt=0)
    """Factor on linear velocities [s/m]."""
    ang_vel: float = bounded(0.25, gt=0)
    """Factor on angular velocities [s/rad]."""
    dof_pos: float = bounded(1.0, gt=0)
    """Factor on joint angles [1/rad]."""
    dof_vel: float = bounded(0.05, gt=0)
    """Factor on joint velocities [s/rad]."""


@dataclass
class NormalizationCfg(Config):
    """Scales and clips of observations and actions."""

    obs_scales: ObsScalesCfg = field(default_factory=ObsScalesCfg)
    clip_observations: float = bounded(100.0, gt=0, le=1e6)
    """Largest magnitude of an observed number."""
    clip_actions: float = bounded(100.0, gt=0, le=1e6)
    """Largest magnitude of an action."""


@dataclass
class NoiseScalesCfg(Config):
    """Half-width of the uniform noise on what the robot measures, before scaling."""

    ang_vel: float = bounded(0.2, ge=0)
    """[rad/s]"""
    gravity: float = bounded(0.05, ge=0)
    """Noise on each component of the unit vector of gravity."""
    dof_pos: float = bounded(0.01, ge=0)
    """[rad]"""
    dof_vel: float = bounded(1.5, ge=0)
    """[rad/s]"""


@dataclass
class NoiseCfg(Config):
    """Observation noise."""

    add_noise: bool = True
    """Add noise to the policy's observation."""
    noise_level: float = bounded(1.0, ge=0)
    """Factor on all noise scales."""
    noise_scales: NoiseScalesCfg = field(default_factory=NoiseScalesCfg)
