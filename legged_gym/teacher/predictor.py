"""DCM predictor: from the state at the stance foot to the next foothold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.config import SteppingCfg, TeacherCfg
from legged_gym.teacher.frame import StepFrame
from legged_gym.teacher.timing import adapted_time_left, clock_shift

Offset = Callable[[dict[str, Tensor]], Tensor]
"""From the named inputs of the offset network that the predictor knows to the offset (2, N) [m]."""


@dataclass(frozen=True)
class StepPlan:
    """The next step, frame M, relative to the stance foot centre."""

    omega: Tensor
    """Natural frequency (N,) [rad/s]."""
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
    time_left: Tensor
    """Time to touchdown (N,) [s]."""
    clock_shift: Tensor
    """Clock shift asked for (N,) [cycles]."""


class DcmPredictor:
    """Closed-form preview, nominal offsets, foothold with learned offset, reachable box, no leg crossing.

    Args:
        cfg: the teacher's parameters.
        mass: of the robot [kg].
        foot_radius: from foot centre to contact point [m].
        like: a tensor of the device and dtype to compute on.
    """

    def __init__(self, cfg: TeacherCfg, mass: float, foot_radius: float, like: Tensor) -> None:
        s = cfg.stepping
        self.cfg = cfg
        self.mass, self.radius = mass, foot_radius
        self.low = like.new_tensor([[-s.reach_backward], [-s.reach_lateral]])  # (2, 1)
        self.high = like.new_tensor([[s.reach_forward], [-s.keep_out]])
        self._law = {"dcm": self._dcm_foothold, "raibert": self._raibert_foothold}[s.law]

    def plan(self, frame: StepFrame, turn_rate: Tensor, yaw_force: Tensor, offset: Offset) -> StepPlan:
        """Plans the next foothold.

        Args:
            frame: the state at the stance foot.
            turn_rate: filtered yaw rate in M (N,) [rad/s].
            yaw_force: fore-aft force added for the heading (N,) [N].
            offset: learned offset as a function of the network's named inputs that the predictor knows.

        Returns:
            The plan.
        """
        cfg, t = self.cfg.stepping, frame.duration
        omega = lipm.natural_frequency(frame.com[2] + self.radius, self.cfg.control.gravity, cfg.min_height)
        xi = lipm.dcm(frame.com[:2], frame.com_vel[:2], omega)
        pivot = self._pivot(omega, frame.com_vel[0], yaw_force)
        time_left = (1.0 - frame.phase) * t
        xi_end = lipm.propagate_dcm(xi, pivot, omega, time_left)
        velocity, b = self._nominal(frame, xi_end, omega, turn_rate * time_left)
        shift = torch.zeros_like(time_left)
        if self.cfg.timing.enabled:
            adapted = self._adapt(frame, xi, b, omega, time_left)
            shift = clock_shift(self.cfg.timing, time_left, adapted, t)
            time_left = time_left - 2.0 * t * shift
            xi_end = lipm.propagate_dcm(xi, pivot, omega, time_left)
        correction = offset({"xi": xi, "plan": xi_end - b, "velocity": velocity, "omega": omega})
        wanted = self._law(frame, velocity, b, xi_end, correction, time_left)
        foothold = wanted.clamp(self.low, self.high)
        clamped = (wanted - foothold).abs().sum(dim=0)
        return StepPlan(omega, xi, xi_end, b, correction, foothold, clamped, time_left, shift)

    def _nominal(self, frame: StepFrame, xi_end: Tensor, omega: Tensor, turn: Tensor) -> tuple[Tensor, Tensor]:
        """Reference velocity v_ref [m/s] and nominal offset b [m], turned to the heading at touchdown, (2, N) each.

        v_ref is the command, but within +-dv of the velocity of the gait that the present motion belongs to: a
        command or a push changes the gait by at most dv per step.
        """
        cfg = self.cfg.stepping
        velocity, b = reference_gait(cfg, frame.command[:2], xi_end, omega, frame.duration)
        return velocity, lipm.rotate(b, turn)

    def _pivot(self, omega: Tensor, forward: Tensor, yaw_force: Tensor) -> Tensor:
        """Effective stance point: F = m omega^2 (c - p) + F_x is the force of a pivot moved by -F_x/(m omega^2)."""
        shift = -pivot_shift(self.cfg.stepping, forward)
        if self.cfg.stepping.yaw_in_preview:
            shift = shift - yaw_force / (self.mass * omega * omega)
        return torch.stack((shift, torch.zeros_like(shift)))

    def _adapt(self, frame: StepFrame, xi: Tensor, b: Tensor, omega: Tensor, time_left: Tensor) -> Tensor:
        cfg = self.cfg.timing
        shortest = (cfg.min_step - frame.phase * frame.duration).clamp(min=0.0)
        return adapted_time_left(xi, b, cfg.margin * self.low, cfg.margin * self.high, omega, time_left, shortest)

    def _dcm_foothold(
        self, frame: StepFrame, velocity: Tensor, b: Tensor, xi_end: Tensor, correction: Tensor, time_left: Tensor
    ) -> Tensor:
        return lipm.foothold(xi_end, b, correction)

    def _raibert_foothold(
        self, frame: StepFrame, velocity: Tensor, b: Tensor, xi_end: Tensor, correction: Tensor, time_left: Tensor
    ) -> Tensor:
        """p* = c + v T_r + v_ref T/2 + k (v - v_ref) + lateral W_s/2 (Raibert, Legged Robots that Balance, 1986)."""
        cfg, v = self.cfg.stepping, frame.com_vel[:2]
        neutral = frame.com[:2] + v * time_left + velocity * (0.5 * frame.duration)
        x, y = neutral + cfg.raibert_gain * (v - velocity) + correction
        return torch.stack((x, y - 0.5 * cfg.stance_width))


def pivot_shift(cfg: SteppingCfg, forward: Tensor) -> Tensor:
    """a: how far behind the stance foot the DCM diverges from at a forward velocity [m/s], (N,) [m]."""
    return cfg.pivot_shift - cfg.pivot_drag * forward


def reference_gait(
    cfg: SteppingCfg, command: Tensor, xi_end: Tensor, omega: Tensor, duration: Tensor
) -> tuple[Tensor, Tensor]:
    """Reference velocity and nominal offset for a previewed DCM, frame M.

    Seen from the effective pivot r = p - (a, 0), the gait is the LIP's: xi - r = b + a, so b is the nominal offset
    less a, and a itself depends on the velocity.

    Args:
        cfg: the stepping law's parameters; a is `pivot_shift`.
        command: v_x, v_y (2, N) [m/s].
        xi_end: DCM at touchdown relative to the stance foot (2, N) [m].
        omega: natural frequency (N,) [rad/s].
        duration: step duration (N,) [s].

    Returns:
        v_ref [m/s] and b [m], (2, N) each.
    """
    x, y = xi_end.unbind()
    still = lipm.gait_velocity(torch.stack((x + cfg.pivot_shift, y)), cfg.stance_width, omega, duration)
    growth = (omega * duration).exp()
    drag = 1.0 + cfg.pivot_drag * (growth - 1.0) / (duration * growth)
    present = torch.stack((still[0] / drag, still[1]))
    velocity = present + (command - present).clamp(-cfg.dv, cfg.dv)
    x, y = lipm.nominal_offset(velocity, cfg.stance_width, omega, duration).unbind()
    return velocity, torch.stack((x - pivot_shift(cfg, velocity[0]), y))
