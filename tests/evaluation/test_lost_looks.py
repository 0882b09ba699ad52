"""When a look at the walking gate is lost, and when a policy is far from walking."""

import math

import pytest
import torch

from legged_gym.evaluation.suites import cannot_walk, far_from_walking

EDGE: dict[str, float | None] = {"n": 64, "survival": 0.96, "rmse_vx": 0.1, "rmse_vy": 0.1, "rmse_wz": 0.1}
UNMEASURED: dict[str, float | None] = {"rmse_vx": None, "rmse_vy": None, "rmse_wz": None}


@pytest.mark.parametrize(
    ("change", "far"),
    [
        ({}, False),
        ({"survival": 0.94}, True),
        ({"rmse_vx": 0.24}, False),
        ({"rmse_vx": 0.26}, True),
        ({"rmse_wz": 0.38}, True),
        (UNMEASURED, False),
    ],
)
def test_what_is_far_from_walking(change: dict[str, float | None], far: bool) -> None:
    assert far_from_walking(EDGE | change) is far


@pytest.mark.parametrize(
    ("change", "seconds", "lost"),
    [
        ({"survival": 0.94}, 1.0, True),
        (UNMEASURED, 1.0, False),
        ({"rmse_vx": 0.28}, 3.0, False),  # 3 x 13.6 % of doubt
        ({"rmse_vx": 0.29}, 3.0, True),
        ({"rmse_vx": 0.24}, 7.0, False),  # the change of command after 5 s has had a third of the time so far
        ({"rmse_vx": 0.26}, 7.0, True),
        ({"rmse_vx": 0.225}, 8.0, False),  # 3 x 4.7 %
        ({"rmse_vx": 0.23}, 8.0, True),
        ({"rmse_vx": 0.23, "n": 16}, 8.0, False),  # fewer robots, twice the doubt
        ({"rmse_wz": 0.32}, 14.0, False),  # 3 x 2.3 %
        ({"rmse_wz": 0.325}, 14.0, True),
        ({"rmse_vy": 0.2001}, 20.0, True),  # nothing is left that could mend it
        ({"rmse_vy": 0.2}, 20.0, False),
    ],
)
def test_a_look_ends_once_it_is_lost(change: dict[str, float | None], seconds: float, lost: bool) -> None:
    assert cannot_walk(EDGE | change, seconds) is lost


def test_doubt_is_the_spread_of_means_of_independent_errors() -> None:
    """What the formula says of n robots after t seconds, found by drawing squares that spread as widely as they are."""
    draws = torch.distributions.Exponential(1.0).sample((20_000, 18, 6))  # 18 s, 6 robots that draw anew each second
    after_5, whole = draws[:, :5].mean((1, 2)).sqrt(), draws.mean((1, 2)).sqrt()
    deviation = 0.5 * math.sqrt(1.0 / 6.0 * (1.0 / 5.0 - 1.0 / 18.0))
    assert (after_5 / whole).std().item() == pytest.approx(deviation, rel=0.1)
