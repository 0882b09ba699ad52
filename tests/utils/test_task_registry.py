"""Tasks by name."""

from typing import Any

import pytest

from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils.errors import UserError
from legged_gym.utils.task_registry import TaskRegistry
from tests.conftest import DummyCfg, DummyCfgPPO, DummyEnv, DummyRunner


@pytest.fixture
def tasks() -> TaskRegistry:
    registry = TaskRegistry()
    registry.register("dummy", DummyEnv, DummyCfg, DummyCfgPPO, DummyRunner)
    return registry


def test_names(tasks: TaskRegistry) -> None:
    assert tasks.names() == ["dummy"]
    with pytest.raises(ValueError, match="task 'dummy' is registered already"):
        tasks.register("dummy", object, DummyCfg, DummyCfgPPO)
    with pytest.raises(UserError, match=r"unknown task 'dumy'; did you mean 'dummy'\? known: dummy"):
        tasks.get_cfgs("dumy")


def test_configs_are_shared_with_nobody(tasks: TaskRegistry) -> None:
    env_cfg: Any
    env_cfg, train_cfg = tasks.get_cfgs("dummy")
    tasks.register("shared", object, lambda: env_cfg, lambda: train_cfg)
    first, second = tasks.get_cfgs("shared"), tasks.get_cfgs("shared")
    first[0].env.num_envs, first[1].runner.run_name = 99, "changed"
    assert second[0].env.num_envs == env_cfg.env.num_envs == 4 and second[1].runner.run_name == ""


def test_the_runner_is_the_tasks_or_the_packages(tasks: TaskRegistry) -> None:
    tasks.register("plain", object, DummyCfg, DummyCfgPPO)
    assert tasks.get("dummy").load_runner_class() is DummyRunner
    assert tasks.get("plain").load_runner_class() is OnPolicyRunner
