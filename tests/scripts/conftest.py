"""A run of the real task, trained for one iteration with a small network."""

from pathlib import Path

import pytest

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.utils.runs import checkpoints
from legged_gym.utils.task_registry import task_registry


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the run."""
    env_cfg, train_cfg = task_registry.get_cfgs("pointfoot_flat")
    env_cfg.env.num_envs, env_cfg.asset.robot_type, env_cfg.sim.backend = 4, "PF_TRON1A", "mujoco"
    train_cfg.policy.actor_hidden_dims = train_cfg.policy.critic_hidden_dims = (32, 16)
    train_cfg.runner.num_steps_per_env = 4
    env, _ = task_registry.make_env("pointfoot_flat", env_cfg=env_cfg)
    root = tmp_path_factory.mktemp("logs")
    runner, _ = task_registry.make_alg_runner(env, "pointfoot_flat", train_cfg=train_cfg, log_root=root)
    runner.learn(1)
    env.sim.close()
    (run,) = (path for path in root.glob("*/*/*") if checkpoints(path))
    return run
