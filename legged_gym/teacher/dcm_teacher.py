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

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.action import TeacherAction
from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.frame import StepFrame, observe, turn
from legged_gym.teacher.kinematics import InverseKinematics, LegGeometry
from legged_gym.teacher.memory import TeacherMemory
from legged_gym.teacher.offset_network import OffsetNetwork
from legged_gym.teacher.predictor import DcmPredictor, StepPlan
from legged_gym.teacher.state import TEACHER_TERMS, TeacherLayout, TeacherState
from legged_gym.teacher.step_network import StepNetwork
from legged_gym.teacher.validity import ValidityWeight
from legged_gym.utils.checkpoint import check_alike

__all__ = ["DcmPredictor", "DcmTeacher", "InverseKinematics", "OffsetNetwork", "TeacherOutput"]


GROUND_SAMPLES = (0.25, 0.5, 0.75, 1.0)
"""Shares of the swing foot's path, from lift-off to p*, at which the ground's height is read."""


HIGHEST_STEP = 0.15
"""Difference in height between two footholds above which the base does not follow [m]."""


@dataclass(frozen=True)
class TeacherOutput:
    """Results of one evaluation of the teacher."""

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
    change: Tensor
    """Learned change of the present step's time [s] and swing height [m] (N, 2)."""
    step_inputs: Tensor
    """What it is learned from, where a step begins (N, NUM_INPUTS); no columns without a network."""
    begun: Tensor
    """1 where a step has just begun (N,)."""
    limited: Tensor
    """v_ref minus the velocity that it is on the way to, as far as +-dv keeps it from that, frame M (N, 2) [m/s]."""
    fresh: Tensor
    """1 where an episode has just begun (N,)."""
    touchdown: Tensor
    """1 where a step ended since the last evaluation (N,)."""
    touchdown_error: Tensor
    """e_n of that step in the frame M of that step; 0 elsewhere (N, 2) [m]."""
    steady: Tensor
    """1 where the v_x, v_y walked with did not change during that step; otherwise e_n is the distance to a plan that
    came too late for the swing foot to follow (N,)."""
    foothold_error: Tensor
    """Landing point of that step minus its p*, heading frame (N, 2) [m]; 0 elsewhere."""
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
        template = geometry.abad_pos
        self.cfg, self.geometry, self.num_envs = cfg, geometry, num_envs
        self.layout = TeacherLayout(terms)
        self.predictor = DcmPredictor(cfg, geometry.foot_radius, template)
        self.act = TeacherAction(cfg, geometry, num_envs)
        self.validity = ValidityWeight(cfg.validity, template)
        net = OffsetNetwork(self.layout.num_ahead, cfg.offset.hidden_dims, cfg.offset.max_offset)
        self.network = net.to(device=template.device, dtype=template.dtype)
        self.memory = TeacherMemory.allocate(num_envs, template)
        self.memory.adapts.fill_(float(cfg.timing.enabled))
        self.ground = ground
        self.step_network: StepNetwork | None = None
        """Chooses changes of step time and swing height; None leaves steps as they are."""
        self.exploration: Tensor | None = None
        """Added to the changes of steps that begin (N, 2); None adds nothing."""
        self.on_plan: Callable[[StepFrame, StepPlan], None] | None = None
        """Called with every plan, for drawing."""
        self._ground_samples = template.new_tensor(GROUND_SAMPLES).view(-1, 1, 1)
        self._constant = template.new_tensor(cfg.offset.constant).unsqueeze(-1)  # (2, 1)
        dt, stepping, body = cfg.control.dt, cfg.stepping, cfg.body
        self._no_inputs = template.new_zeros(num_envs, 0)
        self._zero, self._dt = template.new_zeros(()), template.new_tensor(dt)
        self._push_decay = template.new_tensor(1.0 - dt / (cfg.validity.push_memory + dt))
        self._drift_decay = template.new_tensor(1.0 - dt / stepping.drift_memory)
        self._drift_gate = template.new_tensor(stepping.drift_gate)
        self._command_phase = template.new_tensor(stepping.command_phase)
        self._contact_force = template.new_tensor(cfg.validity.contact_force)
        self._heading_gains = template.new_tensor([[dt / (body.yaw_filter + dt)], [dt]])  # (2, 1)
        limits = template.new_tensor([[math.inf], [body.heading_limit]])
        self._heading_limits = -limits, limits
        self._forward, self._mirror = template.new_tensor([[1.0], [0.0]]), template.new_tensor([[1.0], [-1.0]])

    @torch.no_grad()
    def step(self, obs: Tensor) -> TeacherOutput:
        """Evaluates the teacher on the flat observation (N, num_obs) and updates its memory."""
        self.layout.check(obs)
        output, new = self.evaluate(obs, self.memory)
        self.memory.store(new)
        return output

    def exact_state(self) -> dict[str, Any]:
        """All that the next `step` depends on besides the network, in place."""
        return {"memory": self.memory.buffer}

    def load_exact_state(self, state: dict[str, Any]) -> None:
        """Inverse of `exact_state`."""
        check_alike(state, self.exact_state(), "teacher")
        self.memory.buffer.copy_(state["memory"])

    def evaluate(self, obs: Tensor, memory: TeacherMemory) -> tuple[TeacherOutput, TeacherMemory]:
        """One evaluation without side effects.

        Args:
            obs: flat observation (N, num_obs).
            memory: of the last evaluation.

        Returns:
            Output and new memory.
        """
        state = self.layout.parse(obs)
        frame = observe(state, memory.liftoff[:3], memory.foothold_w, memory.swing[:3])
        liftoff, foothold, wanted = frame.points
        wanted_vel = turn(frame.axes, memory.swing[3:])
        fresh = state.episode_time <= self._zero
        stance_left = frame.stance[0]
        lifted = fresh | (memory.stance_left != stance_left)
        switched = lifted ^ fresh
        steady = (memory.command[:2] == memory.liftoff[3:5]).all(dim=0)
        command_y = torch.where(fresh | (frame.phase < self._command_phase), state.command, memory.command)
        command = command_y * frame.signs
        contact, swing_contact = (frame.force > self._contact_force).unbind()
        flags = torch.stack((contact, swing_contact, fresh, switched, steady, lifted)).to(obs.dtype)
        flag_contact, _, flag_fresh, flag_touchdown, flag_steady, flag_begun = flags.unbind()
        heading = self._heading(state, frame, command_y, memory, fresh)
        turn_rate, heading_error = (heading * frame.side).unbind()
        yaw_force = self._yaw_force(turn_rate - command[2], heading_error)
        drift = torch.where(fresh, self._zero, memory.drift)
        elapsed = torch.where(fresh, self._zero, torch.where(switched, frame.elapsed, memory.step_time + self._dt))
        change, step_inputs = self._change(frame, command, lifted, memory)
        plan, inputs = self._plan(
            state, frame, elapsed, memory.adapts, command, drift, turn_rate, yaw_force, flags[:2], change[0]
        )
        now = torch.cat((frame.swing_w, command_y[:2]))
        new = TeacherMemory(
            stance_left=stance_left,
            command=command_y,
            liftoff=torch.where(lifted, now, memory.liftoff),
            heading=heading,
            drift=self._drift(frame, plan, command[:2], drift),
            predicted_vel=self._predicted_velocity(frame, plan, state),
            push=self._push(state, memory, fresh),
            no_contact=torch.where(lifted | contact, self._zero, memory.no_contact + self._dt),
            offset_b=plan.offset_b,
            foothold_w=torch.cat((frame.to_world(plan.foothold) + frame.stance_w[:2], frame.stance_w[2:])),
            step_time=elapsed,
            swing=memory.swing,
            adapts=memory.adapts.clone(),
            change=change,
        )
        aim, swing_height = self._over_ground(frame, new, (state.swing_height + change[1]).clamp(min=self._zero))
        left = torch.where(lifted, frame.swing, liftoff)
        action, swing, swing_vel = self.act(
            aim,
            plan,
            left,
            swing_height,
            yaw_force,
            torch.where(lifted, frame.swing, wanted),
            torch.where(lifted, frame.swing_vel, wanted_vel),
            state.joint_pos,
            state.joint_vel,
            state.base_ang_vel_b,
            self._raised(plan, left),
        )
        new.swing = torch.cat((frame.to_world(swing) + frame.stance_w, frame.to_world(swing_vel)))
        error, miss = self._touchdown(frame, plan, memory.offset_b, foothold, switched)
        if self.on_plan is not None:
            self.on_plan(frame, plan)
        output = TeacherOutput(
            action=action.t(),
            weight=self._weight(frame, plan, new, flag_contact),
            clock_shift=plan.clock_shift,
            inputs=inputs,
            offset=plan.correction.t(),
            change=change.t(),
            step_inputs=step_inputs,
            begun=flag_begun,
            limited=(plan.velocity - plan.wanted).t(),
            fresh=flag_fresh,
            touchdown=flag_touchdown,
            touchdown_error=error.t(),
            steady=flag_steady,
            foothold_error=miss.t(),
            foothold_w=new.foothold_w[:2].t(),
            clamped=plan.clamped,
        )
        return output, new

    def _heading(
        self, state: TeacherState, frame: StepFrame, command_y: Tensor, memory: TeacherMemory, fresh: Tensor
    ) -> Tensor:
        """Low-pass filtered yaw rate w [rad/s], and the bounded integral of w - w* [rad], (2, N)."""
        rate = (frame.up_b * state.base_ang_vel_b).sum(dim=0)
        ahead = rate - torch.stack((memory.heading[0], command_y[2]))
        heading = memory.heading + self._heading_gains * ahead
        return torch.where(fresh, rate * self._forward, heading.clamp(*self._heading_limits))

    def _yaw_force(self, rate_error: Tensor, heading_error: Tensor) -> Tensor:
        """Fore-aft force that turns the robot: F_x = k_psi (w - w*) in M (the foot is on the +y side) (N,) [N].

        A point foot passes no torque; a force along the heading on a foot beside the CoM does, with opposite signs for
        the two feet, so that over two steps it cancels for translation.

        Args:
            rate_error: w - w* in M (N,) [rad/s].
            heading_error: its integral (N,) [rad].
        """
        cfg = self.cfg.body
        force = cfg.yaw_gain * rate_error + cfg.heading_gain * heading_error
        return force.clamp(-cfg.yaw_force_limit, cfg.yaw_force_limit)

    def _drift(self, frame: StepFrame, plan: StepPlan, command: Tensor, drift: Tensor) -> Tensor:
        """Integral of the velocity error, leaky, bounded and gated, heading frame (2, N) [m]."""
        limit = self.cfg.stepping.drift_limit
        gated = (plan.present - command).abs() >= self._drift_gate
        error = torch.where(gated, self._zero, frame.com_vel_xy - command)
        kept = drift * self._drift_decay
        return (kept + self.cfg.control.dt * frame.mirror * error).clamp(-limit, limit)

    def _push(self, state: TeacherState, memory: TeacherMemory, fresh: Tensor) -> Tensor:
        """Decaying memory of jumps of the CoM velocity that the LIP does not explain (N,) [m/s]."""
        jump = torch.hypot(*(state.com_lin_vel_w[:2] - memory.predicted_vel).unbind())
        return torch.where(fresh, self._zero, torch.maximum(memory.push * self._push_decay, jump))

    def _plan(
        self,
        state: TeacherState,
        frame: StepFrame,
        elapsed: Tensor,
        adapts: Tensor,
        command: Tensor,
        drift: Tensor,
        turn_rate: Tensor,
        yaw_force: Tensor,
        contact: Tensor,
        change: Tensor,
    ) -> tuple[StepPlan, Tensor]:
        """Plans the step with the network in the loop; also returns the network's inputs (N, num_inputs)."""
        kept: list[Tensor] = []

        def offset(parts: dict[str, Tensor]) -> Tensor:
            known = {"command": command, "yaw_force": yaw_force, "contact": contact}
            inputs = self.network.pack(self._inputs(state, frame, parts | known))
            kept.append(inputs)
            if not self.cfg.offset.enabled:
                return self._constant.expand_as(parts["xi"])
            return self.network(inputs).t() + self._constant

        wanted = command[:2] - self.cfg.stepping.drift_gain * frame.mirror * drift
        return self.predictor.plan(frame, elapsed, adapts, wanted, turn_rate, yaw_force, change, offset), kept[0]

    def _change(
        self, frame: StepFrame, command: Tensor, lifted: Tensor, memory: TeacherMemory
    ) -> tuple[Tensor, Tensor]:
        """Learned change of the step's time [s] and swing height [m] (2, N), held over a step; and the inputs."""
        if self.step_network is None:
            return memory.change.clone(), self._no_inputs
        omega = self.predictor.omega(frame)
        inputs = self.step_network.observe(frame, lipm.dcm(frame.com_xy, frame.com_vel_xy, omega), command)
        chosen = self.step_network(inputs)
        if self.exploration is not None:
            chosen = self.step_network.limit(chosen + self.exploration)
        return torch.where(lifted, chosen.t(), memory.change), inputs

    def _over_ground(self, frame: StepFrame, memory: TeacherMemory, swing_height: Tensor) -> tuple[StepFrame, Tensor]:
        """Aims the swing foot at the ground under p* and lifts it over what lies on its way.

        It does not go down before it is over the lower ground, where the leg is too short to reach from farther away.

        Returns:
            The frame with the ground to land on for that under the swing foot, and the apex, higher by as much as the
            ground rises over the line from lift-off to landing (N,) [m].
        """
        if self.ground is None:
            return frame, swing_height
        start = memory.liftoff[:3]
        x, y = (start[:2] + self._ground_samples * (memory.foothold_w[:2] - start[:2])).unbind(1)  # (4, N)
        heights = self.ground(x, y)
        left, landing = start[2] - self.geometry.foot_radius, heights[-1]
        line = left + self._ground_samples[:, 0] * (landing - left).clamp(min=0.0)
        rise = (heights - line).amax(dim=0).clamp(min=0.0)
        landing = torch.where(landing < left, torch.maximum(landing, frame.swing_ground_w[0]), landing)
        return frame._replace(swing_ground_w=landing.unsqueeze(0)), swing_height + rise

    def _raised(self, plan: StepPlan, left: Tensor) -> Tensor | None:
        """How much higher than usual the base is to be above the stance foot (N,) [m]; None without a map.

        On stairs the base goes from its height above the last stance foot to that above the present one. If it had to
        do so at once, the leg would be torn straight on the way up and collapse on the way down.

        Args:
            plan: the step.
            left: where the swing foot left the ground, frame M (3, N) [m]: the last stance foot.
        """
        if self.ground is None:
            return None
        higher = left[2].clamp(-HIGHEST_STEP, HIGHEST_STEP)
        return self.cfg.body.height_lag * (1.0 - plan.phase).clamp(0.0, 1.0) * higher

    def _inputs(self, state: TeacherState, frame: StepFrame, parts: dict[str, Tensor]) -> dict[str, Tensor]:
        """Completes the named inputs of the offset network.

        They do not depend on world position or heading, and only the DCM depends on the phase: inputs that change
        within a step move the landing foot. With phase, base rates and swing foot among the inputs the DCM error was no
        smaller, and the yaw error larger by a fifth.
        """
        return parts | {
            "duration": frame.duration,
            "swing_ground": frame.swing_ground_w - frame.ground_w,
            "ground_ahead": state.ground_ahead - frame.ground_w,
        }

    def _touchdown(
        self, frame: StepFrame, plan: StepPlan, offset_b: Tensor, foothold: Tensor, switched: Tensor
    ) -> tuple[Tensor, Tensor]:
        """e_n and foothold error of the step that just ended (2, N) each [m].

        The state was read a little after the touchdown; the LIP takes the DCM back to the instant of the switch. e_n is
        in the frame M of the ended step, that is with y the other way round than now.

        Args:
            frame: the state at the new stance foot.
            plan: the new step's.
            offset_b: b of the ended step in its frame M (2, N) [m].
            foothold: p* of the ended step in the frame M of now (3, N) [m].
            switched: where a step ended (N,), bool.
        """
        growth = (plan.omega * frame.elapsed).exp()
        error = plan.xi * self._mirror / growth - offset_b
        miss = foothold[:2] * frame.backwards
        return torch.where(switched, error, self._zero), torch.where(switched, miss, self._zero)

    def _predicted_velocity(self, frame: StepFrame, plan: StepPlan, state: TeacherState) -> Tensor:
        """CoM velocity in W that the LIP expects at the next evaluation (2, N) [m/s]."""
        return state.com_lin_vel_w[:2] + self.cfg.control.dt * frame.com_xy_w / plan.height

    def _weight(self, frame: StepFrame, plan: StepPlan, memory: TeacherMemory, contact: Tensor) -> Tensor:
        """w_k (N,) from tilt, height rate, slip, contact against the clock, clamped foothold and recent push."""
        tilt = frame.up_b[2].clamp(-1.0, 1.0).acos()
        slip = torch.hypot(*frame.stance_vel_w.unbind()) * contact
        rate = frame.com_vel[2].abs()
        return self.validity(torch.stack((tilt, rate, slip, memory.no_contact, plan.clamped, memory.push)))
