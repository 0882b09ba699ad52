"""benchmarks/offset_limit.py cuts steps where they are, sees them mirrored, and finds what can be foreseen."""

from __future__ import annotations

import pytest
import torch

from benchmarks import offset_limit as limit
from legged_gym.teacher.kinematics import LegGeometry

from .making import MakeObs, make_teacher
from .test_dcm_teacher import mirrored


def test_both_legs_are_seen_alike(geometry: LegGeometry, make_obs: MakeObs) -> None:
    obs = make_obs(16)
    seen = [limit.others(make_teacher(geometry, 16), view) for view in (obs, mirrored(obs))]
    torch.testing.assert_close(*seen)
    assert seen[0].std(0).min() > 1e-6, "nothing is left out"


def test_a_step_goes_from_one_touchdown_to_the_next() -> None:
    numbers = torch.arange(20.0)
    touchdown = torch.zeros(20, 2)
    touchdown[[4, 14], 0] = touchdown[[2, 5, 9, 19], 1] = 1.0
    fresh = torch.zeros(20, 2)
    fresh[0], fresh[7, 1] = 1.0, 1.0
    both = torch.stack((numbers, 100.0 + numbers), dim=-1)
    error = both.unsqueeze(-1).expand(-1, -1, 2)
    walked = limit.Walk(both.unsqueeze(-1), -both.unsqueeze(-1), touchdown, error, both, fresh)
    steps = limit.steps_of(walked, 0.3)
    assert steps.inputs.flatten().tolist() == [7.0, 102.0, 112.0], "none before a first touchdown, none across a reset"
    assert steps.others.flatten().tolist() == [-7.0, -102.0, -112.0] and steps.robot.tolist() == [0, 1, 1]
    assert steps.error[:, 0].tolist() == steps.weight.tolist() == [14.0, 105.0, 119.0]


def test_what_can_be_foreseen_is_found() -> None:
    torch.manual_seed(0)
    cause, chance = torch.randn(2, 6000, 2)
    error = 0.8 * cause.tanh() / cause.tanh().std() + 0.6 * chance
    steps = limit.Steps(cause, cause, error, torch.ones(6000), torch.arange(6000))
    assert limit.left_over(cause, steps, passes=20) == pytest.approx(0.6, abs=0.05)
    assert limit.left_over(torch.randn(6000, 2), steps, passes=20) == pytest.approx(1.0, abs=0.05)
