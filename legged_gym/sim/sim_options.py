"""Options that a simulator is built with besides the robot, and what every engine derives from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from legged_gym.sim.robot_model import RobotModel
from legged_gym.terrain.terrain import Terrain

GRAVITY = 9.81
"""Gravity in every engine [m/s^2]."""
CONTACT_TIME_CONSTANT = 0.01
"""Nominal time constant of the robot's contacts with any ground [s]: as stiff as physics steps of 5 ms allow."""


@dataclass(frozen=True)
class SimOptions:
    """Options that every simulator is built with, besides the robot."""

    timestep: float = 0.005
    """Physics step [s]."""
    decimation: int = 4
    """Physics steps per policy step."""
    kp: float = 42.0
    """Nominal joint stiffness [N m/rad]."""
    kd: float = 3.5
    """Nominal joint damping [N m s/rad]."""
    armature: float = 0.01
    """Nominal rotor inertia seen by each joint [kg m^2]."""
    joint_damping: float = 0.0
    """Passive damping of each joint [N m s/rad]."""
    self_collisions: bool = True
    """The legs touch each other, and shins and feet touch the base."""
    clamp_targets: bool = True
    """The controller clamps targets so that the PD torque of its nominal gains stays within the limit."""
    motor_curve: bool = True
    """Motors lose torque with speed, see `RobotModel.corner_speeds`."""
    num_threads: int = 0
    """Physics threads of a CPU backend; 0 takes the cores this process may use."""
    terrain: Terrain | None = None
    """The ground; None is the plane z = 0."""
    engine: Any = None
    """Options of this engine alone: the config of its package, or None for its defaults."""


def motor_speeds(robot: RobotModel, options: SimOptions) -> tuple[np.ndarray, np.ndarray]:
    """Corner and no-load speeds of the joints' motors [rad/s]; out of reach for motors without a curve. Shapes (J,)."""
    if options.motor_curve:
        return robot.corner_speeds, robot.no_load_speeds
    ones = np.ones(len(robot.joint_names))
    return 1e6 * ones, 2e6 * ones
