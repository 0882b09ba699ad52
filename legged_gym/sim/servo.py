"""The joints' servos, from the controller's clamp to the motors' torque: plain tensor functions that engines share.

Python 3.8 and torch only: Isaac Gym's worker runs it, too. The law is that of `Simulator`.
"""

from __future__ import annotations

from typing import NamedTuple

import torch


class Servo(NamedTuple):
    """Numbers that all robots share. Shapes (J,), or scalars."""

    kp: float
    """Stiffness that the controller computes with [N m/rad]."""
    kd: float
    """Damping that it computes with [N m s/rad]."""
    limit: torch.Tensor
    """Largest torque [N m]."""
    corner_speed: torch.Tensor
    """Speed up to which a motor gives it [rad/s]; infinite for motors that always do."""
    no_load_speed: torch.Tensor
    """Speed at which it has none left in the direction of motion [rad/s]."""
    clamps: bool
    """The controller clamps its targets."""


def clamp_target(servo: Servo, target: torch.Tensor, pos: torch.Tensor, vel: torch.Tensor) -> torch.Tensor:
    """Clamp targets so that the PD torque of the controller's gains stays within the limit.

    Args:
        servo: The servo.
        target: [rad]. Shape (..., J).
        pos: Joint angles q [rad]. Shape (..., J).
        vel: Joint velocities dq [rad/s]. Shape (..., J).

    Returns:
        clip(target, q + (kd dq -+ limit) / kp) [rad]. Shape (..., J).
    """
    if not servo.clamps:
        return target
    middle, half = pos + (servo.kd / servo.kp) * vel, servo.limit / servo.kp
    return torch.max(torch.min(target, middle + half), middle - half)


def limit_torque(servo: Servo, torque: torch.Tensor, vel: torch.Tensor) -> torch.Tensor:
    """Limit torques to what a motor gives at its speed.

    Args:
        servo: The servo.
        torque: Torque that is asked for [N m]. Shape (..., J).
        vel: Joint velocities [rad/s]. Shape (..., J).

    Returns:
        Torque that the motor gives: all of it up to the corner speed, falling linearly to none at the no-load speed in
        the direction of motion, and all of it against the motion. Shape (..., J).
    """
    span = servo.no_load_speed - servo.corner_speed
    highest = servo.limit * ((servo.no_load_speed - vel) / span).clamp(0.0, 1.0)
    lowest = -servo.limit * ((servo.no_load_speed + vel) / span).clamp(0.0, 1.0)
    return torch.max(torch.min(torque, highest), lowest)
