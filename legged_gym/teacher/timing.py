"""When and where the next foot lands, chosen together: the step-timing QP of Khadiv et al., T-RO 2020, by search.

The QP asks for foothold p and step time such that the DCM is at its nominal offset b from the foot when it lands,
inside what the leg reaches, with the offset kept viable by a slack. Given the time, everything else follows in closed
form, one axis at a time: p is the reachable point nearest to
p* = xi_T - b. So the cost is computed for a fixed number of times, all at once, and the best one is taken: no solver,
no branch, and the foot's reach may depend on the time in any way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from legged_gym.teacher import lipm
from legged_gym.teacher.config import SteppingCfg, TimingCfg


class Reach:
    """Reach of the swing foot: the leg's box beside the stance leg, and its distance in the time left.

    Args:
        stepping: the box.
        timing: speed and acceleration of the swing foot.
        template: a tensor of the device and dtype to compute on.
    """

    def __init__(self, stepping: SteppingCfg, timing: TimingCfg, template: Tensor) -> None:
        self.timing = timing
        self.low = template.new_tensor([[-stepping.reach_backward], [-stepping.reach_lateral]])  # (2, 1)
        self.high = template.new_tensor([[stepping.reach_forward], [-stepping.keep_out]])

    def box(self, foothold: Tensor) -> Tensor:
        """The nearest point to a foothold (2, ..., N) [m] that the leg reaches on its own side."""
        low, high = (corner.view(2, *[1] * (foothold.ndim - 1)) for corner in (self.low, self.high))
        return torch.minimum(torch.maximum(foothold, low), high)

    def in_time(self, foothold: Tensor, swing: Tensor, swing_vel: Tensor, time: Tensor) -> Tensor:
        """The nearest point to a foothold at which the swing foot can be at rest in some time, one axis at a time.

        From rest over a distance d in a time t a cubic takes an acceleration of 6 d / t^2; a foot that moves already
        comes v t / 3 farther.

        Args:
            foothold: wanted (2, ..., N) [m].
            swing: the swing foot now (2, ..., N) [m].
            swing_vel: its velocity (2, ..., N) [m/s].
            time: left to touchdown (..., N) [s].
        """
        carried = swing + swing_vel * time / 3.0
        distance = torch.minimum(self.timing.swing_accel * time.square() / 6.0, self.timing.swing_speed * time)
        return torch.minimum(torch.maximum(foothold, carried - distance), carried + distance)


class StepTiming:
    """Searches for the time of touchdown.

    Args:
        stepping: the box of footholds.
        timing: bounds and weights.
        reach: what the swing foot can reach.
        template: a tensor of the device and dtype to compute on.
    """

    def __init__(self, stepping: SteppingCfg, timing: TimingCfg, reach: Reach, template: Tensor) -> None:
        self.stepping, self.timing, self.reach = stepping, timing, reach
        self._share = torch.linspace(
            0.0, 1.0, timing.candidates, dtype=template.dtype, device=template.device
        ).unsqueeze(-1)

    def candidates(self, elapsed: Tensor, duration: Tensor) -> Tensor:
        """Candidate times left to touchdown (K, N) [s]: from the shortest step to the longest.

        Args:
            elapsed: since the step began, by time and not by the clock (N,) [s].
            duration: nominal step duration T (N,) [s]. The clock is not turned back behind the beginning of the step.
        """
        shortest = self.shortest(elapsed)
        longest = torch.minimum(self.timing.max_step - elapsed, LATEST * duration)
        return shortest + self._share * (longest - shortest).clamp(min=0.0)

    def shortest(self, elapsed: Tensor) -> Tensor:
        """Least time left to touchdown (N,) [s] of steps that began some time ago (N,) [s]."""
        return (self.timing.min_step - elapsed).clamp(min=self.timing.min_left)

    def time_left(
        self,
        xi: Tensor,
        pivot: Tensor,
        offset: Tensor,
        omega: Tensor,
        elapsed: Tensor,
        duration: Tensor,
        swing: Tensor,
        swing_vel: Tensor,
    ) -> Tensor:
        """The best time to touchdown (N,) [s].

        Args:
            xi: DCM now, mirrored heading frame (2, N) [m].
            pivot: point r from which the DCM diverges (2, N) [m].
            offset: b minus the learned offset: the wanted DCM relative to the foot when it lands (2, N) [m].
            omega: (N,) [rad/s].
            elapsed: since the step began (N,) [s].
            duration: nominal step duration T (N,) [s].
            swing: swing foot (2, N) [m].
            swing_vel: its velocity (2, N) [m/s].
        """
        times = self.candidates(elapsed, duration)  # (K, N)
        xi, pivot, b, swing, swing_vel = (part.unsqueeze(1) for part in (xi, pivot, offset, swing, swing_vel))
        xi_end = lipm.propagate_dcm(xi, pivot, omega, times)  # (2, K, N)
        foothold = self.reach.in_time(self.reach.box(xi_end - b), swing, swing_vel, times)
        landed = xi_end - foothold
        early = times - (duration - elapsed)
        error = landed - b
        error = error - error.clamp(-self.timing.tolerance, self.timing.tolerance)
        cost = self.cost(landed, error, omega) + self.timing.w_time * early.square()
        best = cost.argmin(dim=0, keepdim=True)
        return times.gather(0, best).squeeze(0)

    def cost(self, landed: Tensor, error: Tensor, omega: Tensor) -> Tensor:
        """Cost of a landing [m^2] (..., N): the offset error, more of it to the outside, and the excess over viability.

        To the outside the next step cannot go: legs do not cross. A robot whose DCM is there falls unless the next
        foothold, close beside the stance foot, catches it.

        Args:
            landed: DCM relative to the landing foot (2, ..., N) [m].
            error: the same minus b (2, ..., N) [m].
            omega: (N,) [rad/s].
        """
        outward = (-error[1]).clamp(min=0.0)
        excess = viability_excess(landed, omega, self.stepping, self.timing.min_step)
        return (
            error.square().sum(dim=0)
            + self.timing.w_outward * outward.square()
            + self.timing.w_viable * excess.square()
        )


LATEST = 0.98
"""Largest share of a step that may be left [1]: the clock of a step that has begun stays on its side of the switch."""


def viability_bounds(omega: Tensor, stepping: SteppingCfg, duration: float) -> tuple[Tensor, Tensor, Tensor]:
    """Bounds of the DCM's offset from the landing foot that steps of some duration can keep for ever.

    Ahead and behind the DCM must not run away faster than the longest steps follow:
    |x| <= L / (E - 1), E = e^(omega T).
    Sideways an offset u (towards the next foot) becomes u' = d - E u by a step of width d in [k, L_y]; the largest
    interval that can be mapped into itself is [(k E - L_y) / (E^2 - 1), (L_y E - k) / (E^2 - 1)] (Khadiv 2020, IV).

    Args:
        omega: (N,) [rad/s].
        stepping: reach L (the smaller of forward and backward), lateral reach L_y and keep-out k.
        duration: of the steps [s].

    Returns:
        Largest |x|, least and largest y (N,) each [m]; y towards the next foot.
    """
    growth = (omega * duration).exp()
    longest = min(stepping.reach_forward, stepping.reach_backward)
    narrow, wide = stepping.keep_out, stepping.reach_lateral
    square = growth.square() - 1.0
    return longest / (growth - 1.0), (narrow * growth - wide) / square, (wide * growth - narrow) / square


def viability_distance(landed: Tensor, omega: Tensor, stepping: SteppingCfg, duration: float) -> Tensor:
    """Signed distance of the DCM relative to the landing foot (2, ..., N) [m] to `viability_bounds` (..., N) [m].

    Negative inside: then how far it is to the nearest bound; outside by how much the worst one is exceeded.
    """
    forward, inner, outer = viability_bounds(omega, stepping, duration)
    x, y = landed.unbind()
    return torch.maximum(x.abs() - forward, torch.maximum(inner - y, y - outer))


def viability_excess(landed: Tensor, omega: Tensor, stepping: SteppingCfg, duration: float) -> Tensor:
    """Distance of the DCM relative to the landing foot (2, ..., N) [m] beyond `viability_bounds` (..., N) [m]."""
    forward, inner, outer = viability_bounds(omega, stepping, duration)
    x, y = landed.unbind()
    sideways = (inner - y).clamp(min=0.0) + (y - outer).clamp(min=0.0)
    return (x.abs() - forward).clamp(min=0.0) + sideways
