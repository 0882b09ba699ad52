"""Plain MuJoCo as an engine of the second judge: `mj_step` on one robot, explicit servos, nothing else."""

from pathlib import Path

import mujoco
import numpy as np

from legged_gym.deployment.contract import CONTROL_DT, JOINTS, Sensors
from legged_gym.deployment.engine import NUM_FEET, Contact, Part, Physics, State, Tally
from legged_gym.deployment.joint_parameters import JointParameters
from legged_gym.deployment.mujoco_scene import (
    ROLLING,
    TORSION,
    compile_spec,
    lane_height,
    lane_heights,
    load_spec,
    root_tag,
)
from legged_gym.utils.errors import UserError

SIDES = ("L", "R")
HOIST = 1e6
"""Armature of the base while it is held [kg, kg m^2]: the base stays put, and the legs hang as from a wall."""


def refusal(physics: Physics, model: Path) -> str:
    """Return why this engine cannot do a row with these figures, or an empty string."""
    if physics.lane and root_tag(model) == "mujoco":
        return "the model has its own ground; lanes need a URDF"
    return ""


class MujocoEngine:
    """See `legged_gym.deployment.engine.Engine`."""

    def __init__(self, model: Path, physics: Physics) -> None:
        """Compile the scene and find the robot in it.

        Args:
            model: URDF or MJCF; see `load_spec`.
            physics: Figures of the scene; in an MJCF only those named in `changed` are set.

        Raises:
            UserError: The model cannot be used, or lacks something that the contract needs.
        """
        self._path, self._physics = model, physics
        self._model = compile_spec(load_spec(model, physics), model)
        self._model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_ACTUATION  # the servos are in `step`
        self._model.opt.disableflags |= mujoco.mjtDisableBit.mjDSBL_AUTORESET  # a broken simulation must show as such
        mujoco.set_mju_user_warning(lambda text: None)  # MuJoCo would write a log file into the working directory
        self._data = mujoco.MjData(self._model)
        self._find_robot()
        self._change(physics)
        self._substeps = self._count_substeps()
        self._heights = lane_heights(physics.lane) if physics.lane else None
        self._floor = self._ground_height()
        self._torque, self._force = np.zeros(len(JOINTS)), np.zeros(3)
        self._push: tuple[int, np.ndarray, np.ndarray] | None = None
        self.title = f"MuJoCo {mujoco.__version__}"
        self.tally = Tally()
        self.figures = self._figures()

    def _find_robot(self) -> None:
        """Look up joints, base and feet; the base is the free body that the joints hang on."""
        m, joints = self._model, [self._model.joint(i).name for i in range(self._model.njnt)]
        missing = [name for name in JOINTS if name not in joints]
        if missing:
            raise UserError(
                f"--model {self._path}: has no joint {missing[0]}; its joints: {', '.join(filter(None, joints))}"
            )
        ids = [joints.index(name) for name in JOINTS]
        self._q, self._v = m.jnt_qposadr[ids], m.jnt_dofadr[ids]
        self._abads = [int(m.jnt_bodyid[ids[0]]), int(m.jnt_bodyid[ids[3]])]
        self._base = int(m.body_rootid[self._abads[0]])
        address = int(m.body_jntadr[self._base])
        if address < 0 or m.jnt_type[address] != mujoco.mjtJoint.mjJNT_FREE:
            raise UserError(
                f"--model {self._path}: its base '{m.body(self._base).name}' is fixed, expected a free joint"
            )
        self._base_q, self._base_v = int(m.jnt_qposadr[address]), int(m.jnt_dofadr[address])
        self.lid = self._find_lid()
        self._feet = [self._foot_geom(side) for side in range(NUM_FEET)]
        self._parts = [self._part(geom) for geom in range(m.ngeom)]
        if not any(
            part.ground and m.geom_contype[geom] | m.geom_conaffinity[geom] for geom, part in enumerate(self._parts)
        ):
            raise UserError(f"--model {self._path}: has no ground; the scene needs a static plane, box or height field")

    def _side(self, body: int) -> int:
        """Return 0 for a body of the left leg, 1 for one of the right leg, -1 for others."""
        while body > 0:
            if body in self._abads:
                return self._abads.index(body)
            body = int(self._model.body_parentid[body])
        return -1

    def _foot_geom(self, side: int) -> int:
        """Find a foot's collision shape: one with `foot` in its own or its body's name, or else the lowest sphere."""
        m = self._model
        geoms = [
            g
            for g in range(m.ngeom)
            if self._side(m.geom_bodyid[g]) == side and m.geom_contype[g] | m.geom_conaffinity[g]
        ]
        mujoco.mj_kinematics(m, self._data)
        geoms.sort(key=lambda geom: self._data.geom_xpos[geom, 2])
        named = [g for g in geoms if "foot" in f"{m.geom(g).name} {m.body(m.geom_bodyid[g]).name}".lower()]
        spheres = [g for g in geoms if m.geom_type[g] == mujoco.mjtGeom.mjGEOM_SPHERE]
        if not named + spheres:
            raise UserError(f"--model {self._path}: found no foot on leg {SIDES[side]}: no shape named foot, no sphere")
        return (named + spheres)[0]

    def _find_lid(self) -> float | None:
        """Return the top of the base's first box that collides, base frame [m]."""
        m = self._model
        for geom in np.flatnonzero(m.geom_bodyid == self._base):
            if m.geom_type[geom] == mujoco.mjtGeom.mjGEOM_BOX and m.geom_contype[geom] | m.geom_conaffinity[geom]:
                return float(m.geom_pos[geom, 2] + m.geom_size[geom, 2])
        return None

    def _part(self, geom: int) -> Part:
        body = int(self._model.geom_bodyid[geom])
        if self._model.body_weldid[body] == 0:
            return Part(ground=True)
        foot = self._feet.index(geom) if geom in self._feet else -1
        return Part(foot=foot, side=self._side(body), vital=body == self._base or body in self._abads)

    def _change(self, physics: Physics) -> None:
        """Set the figures that a row changes: most of them are in a URDF's scene already, but none in an MJCF."""
        m, changed = self._model, physics.changed
        m.body_mass[self._base] += physics.base_mass_added
        if "timestep" in changed:
            m.opt.timestep = physics.timestep
        if "contact_time_constant" in changed:
            m.geom_solref[:] = (physics.contact_time_constant, 1.0)
        if "armature" in changed:
            m.dof_armature[self._v] = physics.armature
        if "joint_damping" in changed:
            m.dof_damping[self._v] = physics.joint_damping
        if "friction" in changed and len(physics.friction) == 1:
            m.geom_friction[:] = (physics.friction[0], TORSION, ROLLING)
        elif "friction" in changed:
            for geom, friction in zip(self._feet, physics.foot_friction(), strict=True):
                m.geom_friction[geom, 0] = friction
                m.geom_priority[geom] = m.geom_priority.max() + 1  # or the rougher of two surfaces would decide
        mujoco.mj_setConst(m, self._data)
        self._armature = m.dof_armature.copy()

    def set_joints(self, joints: JointParameters) -> None:
        """Give the joints other friction, damping and rotor inertia; the control loop handles the delay."""
        m = self._model
        m.dof_frictionloss[self._v] = joints.friction
        m.dof_damping[self._v] = joints.damping
        m.dof_armature[self._v] = joints.armature
        mujoco.mj_setConst(m, self._data)
        self._armature = m.dof_armature.copy()

    def _count_substeps(self) -> int:
        substeps = round(CONTROL_DT / self._model.opt.timestep)
        if substeps < 1 or abs(substeps * self._model.opt.timestep - CONTROL_DT) > 1e-9:
            step = 1e3 * self._model.opt.timestep
            raise UserError(f"--model {self._path}: steps of {step:g} ms do not divide the control loop's 2 ms")
        return substeps

    def _ground_height(self) -> float:
        """Measure the height of the ground below the start with a ray, from which the robot is moved away."""
        m, d = self._model, self._data
        d.qpos[self._base_q + 2] = 100.0
        mujoco.mj_kinematics(m, d)
        hit = np.full(1, -1, np.int32)
        distance = mujoco.mj_ray(m, d, np.array([0.0, 0.0, 50.0]), np.array([0.0, 0.0, -1.0]), None, 1, -1, hit)
        if distance < 0.0:
            raise UserError(f"--model {self._path}: there is no ground below the origin")
        return 50.0 - float(distance)

    def _figures(self) -> dict[str, object]:
        m, foot = self._model, self._feet[0]
        return {
            "timestep": float(m.opt.timestep),
            "cone": mujoco.mjtCone(m.opt.cone).name.removeprefix("mjCONE_").lower(),
            "solver": mujoco.mjtSolver(m.opt.solver).name.removeprefix("mjSOL_").lower(),
            "friction": [float(m.geom_friction[geom, 0]) for geom in self._feet],
            "contact_time_constant": float(m.geom_solref[foot, 0]),
            "contact_margin": float(m.geom_margin[foot]),
            "armature": float(m.dof_armature[self._v[0]]),
            "joint_damping": float(m.dof_damping[self._v[0]]),
            "kp": self._physics.kp,
            "kd": self._physics.kd,
            "mass": float(m.body_subtreemass[self._base]),
        }

    def place(self, lift: float = 0.0) -> None:
        """See `Engine.place`."""
        m, d = self._model, self._data
        mujoco.mj_resetData(m, d)
        d.qpos[self._q] = 0.0
        d.qpos[self._base_q : self._base_q + 7] = (0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
        mujoco.mj_kinematics(m, d)
        lowest = min(d.geom_xpos[geom, 2] - m.geom_size[geom, 0] for geom in self._feet)
        d.qpos[self._base_q + 2] = self._floor - lowest + lift
        m.dof_armature[self._base_v : self._base_v + 6] = HOIST
        self._push, self.tally = None, Tally()

    def release(self) -> None:
        """See `Engine.release`."""
        self._model.dof_armature[:] = self._armature
        self._data.qvel[self._base_v : self._base_v + 6] = 0.0

    def step(self, target: np.ndarray) -> None:
        """See `Engine.step`."""
        m, d = self._model, self._data
        for _ in range(self._substeps):
            velocity = d.qvel[self._v]
            self._torque = self._physics.torque(target, d.qpos[self._q], velocity)
            d.qfrc_applied[:] = 0.0
            d.qfrc_applied[self._v] = self._torque
            if self._push is not None:
                body, place, force = self._push
                point = d.xpos[body] + d.xmat[body].reshape(3, 3) @ place
                mujoco.mj_applyFT(m, d, force, np.zeros(3), point, body, d.qfrc_applied)
            mujoco.mj_step(m, d)
            self.tally.add(self._contacts(), float(np.abs(self._torque * velocity).sum()), self._descent)

    def _descent(self, foot: int) -> float:
        """Return a foot's downward speed [m/s] from before the last physics step: `mj_step` leaves velocities there."""
        velocity = np.zeros(6)
        mujoco.mj_objectVelocity(self._model, self._data, mujoco.mjtObj.mjOBJ_GEOM, self._feet[foot], velocity, 0)
        return -float(velocity[5])

    def _contacts(self) -> list[Contact]:
        """Return the contacts of the last physics step."""
        d = self._data
        if not d.ncon:
            return []
        pairs, frames, found, local = d.contact.geom, d.contact.frame, [], np.zeros(6)
        for k in range(d.ncon):
            mujoco.mj_contactForce(self._model, d, k, local)
            force = frames[k].reshape(3, 3).T @ local[:3]
            found.append((self._parts[pairs[k, 0]], self._parts[pairs[k, 1]], force))
        return found

    def sensors(self) -> Sensors:
        """See `Engine.sensors`."""
        d, rot = self._data, np.zeros(9)
        mujoco.mju_quat2Mat(rot, d.qpos[self._base_q + 3 : self._base_q + 7])
        rates = d.qvel[self._base_v + 3 : self._base_v + 6].copy()  # MuJoCo has them in the base frame
        return Sensors(rates, -rot[6:], d.qpos[self._q], d.qvel[self._v])

    def state(self) -> State:
        """See `Engine.state`."""
        m, d, base = self._model, self._data, self._base_q
        mujoco.mj_kinematics(m, d)  # `mj_step` leaves poses from before its last integration
        mujoco.mj_comPos(m, d)
        mujoco.mj_comVel(m, d)
        flat, feet = np.zeros(9), np.zeros((NUM_FEET, 6))
        mujoco.mju_quat2Mat(flat, d.qpos[base + 3 : base + 7])
        for geom, velocity in zip(self._feet, feet, strict=True):
            mujoco.mj_objectVelocity(m, d, mujoco.mjtObj.mjOBJ_GEOM, geom, velocity, 0)
        rot, position = flat.reshape(3, 3), d.qpos[base : base + 3].copy()
        return State(
            base_pos_w=position,
            base_rot=rot,
            base_lin_vel_w=d.qvel[self._base_v : self._base_v + 3].copy(),
            base_ang_vel_w=rot @ d.qvel[self._base_v + 3 : self._base_v + 6],
            joint_pos=d.qpos[self._q],
            joint_vel=d.qvel[self._v],
            torque=self._torque,
            feet_pos_w=d.geom_xpos[self._feet].copy(),
            feet_vel_w=feet[:, 3:],
            ground=self._floor if self._heights is None else lane_height(self._heights, position[0], position[1]),
        )

    def kick(self, velocity: np.ndarray) -> None:
        """See `Engine.kick`."""
        self._data.qvel[self._base_v : self._base_v + 3] += velocity

    def push(self, force: np.ndarray | None, where: str = "base") -> None:
        """See `Engine.push`."""
        if force is None:
            self._push = None
            return
        m = self._model
        if where.startswith("foot_"):
            geom = self._feet[int(where.removeprefix("foot_"))]
            body, place = int(m.geom_bodyid[geom]), m.geom_pos[geom]
        else:
            body, place = self._base, m.body_ipos[self._base].copy()
            place[2] = self.lid if where == "lid" else place[2]
        self._push = body, place, np.asarray(force, np.float64)

    def close(self) -> None:
        """See `Engine.close`."""
        mujoco.set_mju_user_warning(None)
