"""Simulates the legs of a logged robot again while its feet are in the air, with many joint parameters side by side.

A leg in the air feels its servos, its joints and the motion of the base, and the log has all of that. So the base is
led along its logged motion (attitude, body rates, specific force), and the ground does not matter. Neither does the
position or the speed of the base, since the legs do not feel these.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np
from mujoco import rollout

from legged_gym.deployment.contract import JOINTS, KD, KP, TORQUE_LIMIT
from legged_gym.deployment.engine import Physics
from legged_gym.deployment.joint_parameters import JointParameters
from legged_gym.deployment.leg_model import averaged
from legged_gym.deployment.mujoco_engine import HOIST, MujocoEngine
from legged_gym.deployment.recorder import GRAVITY
from legged_gym.deployment.robot_log import RobotLog

STEP = 0.001
"""Physics step [s]."""
SMOOTHING = 0.006
"""Half-width of the window over which body rates are averaged [s]. Else the gyro's noise would shake the joints,
and dry friction that is shaken looks like damping."""
CONTROLS = mujoco.mjtState.mjSTATE_CTRL | mujoco.mjtState.mjSTATE_QFRC_APPLIED


@dataclass(frozen=True)
class Replay:
    """Simulated joints in the rows of a stretch of the log."""

    rows: slice
    """Rows of the log."""
    joint_pos: np.ndarray
    """[rad]. Shape (candidates, T, 6)."""
    joint_vel: np.ndarray
    """[rad/s]. Shape (candidates, T, 6)."""


class AirReplay(MujocoEngine):
    """Plain MuJoCo with the servos in the model, no contacts, and a base that follows the log."""

    def __init__(self, model: Path, log: RobotLog, num_threads: int, kp: float = KP, kd: float = KD) -> None:
        """Prepare the scene.

        Args:
            model: URDF of the robot.
            log: The robot's log.
            num_threads: Number of threads, over which candidates are spread.
            kp: Stiffness of the servos when the log was written [N m/rad].
            kd: Damping of the servos at that time [N m s/rad].

        Raises:
            UserError: The model cannot be used.
        """
        super().__init__(model, Physics(timestep=STEP))
        self._log, self._every = log, max(1, round(log.dt / STEP))
        self._prepare(kp, kd)
        self._datas = [mujoco.MjData(self._model) for _ in range(num_threads)]
        self._base_force = self._led_base()

    @property
    def joint_limits(self) -> np.ndarray:
        """Lower and upper stop of each joint [rad]. Shape (6, 2)."""
        return np.array([self._model.joint(name).range for name in JOINTS])

    def _prepare(self, kp: float, kd: float) -> None:
        """Put the servos into the model, remove the contacts, and make the base follow the forces that lead it."""
        m = self._model
        m.opt.disableflags &= ~int(mujoco.mjtDisableBit.mjDSBL_ACTUATION)
        m.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_CONTACT
        ids = [m.actuator(name).id for name in JOINTS]
        m.actuator_biastype[ids] = mujoco.mjtBias.mjBIAS_AFFINE
        m.actuator_gainprm[ids, 0] = kp
        m.actuator_biasprm[ids, 1], m.actuator_biasprm[ids, 2] = -kp, -kd
        m.actuator_ctrllimited[ids], m.actuator_forcelimited[ids] = 0, 1
        m.actuator_forcerange[ids] = (-TORQUE_LIMIT, TORQUE_LIMIT)
        m.dof_armature[self._base_v : self._base_v + 6] = HOIST
        self._servos = ids

    def _led_base(self) -> np.ndarray:
        """Return the forces that lead the base from each row of the log to the next. Shape (T, 6)."""
        log, forces = self._log, np.zeros((len(self._log.time), 6))
        if log.acceleration is not None:
            rot = np.zeros((len(log.time), 9))
            for quat, flat in zip(log.quat, rot, strict=True):
                mujoco.mju_quat2Mat(flat, quat)
            specific = np.einsum("tij,tj->ti", rot.reshape(-1, 3, 3), log.acceleration)
            forces[:-1, :3] = (specific - (0.0, 0.0, GRAVITY))[1:]  # a row shows the mean since the row before
        rates = averaged(log.body_rates, round(SMOOTHING / log.dt))
        forces[:-1, 3:] = np.diff(rates, axis=0) / np.diff(log.time)[:, None]
        return HOIST * forces

    def run(
        self, stretches: Sequence[slice], candidates: Sequence[JointParameters], shifts: np.ndarray | None = None
    ) -> list[Replay]:
        """Simulate stretches of the log, each with every candidate, from the logged state at its start.

        Args:
            stretches: Rows without gaps, all stretches of one length.
            candidates: Joint parameters to try.
            shifts: Added to joint angles and rates at the start, for each candidate [rad, rad/s]. Shape (n, 2, 6).
        """
        models = [self._candidate(joints) for joints in candidates]
        starts = np.stack([self._start(rows) for rows in stretches])
        starts = np.tile(starts, (len(candidates), 1, 1))  # (candidates, stretches, state)
        q, v = 1 + self._q, 1 + self._model.nq + self._v  # behind the time
        if shifts is not None:
            starts[..., q] += shifts[:, None, 0]
            starts[..., v] += shifts[:, None, 1]
        controls = np.stack([self._controls(rows, joints.delay) for joints in candidates for rows in stretches])
        states, _ = rollout.rollout(
            [model for model in models for _ in stretches],
            self._datas,
            initial_state=starts.reshape(-1, starts.shape[-1]),
            control=controls,
            control_spec=int(CONTROLS),
            persistent_pool=True,
        )
        states = states[:, self._every - 1 :: self._every]  # one row per physics step -> one per row of the log
        states = np.concatenate((starts[:, :, None], states.reshape(*starts.shape[:2], -1, starts.shape[-1])), axis=2)
        return [Replay(rows, states[:, k][..., q], states[:, k][..., v]) for k, rows in enumerate(stretches)]

    def _candidate(self, joints: JointParameters) -> mujoco.MjModel:
        model = copy.copy(self._model)
        model.dof_frictionloss[self._v] = joints.friction
        model.dof_damping[self._v], model.dof_armature[self._v] = joints.damping, joints.armature
        return model

    def _start(self, rows: slice) -> np.ndarray:
        """Return the physics state at a stretch's first row. Shape (1 + nq + nv,)."""
        d, log, first = self._data, self._log, rows.start
        mujoco.mj_resetData(self._model, d)
        d.qpos[self._base_q + 3 : self._base_q + 7] = log.quat[first]
        d.qvel[self._base_v + 3 : self._base_v + 6] = log.body_rates[first]
        d.qpos[self._q], d.qvel[self._v] = log.joint_pos[first], log.joint_vel[first]
        state = np.zeros(mujoco.mj_stateSize(self._model, mujoco.mjtState.mjSTATE_FULLPHYSICS))
        mujoco.mj_getState(self._model, d, state, mujoco.mjtState.mjSTATE_FULLPHYSICS)
        return state

    def _controls(self, rows: slice, delay: float) -> np.ndarray:
        """Return delayed targets and the forces that lead the base, for each physics step of a stretch.

        A delay between whole physics steps is interpolated: least squares needs residuals that vary smoothly with it.

        Returns:
            Shape (steps, 6 + nv).
        """
        m, log, every = self._model, self._log, self._every
        steps = np.arange((rows.stop - rows.start - 1) * every)
        late, part = divmod(delay / STEP, 1.0)
        controls = np.zeros((len(steps), m.nu + m.nv))

        def sent(before: float) -> np.ndarray:
            index = rows.start + (steps - int(before)) // every
            return log.target[np.maximum(index, 0)]

        controls[:, self._servos] = (1.0 - part) * sent(late) + part * sent(late + 1.0)
        base = m.nu + self._base_v
        controls[:, base : base + 6] = self._base_force[rows.start + steps // every]
        return controls
