"""Linear inverted pendulum and divergent component of motion: pure functions on tensors of any shape.

Symbols: c CoM, p stance point, xi DCM, omega natural frequency, T step duration. All functions are differentiable and
work in any horizontal frame. Components come first: points are (2, N), omega and times (N,), so that they broadcast.

Sources: Kajita et al., "The 3D linear inverted pendulum mode", IROS 2001; Englsberger, Ott and Albu-Schaeffer,
"Three-dimensional bipedal walking control based on divergent component of motion", T-RO 2015; Khadiv et al.,
"Walking control based on step timing adaptation", T-RO 2020.
"""

from __future__ import annotations

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
    return pivot + (omega * time).exp() * (xi - pivot)


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


def nominal_offset(velocity: Tensor, width: Tensor | float, omega: Tensor, duration: Tensor) -> Tensor:
    """DCM offset b at touchdown of the periodic gait with this velocity (Khadiv 2020, eqs. 9-10).

    b_x = v_x T / (E - 1),  b_y = v_y T / (E - 1) + W_s / (E + 1),  E = e^(omega T), in the mirrored heading frame,
    where y points to the stance side (left when the left foot is stance).

    Args:
        velocity: (2, N) [m/s].
        width: stance width W_s [m].
        omega: natural frequency (N,) [rad/s].
        duration: step duration T (N,) [s].

    Returns:
        b (2, N) [m].
    """
    growth = (omega * duration).exp()
    x, y = (velocity * (duration / (growth - 1.0))).unbind()
    return torch.stack((x, y + width / (growth + 1.0)))


def gait_velocity(reach: Tensor, width: Tensor | float, omega: Tensor, duration: Tensor) -> Tensor:
    """Velocity of the periodic gait that the present motion belongs to.

    In the periodic gait the DCM at touchdown is at xi_T - p = b + (step) = v T E / (E - 1) - (0, W_s E / (E + 1)) from
    the stance foot (mirrored heading frame); solved for v. Unlike a filtered CoM velocity it does not lag and does not
    sway with the steps.

    Args:
        reach: previewed xi_T - p (2, N) [m].
        width: stance width W_s [m].
        omega: natural frequency (N,) [rad/s].
        duration: step duration T (N,) [s].

    Returns:
        v (2, N) [m/s].
    """
    growth = (omega * duration).exp()
    x, y = reach.unbind()
    return torch.stack((x, y + width * growth / (growth + 1.0))) * ((growth - 1.0) / (duration * growth))


def rotate(vector: Tensor, angle: Tensor) -> Tensor:
    """Turns a horizontal vector (2, N) by an angle (N,) [rad]."""
    cos, sin = angle.cos(), angle.sin()
    x, y = vector.unbind()
    return torch.stack((cos * x - sin * y, sin * x + cos * y))


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
