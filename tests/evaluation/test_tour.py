from typing import Any

import pytest
import torch

from legged_gym.evaluation.tour import TOUR, TOUR_DURATION, Tour


def test_the_legs_follow_each_other_and_the_push_comes_once(fake_env: type) -> None:
    env: Any = fake_env(num_envs=2)
    tour, captions = Tour(env), []
    for step in range(round(TOUR_DURATION / env.dt)):
        tour.before(step)
        env.step(torch.zeros(2, 6))
        captions.append(tour.caption)
    assert list(dict.fromkeys(captions)) == [leg.caption for leg in TOUR]
    for leg in TOUR:
        assert captions.count(leg.caption) * env.dt == pytest.approx(leg.duration)
        command = env.commands_seen[captions.index(leg.caption)]
        assert torch.equal(command, torch.tensor([leg.command, leg.command]))
    ((step, mask, kick),) = env.sim.pushes
    assert captions[step].startswith("pushed") and not captions[step - 1].startswith("pushed")
    assert mask.all() and kick.norm(dim=-1).tolist() == pytest.approx([0.99, 0.99], abs=0.01)
    tour.before(len(captions))
    assert tour.caption == TOUR[0].caption, "and again"
