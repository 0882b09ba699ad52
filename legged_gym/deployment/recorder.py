"""Records a simulated robot in the columns of a real robot's log."""

from typing import Any

import mujoco
import numpy as np

from legged_gym.deployment.contract import CONTROL_DT
from legged_gym.deployment.engine import Engine
from legged_gym.deployment.robot_log import RobotLog, collect

GRAVITY = 9.81
"""[m/s^2]"""


class Recorder:
    """Takes one row in each pass of the control loop."""

    def __init__(self) -> None:
        """Begin with no rows."""
        self._rows: list[dict[str, Any]] = []
        self._last_velocity: np.ndarray | None = None

    def add(self, engine: Engine, command: np.ndarray, target: np.ndarray) -> None:
        """Add a row.

        Args:
            engine: The engine, in the state that the controller has just read.
            command: v_x, v_y [m/s], w_z [rad/s].
            target: Joint targets that the controller now sends [rad].
        """
        sensors, state = engine.sensors(), engine.state()
        rot, velocity = state.base_rot, state.base_lin_vel_w
        quat = np.zeros(4)
        mujoco.mju_mat2Quat(quat, rot.flatten())
        forward = rot[:2, 0] / np.hypot(*rot[:2, 0])
        # An accelerometer shows the mean since the last pass.
        before = velocity if self._last_velocity is None else self._last_velocity
        acceleration = (velocity - before) / CONTROL_DT + np.array([0.0, 0.0, GRAVITY])
        self._last_velocity = velocity
        self._rows.append(
            {
                "time": len(self._rows) * CONTROL_DT,
                "command": command,
                "joint_pos": sensors.joint_pos,
                "joint_vel": sensors.joint_vel,
                "target": target,
                "torque": state.torque,
                "quat": quat,
                "body_rates": sensors.body_rates,
                "acceleration": rot.T @ acceleration,
                "velocity": np.array([forward @ velocity[:2], forward[0] * velocity[1] - forward[1] * velocity[0]]),
                "contact": engine.tally.contact.astype(float),
            }
        )

    def log(self) -> RobotLog:
        """Return all rows."""
        return collect(self._rows)
