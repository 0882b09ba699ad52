"""What a row measures, against numbers worked out by hand."""

import math
from typing import Any

import pytest
import torch

from legged_gym.evaluation.metrics import ENDINGS, Histogram, Result, RowMetrics, Sample

STANDING = {
    **{"velocity_y": [[0.0] * 3] * 2, "command": [[0.0] * 3] * 2, "action": [[0.0]] * 2, "torque": [[0.0]] * 2},
    **{"power": [1.0] * 2, "contact": [[True, True]] * 2, "foot_speed": [[0.0] * 2] * 2},
    **{"landing_speed": [[0.0] * 2] * 2, "foot_force": [[0.0] * 2] * 2, "other_contact": [False] * 2},
    **{"legs_touch": [False] * 2, "base_height": [0.7] * 2, "height_share": [1.0] * 2, "tilt": [0.0] * 2},
    **{"position_w": [[0.0] * 2] * 2, "yaw": [0.0] * 2},
}
"""Two robots that stand still."""
EVERYONE = torch.ones(2, dtype=torch.bool)


def sample(**given: Any) -> Sample:
    return Sample(**{name: torch.tensor(value) for name, value in (STANDING | given).items()})


def measure(*steps: Sample, fall: tuple[int, int] | None = None, counting: Any = None) -> Result:
    """One row of two robots; robot `fall[0]` falls in step `fall[1]`."""
    metrics = RowMetrics(1, 2, "cpu")
    for k, each in enumerate(steps):
        fell = torch.tensor([fall == (robot, k) for robot in range(2)])
        metrics.add(each, fell, torch.ones(1, 1, dtype=torch.bool), EVERYONE if counting is None else counting[k])
    return metrics.results(0.02)[0]


def test_power_peaks_per_robot_and_feet_slip_while_they_touch() -> None:
    """Robot 1 falls in the second step; from there on it counts no more."""
    both, one = [[True, True], [False, True]], [[False, False], [True, True]]
    row = measure(
        sample(power=[10.0, 40.0], torque=[[5.0], [20.0]], contact=both, foot_speed=[[0.1, 0.3], [9.0, 0.5]]),
        sample(power=[30.0, 99.0], torque=[[15.0], [99.0]], foot_speed=[[0.2, 0.4], [9.0, 9.0]]),
        sample(power=[20.0, 99.0], torque=[[10.0], [99.0]], contact=one, foot_speed=[[9.0, 9.0], [9.0, 9.0]]),
        fall=(1, 1),
    )
    assert row["survival"] == 0.5
    assert row["peak_power"] == pytest.approx((30.0 + 40.0) / 2)
    assert row["foot_slip"] == pytest.approx((0.1 + 0.3 + 0.2 + 0.4 + 0.5) / 5)
    assert row["torque_rms"] == pytest.approx(((5.0**2 + 15.0**2 + 10.0**2 + 20.0**2) / 4) ** 0.5)


def test_shares_of_steps_with_contacts_that_should_not_be() -> None:
    """Robot 1 falls in the third step: two of its steps count, and four of robot 0's."""
    row = measure(
        sample(other_contact=[True, False], legs_touch=[False, True]),
        sample(other_contact=[False, False], legs_touch=[True, True]),
        sample(other_contact=[False, True], legs_touch=[False, True]),
        sample(other_contact=[True, True], legs_touch=[True, True]),
        fall=(1, 2),
    )
    assert row["other_contacts"] == pytest.approx(2 / 6) and row["legs_touch"] == pytest.approx(4 / 6)


def test_landings_by_hand() -> None:
    """Who comes down from the air lands; who begins on the ground, bounces or has no speed does not."""
    in_air = sample(contact=[[False, True]] * 2, landing_speed=[[0.0, 0.0]] * 2)
    row = measure(
        sample(landing_speed=[[9.0, 9.0]] * 2),  # they begin on the ground
        in_air,
        sample(landing_speed=[[0.4, 7.0], [1.0, 7.0]]),  # left feet land, right ones bounce
        in_air,
        sample(landing_speed=[[0.7, 0.0], [0.0, 0.0]]),  # it touched before this step began
    )
    assert row["touchdown_speed"] == pytest.approx(0.705), "the middle one of 0.4, 0.7 and 1.0, to half a bin"
    assert row["step_rate"] == pytest.approx(4 / 10 / 0.02)


def test_who_has_fallen_lands_no_more() -> None:
    in_air = sample(contact=[[False, True]] * 2)
    landed = sample(landing_speed=[[0.5, 0.0], [0.2, 0.0]])
    assert measure(in_air, landed, fall=(1, 1))["touchdown_speed"] == pytest.approx(0.505)
    assert measure(in_air, landed)["touchdown_speed"] == pytest.approx(0.205)
    assert measure(in_air, in_air)["touchdown_speed"] is None


def test_stance_peaks_by_hand() -> None:
    """The largest force of each stance counts once, when the foot has left the ground; the last ones have not."""
    row = measure(
        sample(foot_force=[[100.0, 50.0], [10.0, 10.0]]),
        sample(foot_force=[[300.0, 60.0], [10.0, 10.0]]),
        sample(foot_force=[[200.0, 999.0], [10.0, 10.0]], contact=[[True, False], [True, True]]),  # 60 is over
        sample(foot_force=[[0.0, 0.0], [10.0, 10.0]], contact=[[False, False], [True, True]]),  # 300 is over
        sample(foot_force=[[0.0, 120.0], [10.0, 10.0]], contact=[[False, True], [True, True]]),
        sample(foot_force=[[0.0, 90.0], [10.0, 10.0]], contact=[[False, True], [True, True]]),
        sample(foot_force=[[0.0, 0.0], [10.0, 10.0]], contact=[[False, False], [True, True]]),  # 120 is over
    )
    assert row["foot_force"] == pytest.approx(122.5), "the middle one of 60, 120 and 300, to half a bin"
    assert measure(sample(foot_force=[[70.0] * 2] * 2))["foot_force"] is None


def test_what_feet_do_is_counted_as_long_as_the_row_lasts() -> None:
    in_air, landed = sample(contact=[[False, True]] * 2), sample(landing_speed=[[0.5, 0.0], [0.2, 0.0]])
    first_only = [EVERYONE, torch.tensor([True, False])]
    stance, over = sample(foot_force=[[100.0] * 2, [20.0] * 2]), sample(contact=[[False] * 2] * 2)
    assert measure(stance, over)["foot_force"] == pytest.approx(22.5)
    assert measure(stance, over, counting=first_only)["foot_force"] == pytest.approx(102.5)
    assert measure(in_air, landed, counting=first_only)["touchdown_speed"] == pytest.approx(0.505)


def test_who_stands_but_not_upright_is_told_apart_from_who_fell() -> None:
    """Of two robots one falls, or it lacks something in the last step of a row shorter than a second."""
    still = sample()
    for given, lacks in (
        ({"height_share": [0.8, 1.0]}, {"ended_low"}),
        ({"tilt": [1.0, 0.0]}, {"ended_tilted"}),
        ({"other_contact": [True, False]}, {"ended_touching"}),
        ({"tilt": [math.nan, 0.0], "other_contact": [True, False]}, {"ended_tilted", "ended_touching"}),
    ):
        for steps in ((still, sample(**given)), (sample(**given), still)):
            row = measure(*steps)
            assert (row["survival"], row["fell"]) == (0.5, 0.0)
            assert {name for name in ENDINGS if row[name] == 0.5} == lacks
            assert {name for name in ENDINGS if row[name] == 0.0} == set(ENDINGS) - lacks
    row = measure(still, sample(tilt=[1.0, 0.0]), fall=(0, 1))
    assert (row["survival"], row["fell"]) == (0.5, 0.5) and not any(row[name] for name in ENDINGS), "who fell, fell"


def test_survivors_of_an_unfinished_row_are_who_has_not_fallen() -> None:
    metrics = RowMetrics(1, 2, "cpu")
    for _ in range(3):
        metrics.add(sample(tilt=[0.0, 1.0]), ~EVERYONE, torch.ones(1, 1, dtype=torch.bool), EVERYONE)
    assert metrics.results(0.02)[0]["survival"] == 0.5
    unfinished = metrics.results(0.02, finished=False)[0]
    assert unfinished["survival"] == 1.0 and set(ENDINGS).isdisjoint(unfinished)


def test_medians_against_sorted_values() -> None:
    """Each row its own, to half a bin; what is beyond the last bin is in it, what is masked is not counted."""
    values = torch.rand(3, 401, generator=torch.Generator().manual_seed(2)) * torch.tensor([[1.0], [4.0], [0.2]])
    histogram, mask = Histogram(4, 500, 0.01, "cpu"), torch.ones(4, 401, dtype=torch.bool)
    mask[1, ::2], mask[3] = False, False
    full = torch.cat((values, torch.zeros(1, 401)))
    for columns in (slice(0, 200), slice(200, 401)):
        histogram.add(full[:, columns], mask[:, columns])
    for row, median in enumerate(histogram.medians()[:3]):
        assert median == pytest.approx(values[row, mask[row]].median().item(), abs=0.0051)
    assert histogram.medians()[3] is None
    few = Histogram(1, 10, 1.0, "cpu")
    few.add(torch.tensor([[2.2, 99.0, torch.nan, 3.7]]), torch.tensor([[True, True, False, True]]))
    assert few.medians() == [3.5]
    few.add(torch.tensor([[50.0, 60.0]]), torch.ones(1, 2, dtype=torch.bool))
    assert few.medians() == [9.5], "the last bin is open"


def test_drifts_are_those_of_who_has_not_fallen() -> None:
    """A heading of more than half a circle is shown as one to the other side, which is no turn."""
    metrics = RowMetrics(2, 1, "cpu")
    for k in range(3):
        yaw = 3.1 + 0.05 * k - (2.0 * math.pi if k else 0.0)
        moved = sample(position_w=[[1.0 + 0.3 * k, 2.0 - 0.4 * k], [0.0, 5.0 * k]], yaw=[yaw, 0.1 * k])
        fell = torch.tensor([False, k == 1])
        metrics.add(moved, fell, torch.ones(2, 1, dtype=torch.bool), EVERYONE)
    first, second = metrics.drifts()
    assert first == {"drift": pytest.approx(1.0, abs=1e-5), "turned": pytest.approx(0.1, abs=1e-5)}
    assert second == {"drift": None, "turned": None}
