"""MuJoCo on the CPU: one `MjModel` per robot, stepped by `mujoco.rollout` on a persistent thread pool."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields

import mujoco
import numpy as np
import torch
from mujoco import rollout

from legged_gym.sim.kinematics import LegKinematics
from legged_gym.sim.mujoco.parameters import ModelParameters
from legged_gym.sim.mujoco.spec import GROUND_NAME, LEG_SENSOR, build_spec, compile_spec
from legged_gym.sim.mujoco.terrain import HeightField
from legged_gym.sim.mujoco.treads import Treads
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.servo import Servo, clamp_target, limit_torque
from legged_gym.sim.sim_options import SimOptions, motor_speeds
from legged_gym.sim.sim_state import Placement, forget_forces
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import usable_cores
from legged_gym.utils.math import quat_rotate_inverse

_STATE = mujoco.mjtState.mjSTATE_FULLPHYSICS
_CONTROL = int(mujoco.mjtState.mjSTATE_CTRL | mujoco.mjtState.mjSTATE_XFRC_APPLIED)
"""Inputs of a rollout: joint targets, then force and torque on each body."""
_DIVERGED = 1e4
"""A robot with a number above this [m, rad, m/s, rad/s] in its state is broken."""
_WINDOW = 3.2
"""Side of the part of a terrain that a robot's model holds [m]."""
_REACH = 1.0
"""Distance from the base to a robot's farthest point, with its travel in a policy step [m]."""


def _warn(message: str) -> None:
    """Pass MuJoCo's warnings on, except those of unstable robots: their state shows that, and a log file would grow."""
    if "simulation is unstable" not in message:
        print(f"mujoco: {message}", file=sys.stderr)


class MujocoSimulator(Simulator):
    """The embedded simulator. State lives in MuJoCo's float64 layout and is mirrored into float32 tensors."""

    def __init__(
        self,
        robot: RobotModel,
        num_envs: int,
        options: SimOptions,
        device: str = "cpu",
        shared: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Compile one model and copy it for every robot.

        Raises:
            UserError: The device is not the CPU, or the robot's joints are not in the expected order.
        """
        if torch.device(device).type != "cpu":
            raise UserError(f"the mujoco simulator runs on the CPU: use --sim_device cpu (got '{device}')")
        super().__init__(robot, num_envs, options, device, shared)
        terrain = options.terrain
        self._field = None if terrain is None else HeightField(terrain, GROUND_NAME, _WINDOW)
        self._treads = None if terrain is None else Treads(terrain, robot, self.policy_dt)
        self.spec = build_spec(robot, options, visuals=False, field=self._field)
        if self._treads is not None:
            self._treads.add_to(self.spec)
        self.spec.option.disableflags |= int(mujoco.mjtDisableBit.mjDSBL_AUTORESET)  # a broken robot must be seen
        mujoco.set_mju_user_warning(_warn)
        self.model = compile_spec(self.spec, robot)
        # A robot has a model of its own, for its masses and the ground under it, and borrows a thread's data to step.
        self.models = [self.model.__copy__() for _ in range(num_envs)]
        if self._treads is not None:
            self._treads.attach(self.models)
        self.num_threads = options.num_threads or usable_cores()
        self._data = [mujoco.MjData(self.model) for _ in range(self.num_threads)]
        self._pool = rollout.Rollout(nthread=self.num_threads)
        self._parameters_in_models = ModelParameters(robot, self.model, self.models)
        self._kinematics = LegKinematics(robot, self.device)
        self._allocate()

    def _allocate(self) -> None:
        n, model, steps = self.num_envs, self.model, self.options.decimation
        joints = len(self.robot.joint_names)
        self._state_now = np.zeros((n, mujoco.mj_stateSize(model, _STATE)))
        self._state_now[:, 1:4] = self.model.qpos0[:3]
        self._state_now[:, 4] = 1.0
        if self.options.terrain is not None:
            self._state_now[:, 3] += self.options.terrain.height(0.0, 0.0)
        self._window_middle = torch.full((n, 2), torch.inf, dtype=torch.float64)
        self._window_asked = self._window_middle.clone()
        """Where the robots were when that part of the terrain was chosen [m, world]. Shape (N, 2)."""
        self._feet = torch.zeros(n, 2, len(self.robot.foot_names), 3)
        """Position and velocity of the feet [m, m/s, world]; kept for the treads only. Shape (N, 2, F, 3)."""
        self._state_out = np.zeros((n, steps, self._state_now.shape[1]))
        self._sensor_out = np.zeros((n, steps, model.nsensordata))
        self._control = np.zeros((n, steps, joints + 6 * model.nbody))
        # Tensor views of the arrays above. FULLPHYSICS is time, qpos (position, quaternion w x y z, joints), qvel (the
        # base's angular part in its own frame), then activations, of which there are none.
        self._full = torch.from_numpy(self._state_now)
        self._widths = (3, 4, joints, 3, 3, joints)
        self._qvel = self._full[:, 8 + joints : 14 + 2 * joints]
        self._states, self._sensors = torch.from_numpy(self._state_out), torch.from_numpy(self._sensor_out)
        controls = torch.from_numpy(self._control)
        self._targets = controls[..., :joints]  # (N, steps, J)
        pushed = [model.body(name).id for name in (self.robot.body_names[0], *self.robot.foot_names)]
        self._wrenches = [controls[..., joints + 6 * body : joints + 6 * (body + 1)] for body in pushed]
        self._start = torch.zeros(n, 2 * joints, dtype=torch.float64)
        self._previous_target = torch.zeros(n, joints)
        self._feet_touched = torch.zeros(n, len(self.robot.foot_names), dtype=torch.bool)
        self._substep_time = self.options.timestep * torch.arange(steps).view(1, -1, 1)
        """Start of each physics step, from the start of the policy step [s]. Shape (1, steps, 1)."""
        self._servo = self._make_servo()
        self._index_model()
        self._refresh(slice(None))

    def _index_model(self) -> None:
        """Find the sensors."""
        self._contact_columns = self._sensor_columns([f"contact_{b}" for b in self.robot.body_names])
        self._velocity_columns = self._sensor_columns([f"velocity_{foot}" for foot in self.robot.foot_names])
        self._leg_columns = self._sensor_columns([LEG_SENSOR])
        self._torque_columns = self._sensor_columns([f"torque_{j}" for j in self.robot.joint_names])
        self._feet_rows = [self.robot.body_names.index(foot) for foot in self.robot.foot_names]

    def _sensor_columns(self, names: list[str]) -> slice:
        """Columns of sensors that are contiguous in the model."""
        sensors = [self.model.sensor(name) for name in names]
        start, stop = int(sensors[0].adr[0]), int(sensors[-1].adr[0] + sensors[-1].dim[0])
        if stop - start != sum(int(s.dim[0]) for s in sensors):
            raise ValueError(f"sensors {names} are not contiguous in the model")
        return slice(start, stop)

    def _make_servo(self) -> Servo:
        o, motors = self.options, (self.robot.torque_limits, *motor_speeds(self.robot, self.options))
        limit, corner, no_load = (torch.as_tensor(values) for values in motors)
        return Servo(o.kp, o.kd, limit, corner, no_load, o.clamp_targets)

    def step(self, joint_targets: torch.Tensor) -> None:
        """See `Simulator.step`.

        MuJoCo's rollouts take all controls beforehand. So the step is first done without clamp and motor limits. For
        the few robots that reach one, it is done again, physics step by physics step. Doing that for all robots would
        take 1.6 times as long.
        """
        joints = joint_targets.shape[-1]
        # 1. All physics steps at once, with the new target from where its delay has passed.
        self._start[:, :joints], self._start[:, joints:] = self._full[:, 8 : 8 + joints], self._qvel[:, 6:]
        arrived = self._arrived(slice(None))
        self._targets.copy_(torch.where(arrived, joint_targets.unsqueeze(1), self._previous_target.unsqueeze(1)))
        for body, columns in enumerate(self._wrenches):
            columns.copy_(self.wrench_w[:, body].unsqueeze(1))
        self._show_ground()
        self._rollout(self.models, self._state_now, self._control, self._state_out, self._sensor_out)
        # 2. Again, one physics step at a time, for robots that reached a limit of controller or motors.
        at_limit = self._reached_limit(joint_targets, arrived).nonzero().squeeze(-1)
        clamped = self._step_at_limit(at_limit, joint_targets) if len(at_limit) else joint_targets[:0]
        self._previous_target.copy_(joint_targets)
        self._previous_target[at_limit] = clamped
        # 3. A diverged robot shows NaN, and keeps doing so: NaN in, NaN out.
        self._state_now[:] = self._state_out[:, -1]
        broken = ~(self._full[:, 1:].abs().amax(-1, keepdim=True) < _DIVERGED)
        self._full[:, 1:].masked_fill_(broken, torch.nan)
        self._refresh(slice(None))
        self._show_forces()

    def _arrived(self, rows: slice | torch.Tensor) -> torch.Tensor:
        """Whether a new target is in force in each physics step. Shape (N, steps, 1)."""
        delay = self.parameters["action_delay"][rows].view(-1, 1, 1)
        return self._substep_time > delay - 0.5 * self.options.timestep

    def _rollout(
        self,
        models: Sequence[mujoco.MjModel],
        start: np.ndarray,
        control: np.ndarray,
        states: np.ndarray,
        sensors: np.ndarray | None,
    ) -> None:
        """Let MuJoCo run, for as many physics steps as there are controls."""
        self._pool.rollout(
            models,
            self._data,
            start,
            control,
            control_spec=_CONTROL,
            skip_checks=True,
            nstep=control.shape[1],
            state=states,
            sensordata=sensors,
        )

    def _reached_limit(self, joint_targets: torch.Tensor, arrived: torch.Tensor) -> torch.Tensor:
        """Find the robots that the controller's clamp or a motor's limit would have affected. Shape (N,)."""
        joints, p = joint_targets.shape[-1], self.parameters
        pos = torch.cat((self._start[:, None, :joints], self._states[:, :-1, 8 : 8 + joints]), 1)  # (N, steps, J)
        vel = torch.cat((self._start[:, None, joints:], self._states[:, :-1, -joints:]), 1)
        target = joint_targets.unsqueeze(1)
        clamped = clamp_target(self._servo, target, pos, vel) != target
        asked = _pd_torque(p["kp"], p["kd"], p["strength"], self._targets, pos, vel)
        return (clamped | (limit_torque(self._servo, asked, vel) != asked)).flatten(1).any(-1)

    def _step_at_limit(self, rows: torch.Tensor, joint_targets: torch.Tensor) -> torch.Tensor:
        """Do the policy step again for some robots (K,), applying clamp and motor limits in each physics step.

        Returns:
            Their targets, as clamped in the end [rad]. Shape (K, J).
        """
        index, joints, servo = rows.numpy(), joint_targets.shape[-1], self._servo
        kp, kd, strength = (self.parameters[name][rows].double() for name in ("kp", "kd", "strength"))
        target, previous = joint_targets[rows].double(), self._previous_target[rows].double()
        arrived = self._arrived(rows)
        models = [self.models[i] for i in index]
        now, control = self._state_now[index], self._control[index]
        states, sensors = np.empty_like(now[:, None]), np.empty_like(self._sensor_out[index, :1])
        pos, vel = (torch.from_numpy(now[:, columns]) for columns in (slice(8, 8 + joints), slice(-joints, None)))
        for k in range(self.options.decimation):
            target = clamp_target(servo, target, pos, vel)
            held = torch.where(arrived[:, k], target, previous)
            torque = limit_torque(servo, strength * (kp * (held - pos) - kd * vel), vel)
            control[:, k, :joints] = pos + (torque / strength + kd * vel) / kp
            self._rollout(models, now, np.ascontiguousarray(control[:, k : k + 1]), states, sensors)
            now[:] = states[:, 0]
            self._state_out[index, k], self._sensor_out[index, k] = now, sensors[:, 0]
        return target.float()

    def _show_forces(self) -> None:
        """Show torques and contact forces of the last physics step, and the peaks of all."""
        s, joints = self.state, self._previous_target.shape[-1]
        contact = self._sensors[..., self._contact_columns].unflatten(-1, (-1, 3))  # (N, steps, B, 3)
        torque = self._sensors[..., self._torque_columns]
        on_feet = contact[:, :, self._feet_rows].norm(dim=-1)  # (N, steps, F)
        touched = on_feet > 0.0
        # A foot lands in a physics step with contact after one without; the last policy step's end counts as well.
        lands = touched & ~torch.cat((self._feet_touched.unsqueeze(1), touched[:, :-1]), dim=1)
        self._feet_touched.copy_(touched[:, -1])
        # Sensors are those of a physics step's start: the speed before the contact took it away.
        sinking = -self._sensors[..., self._velocity_columns].unflatten(-1, (-1, 3))[..., 2]
        s.landing_speed.copy_(torch.where(lands, sinking, 0.0).clamp(min=0.0).amax(1))
        s.contact_force_w.copy_(contact[:, -1])
        s.joint_torque.copy_(torque[:, -1])
        s.joint_target.copy_(self._previous_target)
        s.peak_power.copy_((torque * self._states[..., -joints:]).abs().sum(-1).amax(1))
        s.peak_foot_force.copy_(on_feet.amax(1))
        s.peak_leg_force.copy_(self._sensors[..., self._leg_columns].norm(dim=-1).amax(1))

    def step_engine(self) -> None:
        """See `Simulator.step_engine`. All robots share the nominal model, without sensor output: bare MuJoCo's speed.

        On a terrain each robot needs the model that holds the ground under it.
        """
        self._show_ground()
        models = self.models if self._field is not None else [self.model] * self.num_envs
        self._rollout(models, self._state_now, self._control, self._state_out, None)
        self._state_now[:] = self._state_out[:, -1]
        self._refresh(slice(None), show=False)

    def _show_ground(self) -> None:
        """Move the ground under feet, and the window of robots that have come near its edge."""
        if self._field is None or self._treads is None:
            return
        self._treads.follow(*self._feet.unbind(1))
        here = self._full[:, 1:3]
        # A model holds a window of the map only: a whole map for each robot would not fit into memory.
        far = (here - self._window_middle).abs().amax(-1) > 0.5 * _WINDOW - _REACH
        for robot in far.nonzero().squeeze(-1).tolist():
            middle = self._field.place(self.models[robot], *here[robot].tolist())
            self._window_middle[robot], self._window_asked[robot] = torch.tensor(middle), here[robot]

    def _refresh(self, rows: slice | torch.Tensor, show: bool = True) -> None:
        """Derive the feet and the centre of mass from MuJoCo's state, for some rows; show all in `state` if wanted."""
        if not show and self._treads is None:  # only treads need to know where feet are
            return
        s, full = self.state, self._full[rows, 1:].float()
        pos, quat_wxyz, joint_pos, vel, omega_b, joint_vel = full.split(self._widths, dim=-1)
        quat = quat_wxyz.roll(-1, -1)
        masses = self._parameters_in_models
        motion = self._kinematics.forward(
            pos, quat, vel, omega_b, joint_pos, joint_vel, masses.mass_share[rows], masses.base_com[rows]
        )
        if self._treads is not None:
            self._feet[rows] = torch.stack((motion.feet_pos_w, motion.feet_lin_vel_w), dim=1)
        if not show:
            return
        s.root_pos_w[rows] = pos
        s.root_quat_xyzw[rows] = quat
        s.root_lin_vel_w[rows] = vel
        s.joint_pos[rows] = joint_pos
        s.joint_vel[rows] = joint_vel
        for name, value in motion._asdict().items():
            getattr(s, name)[rows] = value

    def reset(self, mask: torch.Tensor, placement: Placement) -> None:
        """See `Simulator.reset`."""
        rows = mask.nonzero().squeeze(-1)
        if len(rows) == 0:
            return
        pos, quat, vel, omega, angles, rates = (tensor[rows] for tensor in placement.tensors())
        quat = torch.nn.functional.normalize(quat, dim=-1)
        omega_b = quat_rotate_inverse(quat, omega)  # as MuJoCo's `qvel` has it
        time = torch.zeros_like(pos[:, :1])
        self._full[rows] = torch.cat((time, pos, quat.roll(1, -1), angles, vel, omega_b, rates), dim=-1).double()
        self._previous_target[rows] = angles
        self._feet_touched[rows] = False
        if self.shows_interventions:
            forget_forces(self.state, mask, placement.joint_pos)
        self._refresh(rows, self.shows_interventions)

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        """See `Simulator.push`. The whole robot gets the same change of velocity."""
        # Feet and centre of mass get the same change, so they need not be derived anew.
        delta, s = torch.where(mask.unsqueeze(-1), delta_vel_w, 0.0), self.state
        self._qvel[:, :3] += delta
        if self._treads is not None:
            self._feet[:, 1] += delta.unsqueeze(1)
        if self.shows_interventions:
            s.root_lin_vel_w += delta
            s.com_lin_vel_w += delta
            s.feet_lin_vel_w += delta.unsqueeze(1)

    def exact_state(self) -> dict[str, torch.Tensor]:
        """See `Simulator.exact_state`."""
        own = {
            name: getattr(self, name)
            for name in ("_full", "_previous_target", "_feet_touched", "_feet", "_window_asked", "wrench_w")
        }
        shown = {f"state.{field.name}": getattr(self.state, field.name) for field in fields(self.state)}
        return own | shown | {f"parameters.{name}": value for name, value in self.parameters.items()}

    def load_exact_state(self, state: Mapping[str, torch.Tensor]) -> None:
        """See `Simulator.load_exact_state`."""
        for name, tensor in self.exact_state().items():
            tensor.copy_(state[name])
        self.set_parameters(self.parameters)
        for robot in self._window_asked[:, 0].isfinite().nonzero().squeeze(-1).tolist():
            assert self._field is not None  # for the type checker: only a terrain has windows
            middle = self._field.place(self.models[robot], *self._window_asked[robot].tolist())
            self._window_middle[robot] = torch.tensor(middle)

    def _apply_parameters(self, names: Collection[str], mask: torch.Tensor) -> None:
        rows = mask.nonzero().squeeze(-1)
        if len(rows):
            self._parameters_in_models.write(names, self.parameters, rows)

    def close(self) -> None:
        """Stop the thread pool."""
        super().close()
        self._pool.close()


def _pd_torque(
    kp: torch.Tensor,
    kd: torch.Tensor,
    strength: torch.Tensor,
    target: torch.Tensor,
    pos: torch.Tensor,
    vel: torch.Tensor,
) -> torch.Tensor:
    """Torque of servos before limits, per physics step [N m]. Gains (N, J), the others and the result (N, steps, J)."""
    kp, kd, strength = (gain.unsqueeze(1) for gain in (kp, kd, strength))
    return strength * (kp * (target - pos) - kd * vel)
