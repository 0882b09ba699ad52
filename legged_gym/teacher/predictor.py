"""DCM predictor: from the state at the stance foot to the next foothold and to when it is reached."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.timing import Reach, StepTiming, viability_distance

Offset = Callable[[dict[str, Tensor]], Tensor]
"""From the named inputs of the offset network that the predictor knows to the offset (2, N) [m]."""


class StepPlan(NamedTuple):
    """The next step, frame M, relative to the stance foot centre."""

    omega: Tensor
    """Natural frequency (N,) [rad/s]."""
    height: Tensor
    """(c_z - p_z) / g = 1 / omega^2 (N,) [s^2]."""
    yaw_lever: Tensor
    """Yaw force by `height` (N,) [N s^2]."""
    pivot: Tensor
    """Point r from which the DCM diverges (2, N) [m]."""
    xi: Tensor
    """DCM now (2, N) [m]."""
    xi_end: Tensor
    """DCM previewed at touchdown (2, N) [m]."""
    offset_b: Tensor
    """Nominal DCM offset b (2, N) [m]."""
    correction: Tensor
    """Applied offset delta_xi (2, N) [m]."""
    foothold: Tensor
    """p* inside the reachable box (2, N) [m]."""
    clamped: Tensor
    """Distance by which p* was moved into the box (N,) [m]."""
    elapsed: Tensor
    """Time since the step began, whatever the clock says (N,) [s]."""
    phase: Tensor
    """phi, after the clock shift that is asked for (N,)."""
    time_left: Tensor
    """T_r = (1 - phi) T (N,) [s]."""
    clock_shift: Tensor
    """Clock shift asked for (N,) [cycles]."""
    hurry: Tensor
    """How much of a recovery this step is, 0 to 1 (N,)."""
    present: Tensor
    """Velocity of the gait that the present motion belongs to (2, N) [m/s]."""
    velocity: Tensor
    """v_ref, that of the gait to go for (2, N) [m/s]."""
    wanted: Tensor
    """The velocity to walk with that it is on the way to (2, N) [m/s]."""
    turn_rate: Tensor
    """Filtered yaw rate (N,) [rad/s]."""


class DcmPredictor:
    """Closed-form preview, nominal offsets, step time, foothold with learned offset, reachable box, no leg crossing.

    Args:
        cfg: the teacher's parameters.
        foot_radius: from foot centre to contact point [m].
        template: a tensor of the device and dtype to compute on.
    """

    def __init__(self, cfg: TeacherCfg, foot_radius: float, template: Tensor) -> None:
        s, g = cfg.stepping, cfg.control.gravity
        self.cfg = cfg
        self.gaits = lipm.GaitFamily(s.stance_width, s.pivot_shift, s.landing_kick, template)
        self.reach = Reach(s, cfg.timing, template)
        self.low, self.high = self.reach.low, self.reach.high
        self.timing = StepTiming(s, cfg.timing, self.reach, template)
        self._law = {"dcm": self._dcm_foothold, "raibert": self._raibert_foothold}[s.law]
        self._radius_over_g = template.new_tensor(foot_radius / g)
        self._yaw_share = template.new_tensor([[-1.0 if s.yaw_in_preview else 0.0], [0.0]])  # (2, 1)
        self.stride_in_place = template.new_tensor([[0.0], [-s.stance_width]])  # (2, 1)
        self._beside = template.new_tensor([[0.0], [-0.5 * s.stance_width]])  # (2, 1)

    def plan(
        self,
        frame: StepFrame,
        elapsed: Tensor,
        adapts: Tensor,
        command: Tensor,
        turn_rate: Tensor,
        yaw_force: Tensor,
        change: Tensor,
        offset: Offset,
    ) -> StepPlan:
        """Plans the next foothold.

        Args:
            frame: the state at the stance foot.
            elapsed: since the step began, whatever the clock says (N,) [s].
            adapts: 1 where the clock follows the plan (N,).
            command: velocity to walk with, frame M (2, N) [m/s].
            turn_rate: filtered yaw rate in M (N,) [rad/s].
            yaw_force: fore-aft force added for the heading (N,) [N].
            change: learned change of the step time, not longer (N,) [s].
            offset: learned offset as a function of the network's named inputs that the predictor knows.

        Returns:
            The plan.
        """
        cfg, duration = self.cfg.stepping, frame.duration
        height = self._height_over_g(frame)
        omega = height.rsqrt()
        xi = lipm.dcm(frame.com_xy, frame.com_vel_xy, omega)
        gait = self.gaits(omega, duration)
        # F = m omega^2 (c - p) + F_psi is the force of a pivot moved by -F_psi / (m omega^2)
        yaw_lever = yaw_force * height
        pivot = gait.pivot + self._yaw_share * yaw_lever / frame.mass
        time_left = nominal = duration - frame.elapsed
        if self.cfg.timing.enabled:
            # Gait and b belong to the nominal step time, counted from lift-off; the step itself may take another one.
            nominal = torch.where(adapts > 0.0, (duration - elapsed).clamp(min=0.0), time_left)
        present, velocity, unturned = reference_gait(
            cfg.dv, command, lipm.propagate_dcm(xi, pivot, omega, nominal), gait
        )
        if self.cfg.timing.enabled:
            b = lipm.rotate(unturned, turn_rate * nominal)
            swing, swing_vel = frame.swing[:2], frame.swing_vel[:2]
            best = self.timing.time_left(xi, pivot, b, omega, elapsed, duration, swing, swing_vel)
            best = torch.maximum(best + change, self.timing.shortest(elapsed))
            time_left = torch.where(adapts > 0.0, best, time_left)
        xi_end = lipm.propagate_dcm(xi, pivot, omega, time_left)
        b = lipm.rotate(unturned, turn_rate * time_left)
        plan = xi_end - b
        correction = offset({"xi": xi, "plan": plan, "velocity": velocity, "omega": omega})
        wanted = self._law(frame, velocity, plan, time_left) + correction
        foothold = self.reach.box(wanted)
        return StepPlan(
            omega=omega,
            height=height,
            yaw_lever=yaw_lever,
            pivot=pivot,
            xi=xi,
            xi_end=xi_end,
            offset_b=b,
            correction=correction,
            foothold=foothold,
            clamped=(wanted - foothold).abs().sum(dim=0),
            elapsed=elapsed,
            phase=1.0 - time_left / duration,
            time_left=time_left,
            clock_shift=0.5 * (duration - frame.elapsed - time_left) / duration,
            hurry=self._hurry(present - command),
            present=present,
            velocity=velocity,
            wanted=command,
            turn_rate=turn_rate,
        )

    def omega(self, frame: StepFrame) -> Tensor:
        """Natural frequency (N,) [rad/s]."""
        return self._height_over_g(frame).rsqrt()

    def _height_over_g(self, frame: StepFrame) -> Tensor:
        """(c_z - p_z) / g = 1 / omega^2 (N,) [s^2]."""
        g = self.cfg.control.gravity
        return (self._radius_over_g + frame.com[2] / g).clamp(min=self.cfg.stepping.min_height / g)

    def stability(self, frame: StepFrame, plan: StepPlan) -> Tensor:
        """How stable the planned landing is, by the LIP (3, N) [m].

        Returns:
            DCM offset at touchdown minus the b to go for, frame M: that of v_ref if +-dv did not limit it. Then the
            signed distance of that offset to the bounds of viability, negative inside.
        """
        per_speed = self.gaits(plan.omega, frame.duration).per_speed
        landed = plan.xi_end - plan.foothold
        delta = landed - plan.offset_b + (plan.velocity - plan.wanted) * per_speed
        distance = viability_distance(landed, plan.omega, self.cfg.stepping, self.cfg.timing.min_step)
        return torch.cat((delta, distance.unsqueeze(0)))

    def _hurry(self, difference: Tensor) -> Tensor:
        """How much of a recovery a step is (N,), by how far the present gait is from the command (2, N) [m/s]."""
        ordinary, recovery = self.cfg.swing.hurry
        return ((torch.hypot(*difference.unbind()) - ordinary) / (recovery - ordinary)).clamp(0.0, 1.0)

    def _dcm_foothold(self, frame: StepFrame, velocity: Tensor, plan: Tensor, time_left: Tensor) -> Tensor:
        """p* = xi_T - b: puts the DCM at the offset b from the foot (Khadiv 2020, eq. 7)."""
        return plan

    def _raibert_foothold(self, frame: StepFrame, velocity: Tensor, plan: Tensor, time_left: Tensor) -> Tensor:
        """p* = c + v T_r + v_ref T/2 + k (v - v_ref) + lateral W_s/2 (Raibert, Legged Robots that Balance, 1986)."""
        v = frame.com_vel_xy
        neutral = frame.com_xy + v * time_left + velocity * (0.5 * frame.duration)
        return neutral + self.cfg.stepping.raibert_gain * (v - velocity) + self._beside


def reference_gait(
    dv: float, command: Tensor, xi_end: Tensor, gait: lipm.PeriodicGait
) -> tuple[Tensor, Tensor, Tensor]:
    """The gait that the motion belongs to, and the one to go for: the command, but within +-dv of the present one.

    A command or a push changes the gait by at most dv per step.

    Args:
        dv: [m/s].
        command: v_x, v_y (2, N) [m/s].
        xi_end: DCM at touchdown relative to the stance foot (2, N) [m].
        gait: the gaits of this step duration.

    Returns:
        Velocity of the present gait and v_ref [m/s], and b of v_ref [m], (2, N) each.
    """
    present = gait.velocity(xi_end)
    velocity = present + (command - present).clamp(-dv, dv)
    return present, velocity, gait.offset(velocity)
