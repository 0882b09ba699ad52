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
    return torch.addcdiv(com, com_vel, omega)


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


def propagate_com(com: Tensor, com_vel: Tensor, pivot: Tensor, omega: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
    """CoM within a step: c(t) = p + (c - p) cosh(omega t) + (c_dot / omega) sinh(omega t) (Kajita 2001).

    Args:
        com: c (2, N) [m].
        com_vel: c_dot (2, N) [m/s].
        pivot: stance point p (2, N) [m].
        omega: natural frequency (N,) [rad/s].
        time: time ahead (N,) [s].

    Returns:
        CoM (2, N) [m] and its velocity (2, N) [m/s] at that time.
    """
    cosh, sinh = torch.cosh(omega * time), torch.sinh(omega * time)
    rel = com - pivot
    return pivot + rel * cosh + com_vel * (sinh / omega), omega * rel * sinh + com_vel * cosh


def com_velocity(com: Tensor, xi: Tensor, omega: Tensor) -> Tensor:
    """c_dot = omega (xi - c): the CoM follows the DCM (Englsberger 2015, eq. 5). Returns (2, N) [m/s]."""
    return omega * (xi - com)


@dataclass(frozen=True)
class PeriodicGait:
    """Periodic gaits of one step duration and stance width, in the mirrored heading frame.

    There y points to the stance side (left when the left foot is stance), and with E = e^(omega T) the DCM is at
    b = v T / (E - 1) + (0, W_s / (E + 1)) from the foot that has just landed (Khadiv 2020, eqs. 9-10), and at
    v T E / (E - 1) - (0, W_s E / (E + 1)) from it when the next one does.
    """

    duration: Tensor
    """Step duration T (N,) [s]."""
    width: Tensor | float
    """Stance width W_s [m]."""
    per_speed: Tensor
    """T / (E - 1) (N,) [s]."""
    sway: Tensor
    """W_s / (E + 1) (N,) [m]."""

    @classmethod
    def of(cls, width: Tensor | float, omega: Tensor, duration: Tensor) -> PeriodicGait:
        """Gaits with stance width [m], natural frequency (N,) [rad/s] and step duration (N,) [s]."""
        exponent = omega * duration
        return cls(duration, width, duration / exponent.expm1(), width * torch.sigmoid(-exponent))

    def offset(self, velocity: Tensor) -> Tensor:
        """DCM offset b at touchdown (2, N) [m] of the gait with a velocity (2, N) [m/s]."""
        x, y = (velocity * self.per_speed).unbind()
        return torch.stack((x, y + self.sway))

    def velocity(self, reach: Tensor) -> Tensor:
        """Velocity (2, N) [m/s] of the gait that the present motion belongs to.

        Unlike a filtered CoM velocity it does not lag and does not sway with the steps.

        Args:
            reach: DCM previewed at touchdown relative to the stance foot (2, N) [m].
        """
        x, y = reach.unbind()
        return torch.stack((x, y + (self.width - self.sway))) / (self.per_speed + self.duration)


def nominal_offset(velocity: Tensor, width: Tensor | float, omega: Tensor, duration: Tensor) -> Tensor:
    """DCM offset b at touchdown (2, N) [m] of the periodic gait with this velocity (2, N) [m/s]: `PeriodicGait`."""
    return PeriodicGait.of(width, omega, duration).offset(velocity)


def gait_velocity(reach: Tensor, width: Tensor | float, omega: Tensor, duration: Tensor) -> Tensor:
    """Velocity (2, N) [m/s] of the periodic gait with this previewed DCM (2, N) [m]: `PeriodicGait`."""
    return PeriodicGait.of(width, omega, duration).velocity(reach)


def rotate(vector: Tensor, angle: Tensor) -> Tensor:
    """Turns a horizontal vector (2, N) by an angle (N,) [rad]."""
    x, y = vector.unbind()
    return torch.addcmul(angle.cos() * vector, angle.sin(), torch.stack((-y, x)))


def foothold(xi_end: Tensor, offset: Tensor, correction: Tensor) -> Tensor:
    """p* = xi_T + (delta_xi - b): the stepping law (Khadiv 2020, eq. 7, with the learned correction). (2, N) [m]."""
    return xi_end + correction - offset


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
