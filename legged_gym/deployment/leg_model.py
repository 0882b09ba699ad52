"""Estimates from a robot's log how its feet push on the ground, and how fast the robot travels on them.

A robot has no sensor for either. The force on a foot follows from the leg's own equation of motion,
J^T f = M q'' + h - tau, with the servos' torque tau as measured; the velocity of the base follows from a foot that
stands still.
"""

from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from legged_gym.deployment.engine import NUM_FEET, Physics
from legged_gym.deployment.joint_parameters import JointParameters
from legged_gym.deployment.mujoco_engine import MujocoEngine
from legged_gym.deployment.recorder import GRAVITY
from legged_gym.deployment.robot_log import RobotLog

LOADED, UNLOADED = 35.0, 15.0
"""Vertical force from which on a foot stands [N], and force below which it stands no longer."""
SHORTEST = 0.03
"""A stance or a swing that lasts less than this [s] is noise."""
SMOOTHING = 0.010
"""Half-width of the window over which accelerations and forces are averaged [s]."""
MAX_SLIP = 0.3
"""If the velocities by two standing feet differ by more [m/s], one of the feet slips."""


@dataclass(frozen=True)
class Feet:
    """The feet in each row of a log."""

    force: np.ndarray
    """Vertical force of the ground on each foot, estimated [N]. Shape (T, 2)."""
    contact: np.ndarray
    """Whether the foot stands. Shape (T, 2), bool."""
    velocity: np.ndarray
    """v_x, v_y of the base's origin, heading frame, by the feet that stand [m/s]; NaN if none does. Shape (T, 2)."""


class LegModel(MujocoEngine):
    """The robot's kinematics and inertia, moved along a log."""

    def __init__(self, model: Path, joints: JointParameters | None = None) -> None:
        """Load the robot.

        Args:
            model: URDF or MJCF.
            joints: Friction and inertia of the joints; None for the maker's.

        Raises:
            UserError: The model cannot be used.
        """
        super().__init__(model, Physics())
        self._joints = joints or JointParameters()
        self._legs = [self._v[:3], self._v[3:]]
        self._radius = [float(self._model.geom_size[geom, 0]) for geom in self._feet]

    def feet(self, log: RobotLog) -> Feet:
        """Estimate forces and contacts of the feet, and the velocity of the base."""
        half = max(1, round(SMOOTHING / log.dt))
        joint_acc = averaged(np.gradient(log.joint_vel, log.time, axis=0), half)
        turning = averaged(np.gradient(log.body_rates, log.time, axis=0), half)
        rows = len(log.time)
        force, odometry = np.zeros((rows, NUM_FEET)), np.zeros((rows, NUM_FEET, 2))
        for row in range(rows):
            self._pose(log, row)
            specific = np.array([0.0, 0.0, GRAVITY])
            if log.acceleration is not None:
                specific = self._rot @ log.acceleration[row]
            self._accelerate(specific, turning[row], joint_acc[row])
            force[row], odometry[row] = self._forces(log.torque[row], log.joint_vel[row]), self._odometry(log, row)
        force = averaged(force, half)
        contact = np.stack([_stances(force[:, foot], log.dt) for foot in range(NUM_FEET)], axis=-1)
        return Feet(force, contact, _mean_of_standing(odometry, contact))

    def _pose(self, log: RobotLog, row: int) -> None:
        """Put the robot into the pose of a row: its base at the origin, rotated as logged, and at rest."""
        m, d = self._model, self._data
        d.qpos[self._base_q : self._base_q + 3] = 0.0
        d.qpos[self._base_q + 3 : self._base_q + 7] = log.quat[row]
        d.qvel[self._base_v : self._base_v + 3] = 0.0
        d.qvel[self._base_v + 3 : self._base_v + 6] = log.body_rates[row]
        d.qpos[self._q], d.qvel[self._v] = log.joint_pos[row], log.joint_vel[row]
        mujoco.mj_kinematics(m, d)
        mujoco.mj_comPos(m, d)
        mujoco.mj_comVel(m, d)
        self._rot = d.xmat[self._base].reshape(3, 3)

    def _accelerate(self, specific: np.ndarray, turning: np.ndarray, joint_acc: np.ndarray) -> None:
        """Compute M q'' + h of the joints: the torque that the legs' motion needs without a ground [N m].

        Args:
            specific: Specific force at the base's origin, world frame [m/s^2].
            turning: Angular acceleration of the base, base frame [rad/s^2].
            joint_acc: Joint accelerations [rad/s^2]. Shape (6,).
        """
        d, needed = self._data, np.zeros(self._model.nv)
        d.qacc[self._base_v : self._base_v + 3] = specific - (0.0, 0.0, GRAVITY)
        d.qacc[self._base_v + 3 : self._base_v + 6], d.qacc[self._v] = turning, joint_acc
        mujoco.mj_rne(self._model, d, 1, needed)
        self._needed = needed[self._v] + self._joints.armature * joint_acc

    def _forces(self, torque: np.ndarray, joint_vel: np.ndarray) -> np.ndarray:
        """Return the vertical force of the ground on each foot [N]. Shape (2,)."""
        friction = self._joints.friction * np.tanh(joint_vel / 0.1) + self._joints.damping * joint_vel
        missing, forces = self._needed - (torque - friction), np.zeros(NUM_FEET)
        for foot, leg in enumerate(self._legs):
            jacobian = self._jacobian(foot)[:, leg]
            # The torques do not tell the force along a stretched leg: damped, not divided.
            square = jacobian @ jacobian.T + 1e-4 * np.eye(3)
            half = slice(3 * foot, 3 * foot + 3)
            forces[foot] = np.linalg.solve(square, jacobian @ missing[half])[2]
        return forces

    def _jacobian(self, foot: int) -> np.ndarray:
        """Return the Jacobian of the point where a foot touches the ground, world frame. Shape (3, nv)."""
        jacobian = np.zeros((3, self._model.nv))
        geom = self._feet[foot]
        point = self._data.geom_xpos[geom] - (0.0, 0.0, self._radius[foot])
        mujoco.mj_jac(self._model, self._data, jacobian, None, point, int(self._model.geom_bodyid[geom]))
        return jacobian

    def _odometry(self, log: RobotLog, row: int) -> np.ndarray:
        """Return the velocity of the base in the heading frame if a foot stood still [m/s]. Shape (2, 2)."""
        forward = self._rot[:2, 0] / np.hypot(*self._rot[:2, 0])
        heading = np.array([forward, [-forward[1], forward[0]]])
        return np.stack([-heading @ (self._jacobian(foot) @ self._data.qvel)[:2] for foot in range(NUM_FEET)])


def averaged(values: np.ndarray, half: int) -> np.ndarray:
    """Return the running mean over 2 half + 1 rows."""
    padded = np.pad(values, ((half, half), (0, 0)), mode="edge")
    sums = np.cumsum(np.concatenate((np.zeros((1, values.shape[1])), padded)), axis=0)
    return (sums[2 * half + 1 :] - sums[: -2 * half - 1]) / (2 * half + 1)


def _stances(force: np.ndarray, dt: float) -> np.ndarray:
    """Tell stances from swings by a foot's force, with hysteresis; too short ones do not count. Shape (T,)."""
    standing, states = bool(force[0] > LOADED), np.zeros(len(force), bool)
    for row, value in enumerate(force):
        standing = value > (UNLOADED if standing else LOADED)
        states[row] = standing
    for kind in (False, True):  # short swings first: a loaded foot that bounces stands
        for first, last in runs_of(states, kind):
            if (last - first) * dt < SHORTEST and first > 0 and last < len(states):
                states[first:last] = not kind
    return states


def runs_of(states: np.ndarray, kind: bool) -> list[tuple[int, int]]:
    """Return the first row and the row past the last of each stretch in which `states` is `kind`."""
    edges = np.flatnonzero(np.diff(np.concatenate(([not kind], states, [not kind])).astype(int)))
    return [(int(first), int(last)) for first, last in zip(edges[::2], edges[1::2], strict=True)]


def _mean_of_standing(odometry: np.ndarray, contact: np.ndarray) -> np.ndarray:
    """Average over the feet that stand; NaN where they contradict each other, since one of them slips."""
    weights = contact[..., None].astype(float)
    count = weights.sum(axis=1)
    mean = np.where(count > 0.0, (weights * odometry).sum(axis=1) / np.maximum(count, 1.0), np.nan)
    apart = np.abs(odometry[:, 0] - odometry[:, 1]).max(axis=-1) > MAX_SLIP
    mean[apart & contact.all(axis=1)] = np.nan
    return mean
