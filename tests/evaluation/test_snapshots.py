"""Policies kept along a run."""

import math
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tensordict import TensorDict
from torch import nn

from legged_gym.algorithms.networks import SymmetricMLP
from legged_gym.evaluation.snapshots import (
    SideBySideAgent,
    Snapshots,
    load_snapshots,
    make_policy,
    snapshot_iterations,
)
from legged_gym.utils.mirror import Mirror


def make_actor(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    actor = nn.Module()
    actor.estimator = nn.Sequential(nn.Linear(300, 8), nn.ELU(), nn.Linear(8, 3))
    actor.mlp = nn.Sequential(nn.Linear(36, 16), nn.ELU(), nn.Linear(16, 6))
    return actor


def test_snapshots_are_dense_at_first_and_end_with_the_run() -> None:
    iterations = snapshot_iterations(1000, 30)
    assert iterations[0] == 10 and iterations[-1] == 1000 and len(iterations) <= 31
    gaps = [b - a for a, b in pairwise(iterations)]
    assert gaps == sorted(gaps) and gaps[0] < 3 < 100 < gaps[-1]
    assert snapshot_iterations(3, 40) == [1, 2, 3]


def test_a_snapshot_holds_what_was_spent_and_earned_since_the_last(tmp_path: Path) -> None:
    actor = make_actor(0)
    runner = SimpleNamespace(get_inference_policy=lambda: actor)
    Snapshots(runner, tmp_path, [2, 3, 10])
    for iteration, earned in ((1, 4.0), (2, 6.0), (3, None), (9, 1.0), (10, 3.0)):
        runner.current_learning_iteration = iteration
        scalars = {"Perf/total_steps": 100.0 * iteration, "Perf/total_time": 2.0 * iteration}
        runner.after_iteration(scalars | ({} if earned is None else {"Train/mean_reward": earned}))
    found = load_snapshots(tmp_path)
    assert [(s["iteration"], s["steps"], s["seconds"]) for s in found] == [(2, 200, 4), (3, 300, 6), (10, 1000, 20)]
    assert found[0]["return"] == 5.0 and math.isnan(found[1]["return"]) and found[2]["return"] == 2.0
    assert torch.equal(found[0]["actor_state_dict"]["mlp.0.weight"], actor.mlp[0].weight)


@pytest.mark.parametrize("symmetric", [False, True])
def test_policies_side_by_side_act_as_each_alone(symmetric: bool) -> None:
    actors = [make_actor(seed) for seed in range(3)]
    if symmetric:
        swapped = Mirror(torch.arange(6).roll(3), -torch.ones(6))
        for actor in actors:
            backwards = Mirror(torch.arange(36).flip(0), -torch.ones(36))
            actor.mlp = SymmetricMLP(actor.mlp, clock=7, seen=backwards, given=swapped)
    obs = TensorDict(
        {"history": torch.randn(12, 300), "policy": torch.randn(12, 30), "command": torch.randn(12, 3)}, batch_size=[12]
    )
    with torch.inference_mode():
        agent = SideBySideAgent([make_policy(actors[0], actor.state_dict(), "cpu") for actor in actors])
        actions = agent.act(obs)
        for actor, share, taken in zip(actors, obs.chunk(3), actions.chunk(3), strict=True):
            estimate = actor.estimator(share["history"])
            expected = actor.mlp(torch.cat((estimate, share["policy"], share["command"]), dim=-1))
            assert torch.allclose(taken, expected, atol=1e-5)
