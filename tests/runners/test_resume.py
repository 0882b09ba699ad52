"""A run that was stopped goes on bit for bit as the one that was not, on the CPU."""

from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.runners.on_policy_runner import OnPolicyRunner
from tests.runners.making import small_run


def state(runner: OnPolicyRunner) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in runner._learned_tensors().items()}


def assert_equal(runner: OnPolicyRunner, other: OnPolicyRunner) -> None:
    mine, theirs = state(runner), state(other)
    assert mine.keys() == theirs.keys()
    assert [name for name in mine if not torch.equal(mine[name], theirs[name])] == []


@pytest.mark.parametrize("profile", ["flat", "mixed"])
def test_resumed_run_is_the_unbroken_one_bit_for_bit(tmp_path: Path, profile: str) -> None:
    options: dict[str, Any] = {"env.terrain.profile": profile, "train.algorithm.imitation.replay_mini_batches": 3}
    whole = small_run(tmp_path / "whole", **options)
    whole.learn(6)
    first = small_run(tmp_path / "first", **options)
    first.learn(4)
    second = small_run(tmp_path / "second", **options)
    second.load(str(tmp_path / "first" / "model_4.pt"))
    second.learn(2)
    assert second.current_learning_iteration == 6
    assert_equal(whole, second)
    assert whole.logger._means == second.logger._means
