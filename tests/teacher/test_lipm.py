"""Laws of the linear inverted pendulum and of the stepping law."""

from __future__ import annotations

import math

import pytest
import torch

from legged_gym.teacher import lipm

N = 7


@pytest.fixture
def motion() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        "com": torch.randn(2, N, dtype=torch.float64) * 0.1,
        "com_vel": torch.randn(2, N, dtype=torch.float64) * 0.5,
        "pivot": torch.randn(2, N, dtype=torch.float64) * 0.1,
        "omega": 3.5 + torch.rand(N, dtype=torch.float64),
    }


def textbook_com(
    com: torch.Tensor, com_vel: torch.Tensor, pivot: torch.Tensor, omega: torch.Tensor, time: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Position and velocity of a pendulum's CoM: c(t) = p + (c - p) cosh(omega t) + c_dot / omega sinh(omega t)."""
    cosh, sinh = torch.cosh(omega * time), torch.sinh(omega * time)
    rel = com - pivot
    return pivot + rel * cosh + com_vel * (sinh / omega), omega * rel * sinh + com_vel * cosh


def gaits(width: float, shift: float = 0.0, kick: float = 0.0) -> lipm.GaitFamily:
    return lipm.GaitFamily(width, shift, kick, torch.zeros((), dtype=torch.float64))


def test_dcm_motion_is_a_semigroup(motion: dict[str, torch.Tensor]) -> None:
    t1, t2 = torch.tensor(0.07, dtype=torch.float64), torch.tensor(0.13, dtype=torch.float64)
    xi = lipm.dcm(motion["com"], motion["com_vel"], motion["omega"])
    half = lipm.propagate_dcm(xi, motion["pivot"], motion["omega"], t1)
    torch.testing.assert_close(
        lipm.propagate_dcm(half, motion["pivot"], motion["omega"], t2),
        lipm.propagate_dcm(xi, motion["pivot"], motion["omega"], t1 + t2),
    )


def test_dcm_diverges_from_the_stance_point(motion: dict[str, torch.Tensor]) -> None:
    xi = lipm.dcm(motion["com"], motion["com_vel"], motion["omega"])
    step = torch.tensor(1e-5, dtype=torch.float64)
    ahead, behind = (lipm.propagate_dcm(xi, motion["pivot"], motion["omega"], t) for t in (step, -step))
    rate = motion["omega"] * (xi - motion["pivot"])  # xi_dot = omega (xi - p)
    torch.testing.assert_close((ahead - behind) / (2 * step), rate, rtol=1e-6, atol=1e-8)


def test_dcm_is_the_dcm_of_the_moving_com(motion: dict[str, torch.Tensor]) -> None:
    time = torch.tensor(0.2, dtype=torch.float64)
    com, com_vel = textbook_com(**motion, time=time)
    xi = lipm.dcm(motion["com"], motion["com_vel"], motion["omega"])
    xi_later = lipm.propagate_dcm(xi, motion["pivot"], motion["omega"], time)
    torch.testing.assert_close(lipm.dcm(com, com_vel, motion["omega"]), xi_later)


def test_frequency_of_a_falling_robot_is_finite() -> None:
    omega = lipm.natural_frequency(torch.tensor([0.6, 0.0, -1.0, 0.3]))
    torch.testing.assert_close(omega[0].item(), math.sqrt(9.81 / 0.6))
    assert torch.isfinite(omega).all()
    assert omega[1] == omega[2] == omega[3]


def walk(steps: int, velocity: tuple[float, float], width: float, start: tuple[float, float]) -> torch.Tensor:
    """Steps (dx, dy) of the LIP alone under the stepping law, left foot first; frame M is mirrored by hand."""
    omega = lipm.natural_frequency(torch.tensor([0.6], dtype=torch.float64))
    duration = torch.tensor([0.25], dtype=torch.float64)
    com, com_vel = torch.tensor([[start[0]], [start[1]]], dtype=torch.float64), torch.zeros(2, 1, dtype=torch.float64)
    pivot, side, moves = torch.zeros(2, 1, dtype=torch.float64), 1.0, []
    for _ in range(steps):
        mirror = torch.tensor([[1.0], [side]], dtype=torch.float64)
        xi = lipm.propagate_dcm(lipm.dcm(com, com_vel, omega), pivot, omega, duration)
        b = gaits(width)(omega, duration).offset(mirror * torch.tensor([[velocity[0]], [velocity[1]]]))
        target = xi - mirror * b
        com, com_vel = textbook_com(com, com_vel, pivot, omega, duration)
        moves.append(target - pivot)
        pivot, side = target, -side
    return torch.stack(moves).squeeze(-1)


def test_closed_loop_walks_at_the_commanded_velocity() -> None:
    moves = walk(30, (0.5, 0.1), 0.21, (0.02, -0.05))
    # v_x T = 0.125; v_y T +- W_s = 0.025 +- 0.21, to the left after right stance (odd steps)
    torch.testing.assert_close(moves[-1].tolist(), [0.125, 0.235], atol=1e-6, rtol=0)
    torch.testing.assert_close(moves[-2].tolist(), [0.125, -0.185], atol=1e-6, rtol=0)


@pytest.mark.parametrize(("shift", "kick"), [(0.0, 0.0), (0.005, 0.0103)])
def test_periodic_gait_is_a_fixed_point(shift: float, kick: float) -> None:
    omega, duration = torch.tensor([4.0], dtype=torch.float64), torch.tensor([0.25], dtype=torch.float64)
    velocity = torch.tensor([[0.4], [0.0]], dtype=torch.float64)
    gait = gaits(0.2, shift, kick)(omega, duration)
    b = gait.offset(velocity)
    start = torch.stack((b[0], -b[1]))  # of the step before, seen from the landing foot
    end = lipm.propagate_dcm(start, gait.pivot, omega, duration)
    torch.testing.assert_close((end - b).squeeze(-1).tolist(), [0.4 * 0.25, -0.2], atol=1e-9, rtol=0)
    growth = math.exp(4.0 * 0.25) - 1.0
    torch.testing.assert_close(gait.pivot.squeeze(-1).tolist(), [-shift - kick / growth, 0.0], atol=1e-12, rtol=0)


def test_gait_velocity_recognises_the_gait() -> None:
    omega, duration = torch.tensor([4.2], dtype=torch.float64), torch.tensor([0.2], dtype=torch.float64)
    velocity = torch.tensor([[0.7], [-0.2]], dtype=torch.float64)
    gait = gaits(0.16, 0.01, 0.005)(omega, duration)
    step = velocity * duration - torch.tensor([[0.0], [0.16]], dtype=torch.float64)
    torch.testing.assert_close(gait.velocity(gait.offset(velocity) + step), velocity)


def test_capture_radius_is_what_the_next_step_reaches() -> None:
    omega, duration = torch.tensor([4.0], dtype=torch.float64), torch.tensor([0.25], dtype=torch.float64)
    radius = lipm.capture_radius(0.5, omega, duration)
    xi = torch.stack((radius, torch.zeros_like(radius)))
    end = lipm.propagate_dcm(xi, torch.zeros_like(xi), omega, duration)
    torch.testing.assert_close(end.norm().item(), 0.5)


def test_rotate_turns_counter_clockwise() -> None:
    turned = lipm.rotate(torch.tensor([[1.0], [0.0]]), torch.tensor([math.pi / 2]))
    torch.testing.assert_close(turned, torch.tensor([[0.0], [1.0]]), atol=1e-6, rtol=0)
