"""MuJoCo Warp: all robots in one batch on the GPU, a policy step as one CUDA graph. On a CPU it runs too, slowly."""

from collections.abc import Callable, Collection, Mapping, Sequence
from threading import Timer
from typing import Any

import mujoco
import mujoco_warp as mjw
import numpy as np
import torch
import warp as wp

from legged_gym.sim.mujoco.spec import GROUND_NAME, build_spec, compile_spec
from legged_gym.sim.mujoco_warp import kernels
from legged_gym.sim.mujoco_warp.field import collide, put_field
from legged_gym.sim.mujoco_warp.graph import Arena, TorchStream, launch, record, wrap_placement, wrap_vectors
from legged_gym.sim.mujoco_warp.probes import probes_of, put_probes
from legged_gym.sim.robot_model import SIDES, RobotModel
from legged_gym.sim.sim_options import SimOptions, motor_speeds
from legged_gym.sim.sim_state import PEAKS, Placement
from legged_gym.sim.simulator import Simulator
from legged_gym.utils.errors import UserError

MAX_CONTACTS = 14
"""Contacts that one robot may have at once; 11, with 28 rows of constraints, were the most seen in 2 million steps of
robots with solid legs that fall and thrash."""
MEAN_CONTACTS = 10
"""Contacts per robot that the buffer shared by all robots holds; thrashing robots have 0.65 on average, and robots that
lie on rough ground several."""
NEWTON_ITERATIONS, LINE_SEARCH_ITERATIONS = 6, 8
"""Limits of the solver, if the model has no lower ones: on a GPU all robots wait for the slowest. A policy step of
robots that fall and thrash ends as near to float64's joint velocities as with ten and twenty: 1.3e-4 rad/s at worst."""
NOTICE_AFTER = 15.0
"""Time at the start after which the user is told the reason for the wait [s]."""
BATCHED_FIELDS = (
    *("geom_friction", "geom_solref", "actuator_gainprm", "actuator_biasprm"),
    *("body_mass", "body_inertia", "body_ipos", "dof_armature"),
    *("body_subtreemass", "body_invweight0", "dof_invweight0", "actuator_acc0"),
)
"""Fields of the engine's model that every robot has of its own: the randomised ones and those derived from them."""


class MujocoWarpSimulator(Simulator):
    """The batched simulator.

    The engine's arrays and the state tensors are separate memory; the kernels of `kernels` write one from
    the other. All that `step`, `reset`, `push` and `set_parameter` do is queued on torch's current stream without
    waiting for it. The caller may capture `reset`, `push` and the setting of friction, gains and delay into a CUDA
    graph; not `step`, which launches a graph of its own, nor the setting of masses, which the next `step` must know of.

    On a GPU, threads race for the order of a robot's contacts: the last bits of its motion vary from run to run.
    """

    def __init__(
        self,
        robot: RobotModel,
        num_envs: int,
        options: SimOptions,
        device: str = "cuda:0",
        shared: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Build the batch and, on a GPU, capture its graphs. A machine's first start compiles kernels, for minutes.

        Raises:
            UserError: There is no such device, or the robot's joints are not in the expected order.
        """
        if torch.device(device).type == "cuda" and not torch.cuda.is_available():
            raise UserError(
                f"no CUDA device here (got '{device}'): use --sim mujoco, or --sim_device cpu for a few robots"
            )
        super().__init__(robot, num_envs, options, device, shared)
        if self.device.type == "cuda" and self.device.index is None:
            self.device = torch.device("cuda", torch.cuda.current_device())
        self._on_torch_stream = TorchStream(self.device)
        self._wp_device = wp.device_from_torch(self.device)
        self._model = self._compile()
        notice = Timer(NOTICE_AFTER, print, ("compiling MuJoCo Warp's kernels, once on this machine: a minute or two",))
        notice.start()
        try:
            with wp.ScopedDevice(self._wp_device):
                self._build_engine()
                self._wrap_tensors()
                self._derive_constants()  # so that all robots' constants are rounded alike
            self._arena = Arena(self.device)
            self._constants_graph = self._record(self._derive_constants)
            self._graph = self._record(self._policy_step)
        finally:
            notice.cancel()
        self._engine_graph: wp.Graph | None = None  # of the physics alone, for a benchmark
        self._constants_stale = False
        self._place_nominally()

    # -- set-up --------------------------------------------------------------------------------------------------------

    def _compile(self) -> mujoco.MjModel:
        spec = build_spec(self.robot, self.options, visuals=False)
        if self.options.terrain is not None:
            # Contacts with it are not the engine's: the plane is just the other side's name.
            spec.geom(GROUND_NAME).contype = 2
        for watcher in (*spec.cameras, *spec.lights):  # the engine would move them along in every physics step
            spec.delete(watcher)
        return compile_spec(spec, self.robot)

    def _build_engine(self) -> None:
        model, n = self._model, self.num_envs
        self._elliptic = model.opt.cone == mujoco.mjtCone.mjCONE_ELLIPTIC
        # Rows of constraints of one contact with the ground; one between legs has a single one. Each joint has a limit.
        rows = MAX_CONTACTS * (3 if self._elliptic else 4) + len(self.robot.joint_names)
        self._engine = mjw.put_model(model, batch_sizes=dict.fromkeys(BATCHED_FIELDS, n))
        self._data = mjw.make_data(model, nworld=n, naconmax=MEAN_CONTACTS * n + 2 * MAX_CONTACTS, njmax=rows)
        if self.options.terrain is not None:
            probes = probes_of(model)
            reach = max(probe.radius for probe in probes) + self.options.terrain.horizontal_scale
            self._probes = put_probes(probes)
            self._field = put_field(self.options.terrain, reach, self.device)
            self._engine.callback.contactfilter = self._collide  # which the engine calls once it has found all contacts
        options = self._engine.opt
        options.disableflags |= int(mjw.DisableBit.SENSOR)  # `read_forces` does their work, once per policy step,
        options.warn_overflow = 0  # counts the overflows, too
        options.iterations = min(options.iterations, NEWTON_ITERATIONS)
        options.ls_iterations = min(options.ls_iterations, LINE_SEARCH_ITERATIONS)
        options.run_qacc_smooth = False  # the solver starts from its last solution: same motion, less to factorise

    def _wrap_tensors(self) -> None:
        """Make the tensors that graphs refer to, and Warp's views of them."""
        n, joints, device, names = self.num_envs, len(self.robot.joint_names), self.device, self.robot.body_names
        ids = [self._model.body(name).id for name in names]
        slots = np.full(self._model.nbody, -1, dtype=np.int32)
        slots[ids] = np.arange(len(ids))
        links = ("abad", "hip", "knee", "foot")
        legs = [[self._model.body(f"{link}_{side}_Link").id for link in links] for side in "LR"]
        self._base, self._body_ids = ids[0], torch.tensor(ids, device=device)
        self._everyone = torch.ones(n, dtype=torch.bool, device=device)
        self._overflow_counts = torch.zeros(int(mjw.OverflowType.ALL).bit_length(), dtype=torch.int32, device=device)
        self._wp_previous = wp.zeros((n, joints), dtype=float)
        self._wp_slots: Any = wp.array(slots, dtype=int)
        self._wp_legs: Any = wp.array(legs, dtype=int)
        self._wp_everyone = wp.from_torch(self._everyone)
        self._wp_overflow_counts = wp.from_torch(self._overflow_counts)
        self._wp_parameters = {name: wp.from_torch(value) for name, value in self.parameters.items()}
        m, s = self._engine, self.state
        self._gain, self._bias = (wp.from_torch(wp.to_torch(x)) for x in (m.actuator_gainprm, m.actuator_biasprm))
        self._armature = wp.to_torch(m.dof_armature)  # (N, 6 + J)
        self._geom_contact = [wp.from_torch(wp.to_torch(m.geom_friction), dtype=wp.vec3)]
        self._geom_contact.append(wp.from_torch(wp.to_torch(m.geom_solref), dtype=wp.vec2))
        self._mass, self._inertia = wp.to_torch(m.body_mass), wp.to_torch(m.body_inertia)  # (N, bodies), (N, bodies, 3)
        self._com = wp.to_torch(m.body_ipos)  # (N, bodies, 3)
        self._nominal_mass, self._nominal_inertia = self._mass[0].clone(), self._inertia[0].clone()
        self._nominal_base_com = self._com[0, ids[0]].clone()
        self._motion = [
            *(wp.from_torch(s.root_pos_w, dtype=wp.vec3), wp.from_torch(s.root_quat_xyzw, dtype=wp.quat)),
            *(wp.from_torch(s.root_lin_vel_w, dtype=wp.vec3), wp.from_torch(s.root_ang_vel_w, dtype=wp.vec3)),
            *(wp.from_torch(s.joint_pos), wp.from_torch(s.joint_vel)),
            *(wp.from_torch(s.feet_pos_w, dtype=wp.vec3), wp.from_torch(s.feet_lin_vel_w, dtype=wp.vec3)),
            *(wp.from_torch(s.com_pos_w, dtype=wp.vec3), wp.from_torch(s.com_lin_vel_w, dtype=wp.vec3)),
        ]
        self._wp_joint_target = wp.from_torch(s.joint_target)
        peaks = [wp.from_torch(getattr(s, name)) for name in PEAKS]
        self._forces = [wp.from_torch(s.joint_torque), wp.from_torch(s.contact_force_w, dtype=wp.vec3), *peaks]
        self._wrap_servos()
        self._wp_contact_friction = wp.from_torch(wp.to_torch(self._data.contact.friction))

    def _wrap_servos(self) -> None:
        """Put the data of servos, contacts and external forces on the device."""
        robot, names = self.robot, self.robot.body_names
        motors = (robot.torque_limits, *motor_speeds(robot, self.options))
        self._motor: list[Any] = [wp.array(values, dtype=float) for values in motors]
        bodies = [self._model.geom_bodyid[geom] for geom in range(self._model.ngeom)]
        geoms = [self._model.body(body).name for body in bodies]
        self._wp_leg: Any = wp.array([_leg_of(name, names) for name in geoms], dtype=int)
        pushed = [self._model.body(name).id for name in (names[0], *robot.foot_names)]
        self._wp_pushed: Any = wp.array(pushed, dtype=int)
        self._wp_wrench = wp.from_torch(self.wrench_w)
        self._foot_slots = wp.vec2i(*(names.index(foot) for foot in robot.foot_names))
        self._foot_bodies = wp.vec2i(*pushed[1:])
        self._feet_touched = torch.zeros(self.num_envs, len(robot.foot_names), dtype=torch.bool, device=self.device)
        self._wp_feet_touched = wp.from_torch(self._feet_touched)

    def _place_nominally(self) -> None:
        n, device = self.num_envs, self.device
        pos = torch.as_tensor(self._model.qpos0[:3], dtype=torch.float32, device=device).repeat(n, 1)
        if self.options.terrain is not None:
            pos[:, 2] += float(self.options.terrain.height(0.0, 0.0))
        self.reset(self._everyone, Placement.at_rest(pos, len(self.robot.joint_names)))
        self._overflow_counts.zero_()

    def _record(self, function: Callable[[], None]) -> wp.Graph | None:
        """Make a graph of a function; on the CPU there is nothing to gain from one."""
        return None if self.device.type == "cpu" else record(function, self._arena, self.device)

    # -- stepping ------------------------------------------------------------------------------------------------------

    def step(self, joint_targets: torch.Tensor) -> None:
        """See `Simulator.step`. One graph launch on a GPU; not to be called while another graph is being captured."""
        self.state.joint_target.copy_(joint_targets)
        self._refresh_constants()
        self._run(self._graph, self._policy_step)

    def step_engine(self) -> None:
        """See `Simulator.step_engine`."""
        self._refresh_constants()
        if self._engine_graph is None and self.device.type == "cuda":
            torch.cuda.synchronize(self.device)  # a recording has a stream of its own
            self._engine_graph = self._record(self._physics)  # which begins with a plain run: this step
            return
        self._run(self._engine_graph, self._physics)

    def _run(self, graph: wp.Graph | None, function: Callable[[], None]) -> None:
        with self._on_torch_stream():
            if graph is None:
                function()
            else:
                wp.capture_launch(graph)

    def _physics(self) -> None:
        for _ in range(self.options.decimation):
            mjw.step(self._engine, self._data)

    def _collide(self, model: Any, data: Any) -> None:
        """Add the contacts with the terrain."""
        contact = data.contact
        geoms = [data.geom_xpos, data.geom_xmat, model.geom_friction, model.geom_solref, model.geom_solimp]
        numbers = [contact.dim, contact.geom, contact.efc_address, contact.worldid, contact.type]
        arguments = [
            *(self._field, self._probes, self._model.geom(GROUND_NAME).id, data.naconmax, *geoms, data.nacon),
            *(contact.dist, contact.pos, contact.frame, contact.includemargin, contact.friction),
            *(contact.solref, contact.solreffriction, contact.solimp, *numbers),
            *(contact.geomcollisionid, contact.adhesion),
        ]
        launch(collide, (len(self._probes.geom), self.num_envs), arguments)

    def _policy_step(self) -> None:
        o, d, last = self.options, self._data, self.options.decimation - 1
        p = self._wp_parameters
        launch(kernels.apply_wrenches, self.wrench_w.shape[:2], [self._wp_pushed, self._wp_wrench, d.xfrc_applied])
        for substep in range(o.decimation):
            # The controller sees the joints in every physics step, and peaks are those of all: hence two kernels each.
            arguments = [
                *(substep * o.timestep, o.timestep, substep == last, wp.vec2(o.kp, o.kd), o.clamp_targets),
                *(*self._motor, p["kp"], p["kd"], p["strength"], p["action_delay"], d.qpos, d.qvel),
                *(self._wp_joint_target, self._wp_previous, d.ctrl),
            ]
            launch(kernels.drive_servos, d.ctrl.shape, arguments)
            mjw.step(self._engine, d)
            self._read_forces(first=substep == 0, last=substep == last)
        self._read_motion(self._wp_everyone)

    def _read_forces(self, first: bool, last: bool) -> None:
        d, efc, contact = self._data, self._data.efc, self._data.contact
        arguments = [
            *(self._elliptic, self._engine.geom_bodyid, self._wp_slots),
            *(d.ne, d.nf, d.nl, d.nefc, efc.force, efc.id),
            *(contact.dim, contact.geom, contact.frame, self._wp_contact_friction),
            *(d.actuator_force, d.qvel, first, last, self._wp_leg, self._foot_slots, self._foot_bodies),
            *(self._base, d.cvel, d.xpos, d.subtree_com, self._wp_feet_touched),
            *(d.overflow, *self._forces, self._wp_overflow_counts),
        ]
        launch(kernels.read_forces, self.num_envs, arguments)

    def _read_motion(self, mask: Any) -> None:
        m, d = self._engine, self._data
        model = [self._base, self._wp_legs, m.body_pos, m.jnt_axis, m.body_mass, m.body_ipos]
        launch(kernels.read_motion, self.num_envs, [mask, *model, d.qpos, d.qvel, *self._motion])

    def overflow_counts(self, solver: bool = False) -> dict[str, int]:
        """Count since the last call how often a buffer was too small and contacts were lost: robots times policy steps.

        Waits for the device: call it once per iteration.

        Args:
            solver: Count as well how often the solver stopped at a limit, `ITERATIONS` or `LS_ITERATIONS`, before it
                converged.

        Returns:
            Counts by the engine's name of the limit, such as `NEFC` (rows of constraints of a robot) or `NARROWPHASE`
            (contacts of all); empty if nothing happened.
        """
        counts = self._overflow_counts.tolist()
        self._overflow_counts.zero_()
        named = {str(mjw.OverflowType(1 << bit).name): count for bit, count in enumerate(counts) if count}
        return {name: count for name, count in named.items() if solver or not name.endswith("ITERATIONS")}

    # -- interventions -------------------------------------------------------------------------------------------------

    def reset(self, mask: torch.Tensor, placement: Placement) -> None:
        """See `Simulator.reset`."""
        # A placed robot's first contact is a landing; its old constraint rows and solver start would outlive it.
        d = self._data
        self._feet_touched.masked_fill_(mask.unsqueeze(-1), False)
        with self._on_torch_stream():
            wp_mask = wp.from_torch(mask)
            engine = [d.time, d.qpos, d.qvel, d.qacc, d.qacc_warmstart, self._wp_previous, self._wp_joint_target]
            arguments = [wp_mask, *wrap_placement(placement), *engine, *self._forces]
            launch(kernels.place_robots, self.num_envs, arguments)
            launch(kernels.clear_constraint_rows, d.efc.D.shape, [wp_mask, d.efc.J, d.efc.D])
            if self.shows_interventions:
                self._read_motion(wp_mask)

    def push(self, mask: torch.Tensor, delta_vel_w: torch.Tensor) -> None:
        """See `Simulator.push`."""
        with self._on_torch_stream():
            wp_mask = wp.from_torch(mask)
            arguments = [wp_mask, wrap_vectors(delta_vel_w), self._data.qvel]
            launch(kernels.push_bases, self.num_envs, arguments)
            if self.shows_interventions:
                self._read_motion(wp_mask)

    def _apply_parameters(self, names: Collection[str], mask: torch.Tensor) -> None:
        """Write all robots' values, whatever the mask: `parameters` holds those in force."""
        p = self._wp_parameters
        if not {"kp", "kd", "strength"}.isdisjoint(names):
            with self._on_torch_stream():
                arguments = [p["kp"], p["kd"], p["strength"], self._gain, self._bias]
                launch(kernels.write_gains, p["kp"].shape, arguments)
        if not {"friction", "contact_time_constant"}.isdisjoint(names):
            with self._on_torch_stream():
                arguments = [self._wp_leg, p["friction"], p["contact_time_constant"], *self._geom_contact]
                launch(kernels.write_contact, (self.num_envs, self._model.ngeom), arguments)
        if any(name.startswith(("base", "link", "armature")) for name in names):
            self._write_inertia()

    def _write_inertia(self) -> None:
        """Set masses, inertias, rotors and the base's CoM; the next step derives the engine's constants from them."""
        p, ids, base = self.parameters, self._body_ids, self._base
        self._mass[:, ids] = self._nominal_mass[ids] * p["link_mass_scale"]
        self._mass[:, base] += p["base_mass_added"]
        self._inertia[:, ids] = self._nominal_inertia[ids] * p["link_inertia_scale"].unsqueeze(-1)
        self._com[:, base] = self._nominal_base_com + p["base_com_offset"]
        self._armature[:, 6:] = p["armature"]
        self._constants_stale = True

    def _refresh_constants(self) -> None:
        """Derive the constants if masses were set since the last step: once, however many parameters have changed."""
        if self._constants_stale:
            self._run(self._constants_graph, self._derive_constants)
            self._constants_stale = False

    def _derive_constants(self) -> None:
        groups = mjw.SetConstGroup.FIXED | mjw.SetConstGroup.INERT0
        mjw.set_const(self._engine, self._data, groups=groups, restore=False)

    def close(self) -> None:
        """Drop the graphs and the renderer."""
        super().close()
        self._graph = self._engine_graph = self._constants_graph = None


def _leg_of(body: str, robot_bodies: Sequence[str]) -> int:
    """0 for a body of the left leg, 1 for one of the right leg, -1 for the base, -2 for what is not the robot's."""
    sides = [k for k, side in enumerate(SIDES) if f"_{side}_" in body]
    return sides[0] if sides else -1 if body in robot_bodies else -2
