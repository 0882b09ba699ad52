"""MuJoCo on the CPU: one `MjModel` per robot, stepped by `mujoco.rollout` on a persistent thread pool."""

import os

import mujoco
import numpy as np
import torch
from mujoco import rollout

from legged_gym.sim.kinematics import LegKinematics
from legged_gym.sim.mujoco_spec import build_spec
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.simulator import SimOptions, Simulator
from legged_gym.utils.math import quat_rotate, quat_rotate_inverse

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS
_CONTROL = int(mujoco.mjtState.mjSTATE_CTRL)


class MujocoSimulator(Simulator):
    """The embedded simulator. State lives in MuJoCo's float64 layout and is mirrored into float32 tensors after each step."""

    def __init__(self, robot: RobotModel, num_envs: int, options: SimOptions, device: str = "cpu") -> None:
        """Compile one model and copy it for every robot.

        Raises:
            ValueError: The device is not the CPU, or the robot's joints are not in the expected order.
        """
        if torch.device(device).type != "cpu":
            raise ValueError(f"the mujoco simulator runs on the CPU: use --sim_device cpu (got '{device}')")
        super().__init__(robot, num_envs, options, device)
        self.spec = build_spec(
            robot,
            timestep=options.timestep,
            kp=options.kp,
            kd=options.kd,
            armature=options.armature,
            damping=options.joint_damping,
        )
        self.model = self.spec.compile()
        self._check_layout()
        self.models = [self.model.__copy__() for _ in range(num_envs)]
        self.num_threads = options.num_threads or len(os.sched_getaffinity(0))
        self._data = [mujoco.MjData(self.model) for _ in range(self.num_threads)]
        self._pool = rollout.Rollout(nthread=self.num_threads)
        self._kinematics = LegKinematics(robot, self.device)
        self._renderer: mujoco.Renderer | None = None
        self._allocate()

    def _check_layout(self) -> None:
        joints = tuple(self.model.joint(i).name for i in range(1, self.model.njnt))
        if joints != tuple(self.robot.joint_names):
            raise ValueError(f"{self.robot.urdf}: joints are {joints}, expected {tuple(self.robot.joint_names)}")
        if np.abs(self.model.body_quat[2:] - [1, 0, 0, 0]).max() > 1e-9:
            raise ValueError(f"{self.robot.urdf}: joint frames must be unrotated (rpy 0) below the base")

    def _allocate(self) -> None:
        n, model, steps = self.num_envs, self.model, self.options.decimation
        joints = len(self.robot.joint_names)
        self._state_now = np.zeros((n, mujoco.mj_stateSize(model, _STATE)))
        self._state_now[:, 1:4] = self.model.qpos0[:3]
        self._state_now[:, 4] = 1.0
        self._state_out = np.zeros((n, steps, self._state_now.shape[1]))
        self._sensor_out = np.zeros((n, steps, model.nsensordata))
        self._control = np.zeros((n, steps, joints))
        # Tensor views of the arrays above. FULLPHYSICS is time, qpos (position, quaternion w x y z, joints), qvel (the base's
        # angular part in its own frame), then activations, of which there are none.
        self._full = torch.from_numpy(self._state_now)
        self._qpos, self._qvel = self._full[:, 1 : 8 + joints], self._full[:, 8 + joints : 14 + 2 * joints]
        self._last_sensors = torch.from_numpy(self._sensor_out)[:, -1]
        self._controls = torch.from_numpy(self._control)
        self._previous_target = torch.zeros(n, joints)
        self._substep = torch.arange(steps).view(1, -1, 1)
        self._contact_columns = self._sensor_columns([f"contact_{b}" for b in self.robot.body_names])
        self._torque_columns = self._sensor_columns([f"torque_{j}" for j in self.robot.joint_names])
        self._body_ids = [model.body(b).id for b in self.robot.body_names]
        self._mass = torch.as_tensor(model.body_mass[self._body_ids]).float().repeat(n, 1)  # (N, B)
        self._leg_rows = [
            [self.robot.body_names.index(f"{link}_{side}_Link") for link in ("abad", "hip", "knee", "foot")] for side in "LR"
        ]
        self._base_com = torch.as_tensor(model.body_ipos[self._body_ids[0]]).float().repeat(n, 1)  # (N, 3)
        self._refresh(slice(None))

    def _sensor_columns(self, names: list[str]) -> slice:
        """The columns of a run of sensors that stand next to each other."""
        sensors = [self.model.sensor(name) for name in names]
        start, stop = int(sensors[0].adr[0]), int(sensors[-1].adr[0] + sensors[-1].dim[0])
        if stop - start != sum(int(s.dim[0]) for s in sensors):
            raise ValueError(f"sensors {names} are not contiguous in the model")
        return slice(start, stop)

    def step(self, joint_targets: torch.Tensor) -> None:
        """See `Simulator.step`."""
        arrived = self._substep >= self.parameters["action_delay"].view(-1, 1, 1)
        self._controls.copy_(torch.where(arrived, joint_targets.unsqueeze(1), self._previous_target.unsqueeze(1)))
        self._previous_target.copy_(joint_targets)
        self._pool.rollout(
            self.models,
            self._data,
            self._state_now,
            self._control,
            control_spec=_CONTROL,
            skip_checks=True,
            nstep=self.options.decimation,
            state=self._state_out,
            sensordata=self._sensor_out,
        )
        self._state_now[:] = self._state_out[:, -1]
        self._refresh(slice(None))
        self.state.contact_force_w.copy_(self._last_sensors[:, self._contact_columns].view_as(self.state.contact_force_w))
        self.state.joint_torque.copy_(self._last_sensors[:, self._torque_columns])

    def _refresh(self, rows: slice | torch.Tensor) -> None:
        """Mirror MuJoCo's state into tensors and derive the feet and the centre of mass, for some rows."""
        s, qpos, qvel = self.state, self._qpos[rows].float(), self._qvel[rows].float()
        root_pos, quat, joint_pos = qpos[:, :3], qpos[:, [4, 5, 6, 3]], qpos[:, 7:]
        root_vel, joint_vel = qvel[:, :3], qvel[:, 6:]
        root_omega = quat_rotate(quat, qvel[:, 3:6])
        base_rot, feet_pos, feet_vel, link_pos, link_vel = self._kinematics.forward(
            root_pos, quat, root_vel, root_omega, joint_pos, joint_vel
        )
        mass = self._mass[rows]
        lever = (base_rot @ self._base_com[rows].unsqueeze(-1)).squeeze(-1)
        leg_mass = mass[:, self._leg_rows].unsqueeze(-1)  # (N, 2, 4, 1)
        base_mass, total = mass[:, :1], mass.sum(-1, keepdim=True)
        s.root_pos_w[rows] = root_pos
        s.root_quat_xyzw[rows] = quat
        s.root_lin_vel_w[rows] = root_vel
        s.root_ang_vel_w[rows] = root_omega
        s.joint_pos[rows] = joint_pos
        s.joint_vel[rows] = joint_vel
        s.feet_pos_w[rows] = feet_pos
        s.feet_lin_vel_w[rows] = feet_vel
        s.com_pos_w[rows] = (base_mass * (root_pos + lever) + (leg_mass * link_pos).sum((1, 2))) / total
        base_com_vel = root_vel + torch.linalg.cross(root_omega, lever)
        s.com_lin_vel_w[rows] = (base_mass * base_com_vel + (leg_mass * link_vel).sum((1, 2))) / total

    def reset(
        self,
        mask: torch.Tensor,
        root_pos_w: torch.Tensor,
        root_quat_xyzw: torch.Tensor,
        root_lin_vel_w: torch.Tensor,
        root_ang_vel_w: torch.Tensor,
        joint_pos: torch.Tensor,
        joint_vel: torch.Tensor,
    ) -> None:
        """See `Simulator.reset`."""
        rows = mask.nonzero().squeeze(-1)
        if len(rows) == 0:
            return
        quat = torch.nn.functional.normalize(root_quat_xyzw[rows], dim=-1)
        omega_b = quat_rotate_inverse(quat, root_ang_vel_w[rows])
        self._full[rows, 0] = 0.0
        self._qpos[rows] = torch.cat((root_pos_w[rows], quat[:, [3, 0, 1, 2]], joint_pos[rows]), dim=-1).double()
        self._qvel[rows] = torch.cat((root_lin_vel_w[rows], omega_b, joint_vel[rows]), dim=-1).double()
        self._previous_target[rows] = joint_pos[rows]
        self.state.contact_force_w[rows] = 0.0
        self.state.joint_torque[rows] = 0.0
        self._refresh(rows)

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        """See `Simulator.push`."""
        rows = mask.nonzero().squeeze(-1)
        if len(rows) == 0:
            return
        self._qvel[rows, :3] += delta_vel_w[rows].double()
        self._refresh(rows)

    def _apply_parameter(self, name: str, mask: torch.Tensor | None) -> None:
        if name == "action_delay":
            if not ((self.parameters[name] >= 0) & (self.parameters[name] <= self.options.decimation)).all():
                raise ValueError(f"action_delay must lie in 0..{self.options.decimation} physics steps")
            return
        rows = range(self.num_envs) if mask is None else mask.nonzero().squeeze(-1).tolist()
        write = {"friction": self._write_friction, "kp": self._write_gains, "kd": self._write_gains, "strength": self._write_gains}
        values = {key: value.double().numpy() for key, value in self.parameters.items()}
        for i in rows:
            write.get(name, self._write_inertia)(self.models[i], {key: value[i] for key, value in values.items()})
        if name.startswith(("base", "link")):
            for i in rows:
                mujoco.mj_setConst(self.models[i], self._data[0])
                self._mass[i] = torch.from_numpy(self.models[i].body_mass[self._body_ids])
                self._base_com[i] = torch.from_numpy(self.models[i].body_ipos[self._body_ids[0]])

    def _write_friction(self, model: mujoco.MjModel, values: dict[str, np.ndarray]) -> None:
        model.geom_friction[:, 0] = values["friction"]

    def _write_gains(self, model: mujoco.MjModel, values: dict[str, np.ndarray]) -> None:
        kp, kd = values["strength"] * values["kp"], values["strength"] * values["kd"]
        model.actuator_gainprm[:, 0] = kp
        model.actuator_biasprm[:, 1] = -kp
        model.actuator_biasprm[:, 2] = -kd

    def _write_inertia(self, model: mujoco.MjModel, values: dict[str, np.ndarray]) -> None:
        ids, base, nominal = self._body_ids, self._body_ids[0], self.model
        model.body_mass[ids] = nominal.body_mass[ids] * values["link_mass_scale"]
        model.body_mass[base] += values["base_mass_added"]
        model.body_inertia[ids] = nominal.body_inertia[ids] * values["link_inertia_scale"][:, None]
        model.body_ipos[base] = nominal.body_ipos[base] + values["base_com_offset"]

    def render(self, robot: int = 0, width: int = 640, height: int = 480) -> np.ndarray:
        """See `Simulator.render`."""
        if self._renderer is None or (self._renderer.width, self._renderer.height) != (width, height):
            try:
                self._renderer = mujoco.Renderer(self.model, height, width)
            except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
                raise RuntimeError(
                    f"no off-screen rendering here ({error}); set MUJOCO_GL=egl and install Mesa's EGL (libegl1)"
                ) from error
        data = self._data[0]
        mujoco.mj_setState(self.models[robot], data, self._state_now[robot], _STATE)
        mujoco.mj_forward(self.models[robot], data)
        self._renderer.update_scene(data, camera="track")
        return self._renderer.render()

    def close(self) -> None:
        """Stop the thread pool."""
        self._pool.close()
        if self._renderer is not None:
            self._renderer.close()

