"""The controller's contract: how the robot maker's published controller runs an exported policy, pass by pass.

The figures are facts of the maker's controller for the point-foot robots. Nothing here is shared with the training
environment, so that a mistake in one shows up in the other. Plain numpy; one robot.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

CONTROL_DT = 0.002
"""Time between two passes of the control loop [s]: 500 Hz."""
DECIMATION = 10
"""The policy runs in every tenth pass."""
POLICY_DT = CONTROL_DT * DECIMATION
"""Time between two actions [s]: 50 Hz."""
KP = 42.0
"""Servo stiffness [N m/rad]."""
KD = 3.5
"""Servo damping [N m s/rad]."""
TORQUE_LIMIT = 80.0
"""Largest joint torque [N m]."""
ACTION_SCALE = 0.25
"""Joint angle per unit of action [rad]."""
JOINTS = ("abad_L_Joint", "hip_L_Joint", "knee_L_Joint", "abad_R_Joint", "hip_R_Joint", "knee_R_Joint")
"""The robot's joints, in the order of observations and actions."""
DEFAULT_ANGLES = np.zeros(len(JOINTS))
"""Joint angles of an action of zero [rad]."""
GAIT = (2.0, 0.5, 0.5, 0.1)
"""Frequency [Hz], offset, duration, swing height [m]: constants of the controller."""
COMMAND_SCALE = np.array([2.0, 2.0, 0.25])
"""Factors of v_x, v_y [m/s] and w_z [rad/s] in the command that the policy sees; our policies are trained with them."""
BODY_RATE_SCALE, JOINT_VEL_SCALE = 0.25, 0.05
"""Factors of the body rates [rad/s] and the joint velocities [rad/s] in the observation."""
CLIP = 100.0
"""Bound of observations and actions."""
HISTORY = 10
"""Number of observations that the encoder sees."""
OBSERVATION_SIZE = 30
ENCODER_INPUTS, ENCODER_OUTPUTS = HISTORY * OBSERVATION_SIZE, 3
POLICY_INPUTS, POLICY_OUTPUTS = ENCODER_OUTPUTS + OBSERVATION_SIZE + 3, len(JOINTS)
STAND_UP_TIME = 1.0
"""Time in which the controller moves the joints from zero to the default angles before the policy begins [s]."""
JOINT_ORDERS: dict[str, tuple[int, ...]] = {
    "legged_gym": (0, 1, 2, 3, 4, 5),
    "isaaclab": (0, 3, 1, 4, 2, 5),
}
"""Joint order of a policy -> the robot's joint for each of its six numbers. Isaac Lab sorts by type of joint."""


@dataclass
class Sensors:
    """The robot's measurements in one pass of the control loop."""

    body_rates: np.ndarray
    """Angular velocity of the base, base frame [rad/s]. Shape (3,)."""
    gravity: np.ndarray
    """Unit vector of gravity, base frame. Shape (3,)."""
    joint_pos: np.ndarray
    """Joint angles [rad]. Shape (6,)."""
    joint_vel: np.ndarray
    """Joint velocities [rad/s]. Shape (6,)."""


class Networks(Protocol):
    """The two exported networks."""

    def encode(self, history: np.ndarray) -> np.ndarray:
        """Estimate the velocity from ten observations, oldest first. Shape (300,) -> (3,)."""

    def act(self, inputs: np.ndarray) -> np.ndarray:
        """Choose an action from estimate, observation and command. Shape (36,) -> (6,)."""


def clamp_action(action: np.ndarray, joint_pos: np.ndarray, joint_vel: np.ndarray) -> np.ndarray:
    """Limit an action so that the servo's torque, K_p (target - q) - K_d dq, stays within its limit at this instant.

    Args:
        action: Shape (6,).
        joint_pos: q [rad]. Shape (6,).
        joint_vel: dq [rad/s]. Shape (6,).

    Returns:
        Shape (6,).
    """
    low = joint_pos + (KD * joint_vel - TORQUE_LIMIT) / KP  # lowest target [rad]
    high = joint_pos + (KD * joint_vel + TORQUE_LIMIT) / KP
    return np.clip(action, (low - DEFAULT_ANGLES) / ACTION_SCALE, (high - DEFAULT_ANGLES) / ACTION_SCALE)


def swing_foot(clock: float) -> int:
    """Return the foot that swings by the clock: 1, the right one, in the first half, then 0, the left one."""
    return 1 if clock < 0.5 else 0


def _exact(sensors: Sensors) -> Sensors:
    return sensors


class Controller:
    """The maker's controller of one robot."""

    def __init__(
        self,
        networks: Networks,
        frequency: float = GAIT[0],
        joint_order: Sequence[int] = JOINT_ORDERS["legged_gym"],
        noise: Callable[[Sensors], Sensors] = _exact,
    ) -> None:
        """Get ready to stand up.

        Args:
            networks: The exported policy.
            frequency: Frequency of the gait [Hz]; the maker's controller knows 2.0 only.
            joint_order: One of `JOINT_ORDERS`.
            noise: Makes the noisy sensors that the policy reads. The clamp reads the sensors themselves: noise as wide
                as in training would ratchet it down in ten passes.
        """
        self._networks, self._order, self._noise = networks, np.array(joint_order), noise
        self._gait = np.array([frequency, *GAIT[1:]])
        self._history: deque[np.ndarray] = deque(maxlen=HISTORY)
        self._passes = 0
        self.clock = 0.0
        """Phase of the gait that the next observation shows, 0 to 1."""
        self.output = np.zeros(POLICY_OUTPUTS)
        """The policy's last answer, clipped, before the torque clamp, in the robot's joint order. Shape (6,)."""
        self.action = np.zeros(POLICY_OUTPUTS)
        """The action in force, in the robot's joint order. Shape (6,)."""

    @staticmethod
    def stand_up(elapsed: float) -> np.ndarray:
        """Return the joint targets [rad] at a time [s] after the start, before the policy runs. Shape (6,)."""
        return min(elapsed / STAND_UP_TIME, 1.0) * DEFAULT_ANGLES

    def control(self, sensors: Sensors, command: np.ndarray) -> np.ndarray:
        """Do one pass of the control loop.

        Args:
            sensors: Measurements of this instant.
            command: v_x, v_y [m/s] and w_z [rad/s]. Shape (3,).

        Returns:
            Joint targets of the servos [rad]. Shape (6,).
        """
        if self._passes % DECIMATION == 0:
            self.output = self.action = self._decide(self._noise(sensors), command)
        self._passes += 1
        # The clamped action replaces the policy's: it stays in force, and the next observation shows it.
        self.action = clamp_action(self.action, sensors.joint_pos, sensors.joint_vel)
        return DEFAULT_ANGLES + ACTION_SCALE * self.action

    def observe(self, sensors: Sensors) -> np.ndarray:
        """Assemble the observation. Shape (30,)."""
        phase = 2.0 * np.pi * self.clock
        terms = (
            BODY_RATE_SCALE * sensors.body_rates,
            sensors.gravity,
            (sensors.joint_pos - DEFAULT_ANGLES)[self._order],
            JOINT_VEL_SCALE * sensors.joint_vel[self._order],
            self.action[self._order],
            (np.sin(phase), np.cos(phase)),
            self._gait,
        )
        return np.clip(np.concatenate(terms), -CLIP, CLIP).astype(np.float32)

    def _decide(self, sensors: Sensors, command: np.ndarray) -> np.ndarray:
        """Run the policy and advance the clock."""
        observation = self.observe(sensors)
        self._history.extend([observation] * (1 if self._history else HISTORY))  # the first one fills the history
        estimate = self._networks.encode(np.concatenate(self._history))
        inputs = np.concatenate((estimate, observation, COMMAND_SCALE * command))
        answer = np.clip(self._networks.act(inputs.astype(np.float32)), -CLIP, CLIP)
        self._advance_clock()
        action = np.zeros(POLICY_OUTPUTS)
        action[self._order] = answer
        return action

    def _advance_clock(self) -> None:
        self.clock += POLICY_DT * self._gait[0]
        if self.clock > 1.0:
            self.clock = 0.0  # set, not wrapped: the part beyond 1 is lost
