"""DCM predictor: from the state at the stance foot to the next foothold."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.config import TeacherCfg
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.timing import adapted_time_left, clock_shift

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
    phase: Tensor
    """phi, after the clock shift that is asked for (N,)."""
    time_left: Tensor
    """T_r = (1 - phi) T (N,) [s]."""
    clock_shift: Tensor
    """Clock shift asked for (N,) [cycles]."""
    present: Tensor
    """Velocity of the gait that the present motion belongs to (2, N) [m/s]."""


class DcmPredictor:
    """Closed-form preview, nominal offsets, foothold with learned offset, reachable box, no leg crossing.

    Args:
        cfg: the teacher's parameters.
        mass: of the robot [kg].
        foot_radius: from foot centre to contact point [m].
        like: a tensor of the device and dtype to compute on.
    """

    def __init__(self, cfg: TeacherCfg, mass: float, foot_radius: float, like: Tensor) -> None:
        s, g = cfg.stepping, cfg.control.gravity
        self.cfg, self.mass = cfg, mass
        self.gaits = lipm.GaitFamily(s.stance_width, s.pivot_shift, s.landing_kick, like)
        self.low = like.new_tensor([[-s.reach_backward], [-s.reach_lateral]])  # (2, 1)
        self.high = like.new_tensor([[s.reach_forward], [-s.keep_out]])
        margin = cfg.timing.margin
        self._timing_box = (
            margin * self.low,
            like.new_tensor([[margin * s.reach_forward], [cfg.timing.across]]),
        )
        self._law = {"dcm": self._dcm_foothold, "raibert": self._raibert_foothold}[s.law]
        self._radius_over_g = like.new_tensor(foot_radius / g)
        self._yaw_share = like.new_tensor([[-1.0 / mass if s.yaw_in_preview else 0.0], [0.0]])  # (2, 1)
        self._no_shift = like.new_zeros(())
        self._beside = like.new_tensor([[0.0], [-0.5 * s.stance_width]])  # (2, 1)

    def plan(self, frame: StepFrame, command: Tensor, turn_rate: Tensor, yaw_force: Tensor, offset: Offset) -> StepPlan:
        """Plans the next foothold.

        Args:
            frame: the state at the stance foot.
            command: velocity to walk with, frame M (2, N) [m/s].
            turn_rate: filtered yaw rate in M (N,) [rad/s].
            yaw_force: fore-aft force added for the heading (N,) [N].
            offset: learned offset as a function of the network's named inputs that the predictor knows.

        Returns:
            The plan.
        """
        cfg, g = self.cfg.stepping, self.cfg.control.gravity
        height = torch.add(self._radius_over_g, frame.com[2], alpha=1.0 / g).clamp(min=cfg.min_height / g)
        omega = height.rsqrt()
        xi = lipm.dcm(frame.com_xy, frame.com_vel_xy, omega)
        gait = self.gaits(omega, frame.duration)
        # F = m omega^2 (c - p) + F_psi is the force of a pivot moved by -F_psi / (m omega^2)
        yaw_lever = yaw_force * height
        pivot = torch.addcmul(gait.pivot, self._yaw_share, yaw_lever)
        time_left = frame.duration - frame.elapsed
        xi_end = lipm.propagate_dcm(xi, pivot, omega, time_left)
        present, velocity, b = reference_gait(cfg.dv, command, xi_end, gait)
        b = lipm.rotate(b, turn_rate * time_left)
        shift, phase = self._no_shift.expand_as(omega), frame.phase
        if self.cfg.timing.enabled:
            adapted = self._adapt(frame, xi, b, omega, time_left)
            shift = clock_shift(self.cfg.timing, time_left, adapted, frame.duration)
            phase = phase + 2.0 * shift
            time_left = (1.0 - phase) * frame.duration
            xi_end = lipm.propagate_dcm(xi, pivot, omega, time_left)
        plan = xi_end - b
        correction = offset({"xi": xi, "plan": plan, "velocity": velocity, "omega": omega})
        wanted = self._law(frame, velocity, plan, time_left) + correction
        foothold = wanted.clamp(self.low, self.high)
        clamped = (wanted - foothold).abs().sum(dim=0)
        return StepPlan(
            omega, height, yaw_lever, xi, xi_end, b, correction, foothold, clamped, phase, time_left, shift, present
        )

    def _adapt(self, frame: StepFrame, xi: Tensor, b: Tensor, omega: Tensor, time_left: Tensor) -> Tensor:
        cfg = self.cfg.timing
        shortest = (cfg.min_step - frame.elapsed).clamp(min=0.0)
        return adapted_time_left(xi, b, *self._timing_box, omega, time_left, shortest)

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
