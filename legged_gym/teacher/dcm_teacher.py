"""The DCM stepping teacher: footholds from the capture point, carried out by closed-form joint references.

    symbol   name                        unit    equation, source
    ------   -------------------------   -----   ---------------------------------------------------------------
    c        CoM of the whole robot      m       read
    p        stance foot                 m       read
    xi       DCM (capture point)         m       c + c_dot / omega                       Englsberger et al. 2015
    omega    natural frequency           rad/s   sqrt(g / (c_z - p_z))                   Kajita et al. 2001
    g, phi   gait clock, phase of step   1       left stance for g < 0.5;  phi = 2 g mod 1
    T, T_r   step duration, time left    s       1 / (2 f),  (1 - phi) T
    xi_T     DCM at touchdown            m       p + e^(omega T_r) (xi - p)              Khadiv et al. 2020
    b        nominal DCM offset          m       v T / (E - 1) +- W_s / (E + 1),  E = e^(omega T)
    v_ref    reference velocity          m/s     command, within +-dv of the present gait's velocity
    dxi      learned offset              m       max_offset tanh(net(o))
    p*       next foothold               m       xi_T + dxi - b, clamped into the reachable box
    e_n      DCM offset error            m       (xi - p) - b at touchdown n
    F        ground force on the foot    N       (m g / (c_z - p_z)) (c - p) + yaw force
    tau      feed-forward torque         N m     -J_p^T F + weight of the links + attitude feedback
    a_ref    action                      1       (q_ref + tau / K_p - q_default) / action_scale

Steps are planned in the mirrored heading frame M (see frame.py). The DCM is derived, never stored.

Differentiable: everything from the state (positions, velocities, terrain heights) and from the network's parameters to
plan and action. Not differentiable: the clock's choice of stance foot, and what the simulator does with the action.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from legged_gym.teacher.action import TeacherAction
from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.frame import StepFrame, observe
from legged_gym.teacher.kinematics import InverseKinematics, LegGeometry
from legged_gym.teacher.memory import TeacherMemory
from legged_gym.teacher.offset_network import OffsetNetwork
from legged_gym.teacher.predictor import DcmPredictor, StepPlan
from legged_gym.teacher.state import TEACHER_TERMS, TeacherLayout, TeacherState
from legged_gym.teacher.validity import ValidityWeight

__all__ = ["DcmPredictor", "DcmTeacher", "InverseKinematics", "OffsetNetwork", "TeacherOutput"]


WAY = (0.25, 0.5, 0.75, 1.0)
"""Where on the swing foot's way the ground is looked at, from lift-off to p*."""


@dataclass(frozen=True)
class TeacherOutput:
    """What one evaluation of the teacher hands to the runner."""

    action: Tensor
    """a_ref in the policy's action space (N, 6)."""
    weight: Tensor
    """w_k in [0, 1] (N,)."""
    clock_shift: Tensor
    """Clock shift asked for; zero unless timing adaptation is on (N,) [cycles]."""
    inputs: Tensor
    """Inputs o of the offset network (N, num_inputs)."""
    offset: Tensor
    """Applied offset dxi, frame M (N, 2) [m]."""
    fresh: Tensor
    """1 where an episode has just begun (N,)."""
    touchdown: Tensor
    """1 where a step ended since the last evaluation (N,)."""
    touchdown_error: Tensor
    """e_n of that step in the frame M of that step; 0 elsewhere (N, 2) [m]."""
    steady: Tensor
    """1 where the commanded v_x, v_y are still what they were when that step began: e_n of any other step is the
    distance to a plan that was made too late for the swing foot to follow (N,)."""
    foothold_error: Tensor
    """Where that step landed minus its p*, heading frame (N, 2) [m]; 0 elsewhere."""
    foothold_w: Tensor
    """p* (N, 2) [m]."""
    clamped: Tensor
    """Distance by which p* was clamped into the reachable box (N,) [m]."""


class DcmTeacher:
    """Teacher of N robots on one device.

    `step` evaluates the teacher once per policy step and keeps its own memory, which starts afresh for robots whose
    `episode_time` is 0. `evaluate` is the same as a pure function of observation and memory.

    Args:
        cfg: parameters.
        geometry: leg constants; their device and dtype are the teacher's.
        num_envs: number of robots N.
        terms: layout of the `teacher` observation.
        ground: height of the terrain [m] at world positions x, y [m], all of one shape; without it the ground is taken
            to be as high where the swing foot lands as where it is now.
    """

    def __init__(
        self,
        cfg: TeacherCfg,
        geometry: LegGeometry,
        num_envs: int,
        terms: Sequence[tuple[str, int]] = TEACHER_TERMS,
        ground: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> None:
        like = geometry.abad_pos
        self.cfg, self.geometry, self.num_envs = cfg, geometry, num_envs
        self.layout = TeacherLayout(terms)
        self.predictor = DcmPredictor(cfg, geometry.total_mass, geometry.foot_radius, like)
        self.act = TeacherAction(cfg, geometry)
        self.validity = ValidityWeight(cfg.validity, like)
        net = OffsetNetwork(self.layout.num_ahead, cfg.offset.hidden_dims, cfg.offset.max_offset)
        self.network = net.to(device=like.device, dtype=like.dtype)
        self.memory = TeacherMemory.allocate(num_envs, like)
        self.ground = ground
        self._way = like.new_tensor(WAY).view(-1, 1, 1)
        self._constant = like.new_tensor(cfg.offset.constant).unsqueeze(-1)  # (2, 1)

    @torch.no_grad()
    def step(self, obs: Tensor) -> TeacherOutput:
        """Evaluates the teacher on the flat observation (N, num_obs) and updates its memory."""
        output, memory = self.evaluate(obs, self.memory)
        self.memory.store(memory)
        return output

    def evaluate(self, obs: Tensor, memory: TeacherMemory) -> tuple[TeacherOutput, TeacherMemory]:
        """One evaluation without side effects.

        Args:
            obs: flat observation (N, num_obs).
            memory: of the last evaluation.

        Returns:
            Output and new memory.
        """
        state = self.layout.parse(obs)
        frame = observe(state)
        fresh = state.episode_time <= 0.0
        new = self._recall(state, frame, memory, fresh)
        yaw_force = self._yaw_force(frame, new)
        plan, inputs = self._plan(state, frame, new, yaw_force)
        new.foothold_w = frame.to_world(plan.foothold) + frame.stance_w[:2]
        aim, swing_height = self._over_ground(frame, new, state.swing_height)
        action = self.act(
            aim,
            plan,
            frame.to_frame(new.liftoff_w - frame.stance_w),
            new.liftoff_phase,
            swing_height,
            yaw_force,
            state.joint_pos,
            state.joint_vel,
            state.base_ang_vel_b,
        )
        switched = (memory.stance_left != new.stance_left) & ~fresh
        error, miss = self._touchdown(frame, plan, memory, switched)
        new.offset_b = plan.offset_b
        new.predicted_vel = self._predicted_velocity(frame, plan, state)
        new.drift = self._drift(frame, plan, memory, fresh)
        output = TeacherOutput(
            action=action.t(),
            weight=self._weight(frame, plan, new),
            clock_shift=plan.clock_shift,
            inputs=inputs,
            offset=plan.correction.t(),
            fresh=fresh.to(inputs.dtype),
            touchdown=switched.to(inputs.dtype),
            touchdown_error=error.t(),
            steady=(state.command[:2] == memory.liftoff_command).all(dim=0).to(inputs.dtype),
            foothold_error=miss.t(),
            foothold_w=new.foothold_w.t(),
            clamped=plan.clamped,
        )
        return output, new

    def _recall(self, state: TeacherState, frame: StepFrame, memory: TeacherMemory, fresh: Tensor) -> TeacherMemory:
        """Memory brought up to this instant: lift-off, yaw rate, push and contact bookkeeping."""
        cfg, dt = self.cfg, self.cfg.control.dt
        stance_left = frame.stance[0]
        lifted = fresh | (memory.stance_left != stance_left)
        rate = (frame.up_b * state.base_ang_vel_b).sum(dim=0)
        jump = torch.hypot(*(state.com_lin_vel_w[:2] - memory.predicted_vel).unbind())
        push = torch.maximum(memory.push * (1.0 - dt / (cfg.validity.push_memory + dt)), jump)
        held = lifted | (frame.force[0] >= cfg.validity.contact_force)
        return TeacherMemory(
            stance_left=stance_left,
            liftoff_w=torch.where(lifted, frame.swing_w, memory.liftoff_w),
            liftoff_command=torch.where(lifted, state.command[:2], memory.liftoff_command),
            liftoff_phase=torch.where(lifted, frame.phase, memory.liftoff_phase),
            yaw_rate=torch.where(fresh, rate, torch.lerp(memory.yaw_rate, rate, dt / (cfg.body.yaw_filter + dt))),
            heading_error=self._heading_error(state, memory, rate, fresh),
            drift=memory.drift.masked_fill(fresh, 0.0),
            predicted_vel=memory.predicted_vel,
            push=push.masked_fill(fresh, 0.0),
            no_contact=(memory.no_contact + dt).masked_fill(held, 0.0),
            offset_b=memory.offset_b,
            foothold_w=memory.foothold_w,
        )

    def _heading_error(self, state: TeacherState, memory: TeacherMemory, rate: Tensor, fresh: Tensor) -> Tensor:
        """Integral of w - w*, bounded (N,) [rad]."""
        limit = self.cfg.body.heading_limit
        error = torch.add(memory.heading_error, rate - state.command[2], alpha=self.cfg.control.dt)
        return error.clamp(-limit, limit).masked_fill(fresh, 0.0)

    def _drift(self, frame: StepFrame, plan: StepPlan, memory: TeacherMemory, fresh: Tensor) -> Tensor:
        """Integral of the velocity error, leaky, bounded and gated, heading frame (2, N) [m]."""
        cfg, dt = self.cfg.stepping, self.cfg.control.dt
        command = frame.command[:2]
        gated = ((plan.present - command).abs() >= cfg.drift_gate) | fresh
        error = frame.mirror((frame.com_vel[:2] - command).masked_fill(gated, 0.0))
        drift = torch.add(memory.drift * (1.0 - dt / cfg.drift_memory), error, alpha=dt)
        return drift.clamp(-cfg.drift_limit, cfg.drift_limit).masked_fill(fresh, 0.0)

    def _yaw_force(self, frame: StepFrame, memory: TeacherMemory) -> Tensor:
        """Fore-aft force that turns the robot: F_x = -k_psi (w* - w) in M (the foot is on the +y side) (N,) [N].

        A point foot passes no torque; a force along the heading on a foot beside the CoM does, with opposite signs for
        the two feet, so that over two steps it cancels for translation.
        """
        cfg = self.cfg.body
        held = torch.add(cfg.yaw_gain * memory.yaw_rate, memory.heading_error, alpha=cfg.heading_gain)
        force = torch.add(held * frame.side, frame.command[2], alpha=-cfg.yaw_gain)
        return force.clamp(-cfg.yaw_force_limit, cfg.yaw_force_limit)

    def _plan(
        self, state: TeacherState, frame: StepFrame, memory: TeacherMemory, yaw_force: Tensor
    ) -> tuple[StepPlan, Tensor]:
        """Plans the step with the network in the loop; also returns the network's inputs (N, num_inputs)."""
        kept: list[Tensor] = []

        def offset(parts: dict[str, Tensor]) -> Tensor:
            inputs = self.network.pack(self._inputs(state, frame, parts | {"yaw_force": yaw_force}))
            kept.append(inputs)
            if not self.cfg.offset.enabled:
                return self._constant.expand_as(parts["xi"])
            return self.network(inputs).t() + self._constant

        command = torch.sub(frame.command[:2], frame.mirror(memory.drift), alpha=self.cfg.stepping.drift_gain)
        return self.predictor.plan(frame, command, memory.yaw_rate * frame.side, yaw_force, offset), kept[0]

    def _over_ground(self, frame: StepFrame, memory: TeacherMemory, swing_height: Tensor) -> tuple[StepFrame, Tensor]:
        """Aims the swing foot at the ground under p* and lifts it over what lies on its way.

        It does not go down before it is over the lower ground, where the leg is too short to reach from farther away.

        Returns:
            The frame with the ground to land on for that under the swing foot, and the apex, higher by as much as the
            ground rises over the line from lift-off to landing (N,) [m].
        """
        if self.ground is None:
            return frame, swing_height
        start, foot = memory.liftoff_w, frame.stance_w[2]
        x, y = (start[:2] + self._way * (memory.foothold_w - start[:2])).unbind(1)  # (4, N)
        heights = self.ground(x, y) - foot
        left, landing = start[2] - foot - self.geometry.foot_radius, heights[-1]
        line = left + self._way[:, 0] * (landing - left).clamp(min=0.0)
        rise = (heights - line).amax(dim=0).clamp(min=0.0)
        landing = torch.where(landing < left, torch.maximum(landing, frame.ground[1]), landing)
        return replace(frame, ground=torch.stack((frame.ground[0], landing))), swing_height + rise

    def _inputs(self, state: TeacherState, frame: StepFrame, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Completes the named inputs of the offset network.

        Nothing in them depends on world position or heading, and nothing but the DCM itself on the phase: what the
        network answers to within a step moves the landing foot (with phase, base rates and swing foot among the inputs
        the DCM error was no smaller and the yaw error larger by a fifth).
        """
        stance_ground, swing_ground = frame.ground.unbind()
        return parts | {
            "command": frame.command,
            "duration": frame.duration,
            "contact": (frame.force > self.cfg.validity.contact_force).to(frame.side.dtype),
            "swing_ground": swing_ground - stance_ground,
            "ground_ahead": state.ground_ahead - (frame.stance_w[2] + stance_ground),
        }

    def _touchdown(
        self, frame: StepFrame, plan: StepPlan, memory: TeacherMemory, switched: Tensor
    ) -> tuple[Tensor, Tensor]:
        """e_n and foothold error of the step that just ended (2, N) each [m].

        The state was read a little after the touchdown; the LIP takes the DCM back to the instant of the switch. e_n is
        in the frame M of the ended step, that is with y the other way round than now.
        """
        x, y = (plan.xi * (plan.omega * frame.phase * -frame.duration).exp()).unbind()
        error = torch.stack((x, -y)) - memory.offset_b
        miss = frame.mirror(frame.to_frame(frame.stance_w[:2] - memory.foothold_w))
        return torch.where(switched, error, 0.0), torch.where(switched, miss, 0.0)

    def _predicted_velocity(self, frame: StepFrame, plan: StepPlan, state: TeacherState) -> Tensor:
        """CoM velocity in W that the LIP expects at the next evaluation (2, N) [m/s]."""
        pull = (plan.omega * plan.omega) * self.cfg.control.dt
        return state.com_lin_vel_w[:2] + pull * (state.com_pos_w - frame.stance_w)[:2]

    def _weight(self, frame: StepFrame, plan: StepPlan, memory: TeacherMemory) -> Tensor:
        """w_k (N,) from tilt, height rate, slip, contact against the clock, clamped foothold and recent push."""
        tilt = frame.up_b[2].clamp(-1.0, 1.0).acos()
        slip = torch.hypot(*frame.stance_vel[:2].unbind())
        slip = torch.where(frame.force[0] > self.cfg.validity.contact_force, slip, 0.0)
        rate = frame.com_vel[2].abs()
        return self.validity(torch.stack((tilt, rate, slip, memory.no_contact, plan.clamped, memory.push)))
