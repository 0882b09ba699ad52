"""Linear inverted pendulum and divergent component of motion: pure functions on tensors of any shape.

Symbols: c CoM, p stance point, xi DCM, omega natural frequency, T step duration. All functions are differentiable and
work in any horizontal frame. Components come first: points are (2, N), omega and times (N,), so that they broadcast.

Sources: Kajita et al., "The 3D linear inverted pendulum mode", IROS 2001; Englsberger, Ott and Albu-Schaeffer,
"Three-dimensional bipedal walking control based on divergent component of motion", T-RO 2015; Khadiv et al.,
"Walking control based on step timing adaptation", T-RO 2020.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def natural_frequency(height: Tensor, gravity: float = 9.81, min_height: float = 0.3) -> Tensor:
    """omega = sqrt(g / (c_z - p_z)), the height clamped from below so that a falling robot gives no NaN.

    Args:
        height: CoM height over the stance point [m], any shape.
        gravity: g [m/s^2].
        min_height: lower clamp on the height [m].

    Returns:
        omega [rad/s], same shape.
    """
    return (gravity / height.clamp(min=min_height)).sqrt()


def dcm(com: Tensor, com_vel: Tensor, omega: Tensor) -> Tensor:
    """xi = c + c_dot / omega (Englsberger 2015, eq. 4). Points (2, N) [m], velocity [m/s], omega (N,)."""
    return com + com_vel / omega


def propagate_dcm(xi: Tensor, pivot: Tensor, omega: Tensor, time: Tensor) -> Tensor:
    """xi(t) = p + e^(omega t) (xi - p), the solution of xi_dot = omega (xi - p) (Khadiv 2020, eq. 3).

    Args:
        xi: DCM (2, N) [m].
        pivot: stance point p (2, N) [m].
        omega: natural frequency (N,) [rad/s].
        time: time ahead, negative for backwards (N,) [s].

    Returns:
        DCM at that time (2, N) [m].
    """
    return torch.lerp(pivot, xi, (omega * time).exp())


def propagate_com(com: Tensor, xi: Tensor, pivot: Tensor, omega: Tensor, time: Tensor) -> Tensor:
    """c(t) = p + sinh(omega t) (xi - p) + e^(-omega t) (c - p): how the CoM follows the DCM, c_dot = omega (xi - c).

    The same as p + (c - p) cosh(omega t) + c_dot / omega sinh(omega t) (Kajita 2001, eq. 6), with the DCM of now for
    the velocity.

    Args:
        com: CoM (2, N) [m].
        xi: DCM at the same instant (2, N) [m].
        pivot: point from which the DCM diverges (2, N) [m].
        omega: natural frequency (N,) [rad/s].
        time: time ahead, negative for backwards (N,) [s].

    Returns:
        CoM at that time (2, N) [m].
    """
    phase = omega * time
    return pivot + phase.sinh() * (xi - pivot) + (-phase).exp() * (com - pivot)


class GaitFamily:
    """Periodic gaits of one stance width, in the mirrored heading frame, where y points to the stance side.

    With E = e^(omega T) the DCM is at b = v T / (E - 1) + (0, W_s / (E + 1)) from the foot that has just landed (Khadiv
    2020, eqs. 9-10), and at v T E / (E - 1) - (0, W_s E / (E + 1)) from it when the next one does; both seen from the
    pivot r = (-a_0 - k / (E - 1), 0) from which the DCM really diverges. a_0 is a steady shift of the stance point, k
    the shift of the DCM by every touchdown, however long the step is.

    Args:
        width: stance width W_s [m].
        shift: a_0 [m].
        kick: k [m].
        template: a tensor of the device and dtype to compute on.
    """

    def __init__(self, width: float, shift: float, kick: float, template: Tensor) -> None:
        self._poles = template.new_tensor([[0.0], [2.0]])  # E - 1 and E + 1 seen from E - 1
        # of pivot, rest and rest_end: what they are for E to infinity, and what comes by 1 / (E -+ 1); (3, 2, 1) each
        self._far = template.new_tensor([[-shift, 0.0], [-shift, 0.0], [-shift, -width]]).unsqueeze(-1)
        self._near = template.new_tensor([[-kick, 0.0], [-kick, width], [-kick, width]]).unsqueeze(-1)

    def __call__(self, omega: Tensor, duration: Tensor) -> PeriodicGait:
        """Gaits of robots with a natural frequency (N,) [rad/s] and a step duration (N,) [s]."""
        growth = (omega * duration).expm1()  # E - 1
        pivot, rest, rest_end = self._far + self._near / (growth + self._poles)
        per_speed = duration / growth
        return PeriodicGait(pivot, rest, rest_end, per_speed, per_speed + duration)


@dataclass(frozen=True)
class PeriodicGait:
    """Periodic gaits of robots that differ in velocity only; see `GaitFamily`."""

    pivot: Tensor
    """Point r from which the DCM diverges, relative to the stance foot (2, N) [m]."""
    rest: Tensor
    """Offset b of stepping in place (2, N) [m]."""
    rest_end: Tensor
    """DCM of that gait when the next foot lands (2, N) [m]."""
    per_speed: Tensor
    """T / (E - 1), the change of b per velocity (N,) [s]."""
    per_speed_end: Tensor
    """T E / (E - 1) (N,) [s]."""

    def offset(self, velocity: Tensor) -> Tensor:
        """DCM offset b at touchdown (2, N) [m] of the gait with a velocity (2, N) [m/s]."""
        return self.rest + velocity * self.per_speed

    def velocity(self, xi_end: Tensor) -> Tensor:
        """Velocity (2, N) [m/s] of the gait that the present motion belongs to.

        Unlike a filtered CoM velocity it does not lag and does not sway with the steps.

        Args:
            xi_end: DCM previewed at touchdown relative to the stance foot (2, N) [m].
        """
        return (xi_end - self.rest_end) / self.per_speed_end


def rotate(vector: Tensor, angle: Tensor) -> Tensor:
    """Turns a horizontal vector (2, N) by an angle (N,) [rad]."""
    x, y = vector.unbind()
    return vector * angle.cos() + torch.stack((-y, x)) * angle.sin()


def capture_radius(reach: Tensor | float, omega: Tensor, duration: Tensor) -> Tensor:
    """d_cap = L_max e^(-omega T): the largest |xi - p| at touchdown from which the next step still captures.

    After a step of duration T the DCM is at e^(omega T) d from the stance foot; a foot that reaches L_max can be put
    on it if that is not farther (one-step capturability, Koolen et al., IJRR 2012).

    Args:
        reach: longest step L_max [m].
        omega: natural frequency (N,) [rad/s].
        duration: step duration T (N,) [s].

    Returns:
        d_cap (N,) [m].
    """
    return reach * (-omega * duration).exp()
