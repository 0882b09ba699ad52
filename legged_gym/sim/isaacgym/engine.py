"""Steps Isaac Gym and writes the state where the trainer reads it. Python 3.8; isaacgym is imported before torch."""

from __future__ import annotations

from typing import Any

from isaacgym import gymapi, gymtorch  # isort: skip - before torch
import numpy as np
import torch

from legged_gym.sim.isaacgym.scene import Scene
from legged_gym.sim.process.protocol import BODY_PARAMETERS, PLACEMENT
from legged_gym.sim.process.serve import Backend
from legged_gym.sim.servo import Servo, clamp_target, limit_torque

PEAKS = ("peak_power", "peak_foot_force", "landing_speed", "peak_leg_force")
"""Fields of the state that cover all physics steps of a policy step."""
MOTOR = ("torque_limits", "corner_speeds", "no_load_speeds")
"""The motors' numbers from the trainer, see `Servo`."""
DIVERGED = 1e4
"""A robot with a number above this [m, rad, m/s, rad/s] in its state is broken."""
PROBE_HEIGHT, PROBE_SPIN = 20.0, 3.0
"""Height [m] and rate [rad/s] at which a robot is spun to find which point's velocity Isaac Gym reports."""


def rotate(quat_xyzw: torch.Tensor, vector: torch.Tensor) -> torch.Tensor:
    """Rotate vectors (..., 3) by unit quaternions (..., 4)."""
    axis, w = quat_xyzw[..., :3], quat_xyzw[..., 3:]
    t = 2.0 * torch.cross(axis, vector, dim=-1)
    return vector + w * t + torch.cross(axis, t, dim=-1)


class IsaacGymBackend(Backend):
    """N robots in PhysX.

    Isaac Gym's tensors are views of memory that PhysX owns. Their values are those of the last refresh. Writes take
    effect through the indexed setters, which are called once per policy step.
    """

    def __init__(self, spec: dict[str, Any], shared: dict[str, torch.Tensor]) -> None:
        """Create the scene; PhysX is prepared at the first step, by when the robots' masses are known.

        Args:
            spec: From the trainer, see `IsaacGymSimulator`.
            shared: Tensors by name, see `wire_fields`.
        """
        mesh = None
        if spec["mesh"]:
            mesh = shared["terrain.vertices"].cpu().numpy(), shared["terrain.triangles"].cpu().numpy().view(np.uint32)
        self._scene = scene = Scene(spec, mesh)
        self._gym, self._sim, self._shared = scene.gym, scene.sim, shared
        self._device = torch.device(spec["device"])
        self._decimation, self._damping = int(spec["decimation"]), float(spec["joint_damping"])
        self._timestep = float(spec["timestep"])
        n, device = scene.num_envs, self._device
        limits, corner, no_load = (torch.tensor(spec[key], device=device) for key in MOTOR)
        self._servo = Servo(float(spec["kp"]), float(spec["kd"]), limits, corner, no_load, bool(spec["clamp_targets"]))
        self._dofs = torch.tensor(scene.dofs, device=device)
        self._bodies = torch.tensor(scene.bodies, device=device)
        self._feet = torch.tensor([spec["body_names"].index(name) for name in spec["foot_names"]], device=device)
        self._pushed = torch.cat((self._bodies[:1], self._bodies[self._feet]))
        self._origins = torch.tensor(scene.origins, device=device)
        self._actors = torch.arange(n, dtype=torch.int32, device=device)
        self._masses = torch.tensor(scene.masses, dtype=torch.float32, device=device).repeat(n, 1)  # (N, B)
        self._coms = torch.tensor(scene.coms, dtype=torch.float32, device=device).repeat(n, 1, 1)  # (N, B, 3)
        self._moved = self._actors
        self._previous_target = torch.zeros(n, len(scene.dofs), device=device)
        self._broken = torch.zeros(n, dtype=torch.bool, device=device)
        self._applied: dict[str, torch.Tensor] = {}
        self._prepared = False

    # -- PhysX ---------------------------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Let PhysX allocate, and wrap its tensors."""
        gym, sim, n = self._gym, self._sim, self._scene.num_envs
        gym.prepare_sim(sim)
        self._root = gymtorch.wrap_tensor(gym.acquire_actor_root_state_tensor(sim))  # (N, 13)
        self._dof_state = gymtorch.wrap_tensor(gym.acquire_dof_state_tensor(sim))  # (N * J, 2)
        self._body_state = gymtorch.wrap_tensor(gym.acquire_rigid_body_state_tensor(sim))  # (N * B, 13)
        self._contact_force = gymtorch.wrap_tensor(gym.acquire_net_contact_force_tensor(sim))  # (N * B, 3)
        if self._scene.has_foot_sensors:
            self._foot_force = gymtorch.wrap_tensor(gym.acquire_force_sensor_tensor(sim))  # (N * F, 6)
        self._torques = torch.zeros(n * len(self._dofs), device=self._device)
        self._forces = torch.zeros(n, self._body_state.shape[0] // n, 3, device=self._device)
        self._moments = torch.zeros_like(self._forces)
        self._refresh()
        self._velocity_at_com = self._probe_velocities()
        self._prepared = True

    def _refresh(self) -> None:
        gym, sim = self._gym, self._sim
        gym.refresh_actor_root_state_tensor(sim)
        gym.refresh_dof_state_tensor(sim)
        gym.refresh_rigid_body_state_tensor(sim)
        gym.refresh_net_contact_force_tensor(sim)
        if self._scene.has_foot_sensors:
            gym.refresh_force_sensor_tensor(sim)

    def _simulate(self) -> None:
        self._gym.simulate(self._sim)
        if not self._scene.on_gpu:
            self._gym.fetch_results(self._sim, True)

    def _probe_velocities(self) -> bool:
        """Tell whether a body's velocity is that of its centre of mass or of its origin, which is documented nowhere.

        High above the ground a robot is spun about the vertical, with zero velocity: the point that the velocity
        belongs to
        stays in place. The first step of the trainer places the robot anew.
        """
        spin = torch.tensor((0.0, 0.0, PROBE_SPIN), device=self._device)
        self._root[0, :2], self._root[0, 2] = self._origins[0, :2], PROBE_HEIGHT
        self._root[0, 3:10] = torch.tensor((0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0), device=self._device)
        self._root[0, 10:13] = spin
        self._dof_state.view(-1, len(self._dofs), 2)[0] = 0.0
        before = self._root[0, :3].clone()
        self._set_states(self._actors[:1], joints=True)
        self._simulate()
        self._refresh()
        moved = (self._root[0, :3] - before)[:2]
        if_com = -self._timestep * torch.cross(spin, self._coms[0, 0], dim=-1)[:2]
        return bool((moved - if_com).norm() < moved.norm())

    def _set_states(self, actors: torch.Tensor, joints: bool) -> None:
        """Hand the root states, and if asked the joint states, of some actors (K,) int32 to PhysX."""
        indices = gymtorch.unwrap_tensor(actors)
        self._gym.set_actor_root_state_tensor_indexed(
            self._sim, gymtorch.unwrap_tensor(self._root), indices, len(actors)
        )
        if joints:
            self._gym.set_dof_state_tensor_indexed(
                self._sim, gymtorch.unwrap_tensor(self._dof_state), indices, len(actors)
            )

    # -- what the trainer has noted ------------------------------------------------------------------------------------

    def apply(self, parameters: list[str], reset: bool, push: bool) -> None:
        """See `Backend.apply`."""
        if parameters:
            self._apply_parameters(parameters)
        if not self._prepared:
            self._prepare()
        self._place_and_push(reset, push)

    def _apply_parameters(self, names: list[str]) -> None:
        """Set the parameters that PhysX holds, where they have changed; `_advance` reads gains, strength and delay."""
        if "friction" in names:
            rows = self._changed("friction")
            for i, (left, right) in zip(rows, self._applied["friction"][rows].tolist()):
                self._scene.set_friction(i, left, right)
        if any(name in names for name in BODY_PARAMETERS):
            rows = sorted({i for name in BODY_PARAMETERS for i in self._changed(name)})
            self._set_bodies(rows)
        self._shared["changed"].zero_()

    def _changed(self, name: str) -> list[int]:
        """Find the robots whose value differs from PhysX's, and note the new value as PhysX's."""
        value = self._shared["parameter." + name]
        if name not in self._applied:
            self._applied[name] = torch.full_like(value, float("nan"))
        differs = (value != self._applied[name]).reshape(len(value), -1).any(-1)
        self._applied[name].copy_(value)
        return differs.nonzero().flatten().tolist()

    def _set_bodies(self, rows: list[int]) -> None:
        if not rows:
            return
        applied, scene = self._applied, self._scene
        nominal = torch.tensor(scene.masses, dtype=torch.float32, device=self._device)
        self._masses[rows] = nominal * applied["link_mass_scale"][rows]
        self._masses[rows, 0] += applied["base_mass_added"][rows]
        self._coms[rows, 0] = (
            torch.tensor(scene.coms[0], dtype=torch.float32, device=self._device) + applied["base_com_offset"][rows]
        )
        masses, coms, scales = (
            tensor[rows].cpu().numpy() for tensor in (self._masses, self._coms, applied["link_inertia_scale"])
        )
        armatures = applied["armature"][rows].cpu().numpy()
        for k, i in enumerate(rows):
            scene.set_bodies(i, masses[k], coms[k], scales[k])
            scene.set_armature(i, armatures[k])

    def _place_and_push(self, reset: bool, push: bool) -> None:
        """Write the reset robots' states and the pushed ones' velocities, and hand both to PhysX in one call."""
        shared = self._shared
        placed = shared["reset_mask"].bool() if reset else torch.zeros_like(self._broken)
        pushed = (shared["push_delta_w"] != 0.0).any(-1) if push else torch.zeros_like(self._broken)
        # Resets come first: a push after one adds to the velocity that the robot was placed with.
        rows = placed.nonzero().flatten()
        if len(rows):
            self._write_placement(rows)
        if push:
            self._root[:, 7:10] += shared["push_delta_w"]
        moved = (placed | pushed).nonzero().flatten()
        if len(moved):
            self._moved = self._actors[moved]  # kept: PhysX may read it later
            self._set_states(self._moved, joints=bool(len(rows)))
        shared["reset_mask"].zero_()
        shared["push_delta_w"].zero_()

    def _write_placement(self, rows: torch.Tensor) -> None:
        """Put the trainer's values of some robots into PhysX's tensors, without values that would break PhysX."""
        pos, quat, vel, omega, q, qd = (self._shared["reset." + name][rows] for name in PLACEMENT)
        sane = torch.cat((pos, quat, vel, omega, q, qd), -1).abs().lt(DIVERGED).all(-1)
        self._broken[rows] = ~sane
        if self._velocity_at_com:
            vel = vel + torch.cross(omega, rotate(quat, self._coms[rows, 0]), dim=-1)
        root = torch.cat((pos + self._origins[rows], quat, vel, omega), -1)
        parked = torch.zeros_like(root)
        parked[:, :3], parked[:, 6] = self._origins[rows], 1.0
        parked[:, 2] += PROBE_HEIGHT
        self._root[rows] = torch.where(sane.unsqueeze(-1), root, parked)
        joints = torch.stack((q, qd), -1)[:, torch.argsort(self._dofs)]  # in Isaac Gym's order
        joints = torch.where(sane.view(-1, 1, 1), joints, torch.zeros_like(joints))
        self._dof_state.view(-1, len(self._dofs), 2)[rows] = joints
        self._previous_target[rows] = q

    # -- stepping ------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """See `Backend.step`."""
        self._advance()
        self._refresh()
        self._write_state()

    def _advance(self) -> None:
        """Run the physics steps of a policy step, each with the controller, the delay and the motors of `Simulator`."""
        shared, servo = self._shared, self._servo
        kp, kd, strength = (shared["parameter." + name] for name in ("kp", "kd", "strength"))
        delay, target = shared["parameter.action_delay"].unsqueeze(-1), shared["targets"]
        state = self._dof_state.view(-1, len(self._dofs), 2)
        torques = self._torques.view(-1, len(self._dofs))
        for name in PEAKS:
            shared["state." + name].zero_()
        for k in range(self._decimation):
            # The law of `Simulator`, on the joints as they are now.
            q, qd = state[:, self._dofs].unbind(-1)
            target = clamp_target(servo, target, q, qd)
            arrived = k * self._timestep > delay - 0.5 * self._timestep
            held = torch.where(arrived, target, self._previous_target)
            torque = limit_torque(servo, strength * (kp * (held - q) - kd * qd), qd)
            # PhysX must not see a broken robot's.
            torques[:, self._dofs] = torch.nan_to_num(torque - self._damping * qd)
            self._gym.set_dof_actuation_force_tensor(self._sim, gymtorch.unwrap_tensor(self._torques))
            self._apply_wrenches()
            # Feet's motion and contacts before the physics step, from which landings are found.
            self._gym.refresh_rigid_body_state_tensor(self._sim)
            sinking = -self._feet_velocities()[..., 2]
            touched = self._contact_forces()[:, self._feet].norm(dim=-1)
            self._simulate()
            self._gym.refresh_dof_state_tensor(self._sim)
            self._note_peaks(torque, state[:, self._dofs, 1], sinking, touched)
        self._previous_target.copy_(target)
        shared["state.joint_target"].copy_(target)
        shared["state.joint_torque"].copy_(torque)

    def _apply_wrenches(self) -> None:
        """Hand external forces to PhysX, which takes them for one physics step."""
        wrench = torch.nan_to_num(self._shared["wrench_w"])  # (N, 1 + F, 6)
        self._forces[:, self._pushed], self._moments[:, self._pushed] = wrench[..., :3], wrench[..., 3:]
        force, moment = (gymtorch.unwrap_tensor(x.view(-1, 3)) for x in (self._forces, self._moments))
        self._gym.apply_rigid_body_force_tensors(self._sim, force, moment, gymapi.ENV_SPACE)

    def _feet_velocities(self) -> torch.Tensor:
        """Velocities of the feet's origins [m/s]. Shape (N, F, 3)."""
        feet = self._body_state.view(len(self._actors), -1, 13)[:, self._bodies[self._feet]]
        velocity, omega = feet[..., 7:10], feet[..., 10:13]
        if not self._velocity_at_com:
            return velocity
        arm = rotate(feet[..., 3:7], self._coms[:, self._feet])
        return velocity - torch.cross(omega, arm, dim=-1)

    def _note_peaks(
        self, torque: torch.Tensor, speed: torch.Tensor, sinking: torch.Tensor, touched: torch.Tensor
    ) -> None:
        """Keep the largest power, foot forces and landing speeds.

        PhysX does not tell whether the ground or the other leg pushes a leg. `sinking` (N, F) [m/s] and `touched`
        (N, F) [N] are the feet's downward speeds and contact forces before the physics step.
        """
        power, forces, landings = (self._shared["state." + name] for name in PEAKS[:3])
        torch.max(power, (torque * speed).abs().sum(-1), out=power)
        self._gym.refresh_net_contact_force_tensor(self._sim)
        if self._scene.has_foot_sensors:
            self._gym.refresh_force_sensor_tensor(self._sim)
        force = self._contact_forces()[:, self._feet].norm(dim=-1)
        torch.max(forces, force, out=forces)
        landed = (touched == 0.0) & (force > 0.0)
        torch.max(landings, torch.where(landed, sinking, torch.zeros_like(sinking)), out=landings)

    def _contact_forces(self) -> torch.Tensor:
        """Net contact force on each body [N]. Shape (N, B, 3)."""
        n = self._scene.num_envs
        forces = self._contact_force.view(n, -1, 3)[:, self._bodies]
        if self._scene.has_foot_sensors:
            forces[:, self._feet] = self._foot_force.view(n, -1, 6)[..., :3]
        return forces

    def step_engine(self) -> None:
        """See `Backend.step_engine`."""
        for _ in range(self._decimation):
            self._simulate()
        self._refresh()

    def _write_state(self) -> None:
        s = {name[6:]: tensor for name, tensor in self._shared.items() if name.startswith("state.")}
        n = self._scene.num_envs
        body = self._body_state.view(n, -1, 13)[:, self._bodies]  # (N, B, 13)
        pos, quat, vel, omega = body.split((3, 4, 3, 3), -1)
        pos = pos - self._origins.unsqueeze(1)
        arm = rotate(quat, self._coms)  # from each body's origin to its centre of mass
        swing = torch.cross(omega, arm, dim=-1)
        origin_vel, com_vel = (vel - swing, vel) if self._velocity_at_com else (vel, vel + swing)
        s["root_pos_w"].copy_(pos[:, 0])
        s["root_quat_xyzw"].copy_(quat[:, 0])
        s["root_lin_vel_w"].copy_(origin_vel[:, 0])
        s["root_ang_vel_w"].copy_(omega[:, 0])
        s["feet_pos_w"].copy_(pos[:, self._feet])
        s["feet_lin_vel_w"].copy_(origin_vel[:, self._feet])
        share = (self._masses / self._masses.sum(-1, keepdim=True)).unsqueeze(-1)
        s["com_pos_w"].copy_((share * (pos + arm)).sum(1))
        s["com_lin_vel_w"].copy_((share * com_vel).sum(1))
        q, qd = self._dof_state.view(n, -1, 2)[:, self._dofs].unbind(-1)
        s["joint_pos"].copy_(q)
        s["joint_vel"].copy_(qd)
        s["contact_force_w"].copy_(self._contact_forces())
        motion = torch.cat((s["root_pos_w"], s["root_lin_vel_w"], s["root_ang_vel_w"], q, qd), -1)
        # A broken robot's motion in PhysX means nothing: the trainer sees NaN until the robot is placed anew.
        self._broken |= ~motion.abs().lt(DIVERGED).all(-1)
        for tensor in s.values():
            tensor.masked_fill_(self._broken.view(-1, *[1] * (tensor.dim() - 1)), float("nan"))

    def close(self) -> None:
        """See `Backend.close`."""
        self._scene.close()
