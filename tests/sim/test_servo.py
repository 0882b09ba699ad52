"""The servo law by hand: K_p 40, K_d 2, 80 N m up to 10 rad/s, none left at 20 rad/s."""

import pytest
import torch

from legged_gym.sim.servo import Servo, clamp_target, limit_torque


def make_servo(clamps: bool = True) -> Servo:
    def one(value: float) -> torch.Tensor:
        return torch.tensor([value])

    return Servo(40.0, 2.0, limit=one(80.0), corner_speed=one(10.0), no_load_speed=one(20.0), clamps=clamps)


@pytest.mark.parametrize(
    ("target", "vel", "expected"),
    [
        (2.0, 0.0, 2.0),  # 40 (2 - 0.5) = 60 N m
        (3.0, 0.0, 2.5),  # 80 N m at 0.5 + 2
        (-3.0, 0.0, -1.5),
        (3.0, 4.0, 2.7),  # damping takes 8 N m of what the target may ask
        (-3.0, 4.0, -1.3),
        (3.0, -4.0, 2.3),
    ],
)
def test_targets_are_clamped_so_that_the_pd_torque_stays_within_the_limit(
    target: float, vel: float, expected: float
) -> None:
    given = [torch.tensor([x]) for x in (target, 0.5, vel)]
    assert clamp_target(make_servo(), *given).item() == pytest.approx(expected)
    assert clamp_target(make_servo(clamps=False), *given).item() == target


@pytest.mark.parametrize(
    ("torque", "vel", "expected"),
    [
        (70.0, 0.0, 70.0),
        (90.0, 0.0, 80.0),
        (90.0, 10.0, 80.0),  # the corner
        (90.0, 15.0, 40.0),  # half-way down
        (30.0, 15.0, 30.0),
        (90.0, 20.0, 0.0),
        (90.0, 25.0, 0.0),  # never driven backwards by its limit
        (-90.0, 15.0, -80.0),  # it brakes with all it has
        (-90.0, 25.0, -80.0),
        (-90.0, -15.0, -40.0),
        (90.0, -15.0, 80.0),
    ],
)
def test_motors_lose_torque_with_speed_in_the_direction_of_motion(torque: float, vel: float, expected: float) -> None:
    assert limit_torque(make_servo(), torch.tensor([torque]), torch.tensor([vel])).item() == pytest.approx(expected)
