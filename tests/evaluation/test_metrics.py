"""What a row measures, against numbers worked out by hand."""

import pytest
import torch

from legged_gym.evaluation.metrics import RowMetrics, Sample


def sample(power: list[float], contact: list[list[bool]], foot_speed: list[list[float]]) -> Sample:
    """Two robots that stand still, with one joint at 2 rad/s whose torque makes up the power [W]."""
    return Sample(
        velocity_y=torch.zeros(2, 3),
        command=torch.zeros(2, 3),
        action=torch.zeros(2, 1),
        torque=-0.5 * torch.tensor(power).unsqueeze(-1),
        joint_vel=torch.full((2, 1), 2.0),
        contact=torch.tensor(contact),
        foot_speed=torch.tensor(foot_speed),
        base_height=torch.full((2,), 0.7),
    )


def test_power_peaks_per_robot_and_feet_slip_while_they_touch() -> None:
    """Robot 1 falls in the second step; from there on it counts no more."""
    metrics, everyone = RowMetrics(1, 2, "cpu"), torch.ones(2, dtype=torch.bool)
    steps = (
        sample([10.0, 40.0], [[True, True], [False, True]], [[0.1, 0.3], [9.0, 0.5]]),
        sample([30.0, 99.0], [[True, True], [True, True]], [[0.2, 0.4], [9.0, 9.0]]),
        sample([20.0, 99.0], [[False, False], [True, True]], [[9.0, 9.0], [9.0, 9.0]]),
    )
    for k, each in enumerate(steps):
        fell = torch.tensor([False, k == 1])
        metrics.add(each, fell, torch.ones(1, 1, dtype=torch.bool), everyone)
    (row,) = metrics.results(0.02)
    assert row["survival"] == 0.5
    assert row["peak_power"] == pytest.approx((30.0 + 40.0) / 2)
    assert row["foot_slip"] == pytest.approx((0.1 + 0.3 + 0.2 + 0.4 + 0.5) / 5)
    assert row["torque_rms"] == pytest.approx(((5.0**2 + 15.0**2 + 10.0**2 + 20.0**2) / 4) ** 0.5)
