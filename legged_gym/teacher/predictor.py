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
    phase: Tensor
    """phi, after the clock shift that is asked for (N,)."""
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
        s = cfg.stepping
        self.cfg = cfg
        self.mass, self.radius = mass, foot_radius
        self.low = like.new_tensor([[-s.reach_backward], [-s.reach_lateral]])  # (2, 1)
        self.high = like.new_tensor([[s.reach_forward], [-s.keep_out]])
        margin = cfg.timing.margin
        self._timing_box = (
            margin * self.low,
            like.new_tensor([[margin * s.reach_forward], [cfg.timing.across]]),
        )
        self._law = {"dcm": self._dcm_foothold, "raibert": self._raibert_foothold}[s.law]

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
        cfg, t = self.cfg.stepping, frame.duration
        omega = lipm.natural_frequency(frame.com[2] + self.radius, self.cfg.control.gravity, cfg.min_height)
        xi = lipm.dcm(frame.com[:2], frame.com_vel[:2], omega)
        gait = lipm.PeriodicGait.of(cfg.stance_width, omega, t)
        rest = resting_pivot(cfg, gait)
        pivot = self._pivot(rest, omega, yaw_force)
        time_left = (1.0 - frame.phase) * t
        xi_end = lipm.propagate_dcm(xi, pivot, omega, time_left)
        present, velocity, b = reference_gait(cfg, command, xi_end, gait, rest)
        b = lipm.rotate(b, turn_rate * time_left)
        shift, phase = torch.zeros_like(time_left), frame.phase
        if self.cfg.timing.enabled:
            adapted = self._adapt(frame, xi, b, omega, time_left)
            shift = clock_shift(self.cfg.timing, time_left, adapted, t)
            phase = phase + 2.0 * shift
            time_left = (1.0 - phase) * t
            xi_end = lipm.propagate_dcm(xi, pivot, omega, time_left)
        correction = offset({"xi": xi, "plan": xi_end - b, "velocity": velocity, "omega": omega})
        wanted = self._law(frame, velocity, b, xi_end, correction, time_left)
        foothold = wanted.clamp(self.low, self.high)
        clamped = (wanted - foothold).abs().sum(dim=0)
        return StepPlan(omega, xi, xi_end, b, correction, foothold, clamped, phase, shift, present)

    def _pivot(self, rest: Tensor, omega: Tensor, yaw_force: Tensor) -> Tensor:
        """Effective stance point: F = m omega^2 (c - p) + F_x is the force of a pivot moved by -F_x/(m omega^2)."""
        if not self.cfg.stepping.yaw_in_preview:
            return rest
        x, y = rest.unbind()
        return torch.stack((torch.addcdiv(x, yaw_force, omega * omega, value=-1.0 / self.mass), y))

    def _adapt(self, frame: StepFrame, xi: Tensor, b: Tensor, omega: Tensor, time_left: Tensor) -> Tensor:
        cfg = self.cfg.timing
        shortest = (cfg.min_step - frame.phase * frame.duration).clamp(min=0.0)
        return adapted_time_left(xi, b, *self._timing_box, omega, time_left, shortest)

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


def resting_pivot(cfg: SteppingCfg, gait: lipm.PeriodicGait) -> Tensor:
    """Point r from which the DCM really diverges, relative to the stance foot, frame M (2, N) [m].

    r = (-a, 0) with a = a_0 + k / (E - 1): `pivot_shift`, and `landing_kick`, which is what every touchdown adds to the
    DCM however long the step is.
    """
    x = gait.per_speed / gait.duration * -cfg.landing_kick - cfg.pivot_shift
    return torch.stack((x, torch.zeros_like(x)))


def reference_gait(
    cfg: SteppingCfg, command: Tensor, xi_end: Tensor, gait: lipm.PeriodicGait, rest: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The gait that the motion belongs to, and the one to go for: the command, but within +-dv of the present one.

    Seen from the pivot r, the gait is the LIP's: xi - r = b - r, so b is the nominal offset plus r. A command or a push
    changes the gait by at most dv per step.

    Args:
        cfg: the stepping law's parameters.
        command: v_x, v_y (2, N) [m/s].
        xi_end: DCM at touchdown relative to the stance foot (2, N) [m].
        gait: the LIP's gaits of this step duration.
        rest: r, see `resting_pivot` (2, N) [m].

    Returns:
        Velocity of the present gait and v_ref [m/s], and b of v_ref [m], (2, N) each.
    """
    present = gait.velocity(xi_end - rest)
    velocity = present + (command - present).clamp(-cfg.dv, cfg.dv)
    return present, velocity, gait.offset(velocity) + rest
