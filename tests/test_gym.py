"""The tasks as gymnasium environments: gymnasium's own checker, spaces, ends of episodes, and a training by skrl."""

import importlib.util
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from legged_gym import LEGGED_GYM_ROOT_DIR

gymnasium = pytest.importorskip("gymnasium", reason="needs the extra gym")
NAME = "legged_gym.gym:legged_gym/pointfoot_flat-v0"


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("legged_gym.sim.registry.resolve_simulator", lambda name: "mujoco")


def test_gymnasiums_own_checker_is_content() -> None:
    """Without a warning, but for pictures, which a robot without a window has none of."""
    from gymnasium.utils.env_checker import check_env

    env = gymnasium.make(NAME).unwrapped
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        check_env(env)
    assert [str(w.message) for w in caught if "render" not in str(w.message)] == []
    env.close()
    env.close()


def test_many_robots_are_one_vector_environment() -> None:
    env = gymnasium.make_vec(NAME, num_envs=3)
    assert env.num_envs == 3 and env.metadata["autoreset_mode"] is gymnasium.vector.AutoresetMode.SAME_STEP
    assert env.single_observation_space.shape == (33,) and env.action_space.shape == (3, 6)
    obs, info = env.reset(seed=4)
    assert obs in env.observation_space and info == {}
    again, _ = env.reset(seed=4)
    other, _ = env.reset(seed=5)
    assert np.array_equal(obs, again) and not np.array_equal(obs, other)
    kept = obs.copy()
    obs_2, reward, terminated, truncated, _ = env.step(env.action_space.sample())
    assert np.array_equal(obs, kept), "what was handed out is not written to"
    assert obs_2 in env.observation_space and obs_2.dtype == np.float32
    assert reward.shape == terminated.shape == truncated.shape == (3,)
    assert terminated.dtype == truncated.dtype == bool
    env.close()
    assert env.closed
    env.close()


def test_falls_terminate_and_time_truncates() -> None:
    from legged_gym.gym import RobotVectorEnv
    from legged_gym.utils.task_registry import task_registry

    cfg, _ = task_registry.get_cfgs("pointfoot_flat")
    cfg.env.episode_length_s = 0.1
    env = RobotVectorEnv("pointfoot_flat", 2, env_cfg=cfg)
    env.reset(seed=1)
    ends = [env.step(np.zeros((2, 6)))[2:4] for _ in range(5)]
    assert [truncated.tolist() for _, truncated in ends] == [[False] * 2] * 4 + [[True] * 2]
    assert not any(terminated.any() for terminated, _ in ends)
    cfg.env.episode_length_s, cfg.termination.max_tilt, cfg.termination.tilt_time = 20.0, 0.01, 0.0
    falling = RobotVectorEnv("pointfoot_flat", 2, env_cfg=cfg)
    falling.reset(seed=1)
    ends = [falling.step(np.ones((2, 6)))[2:4] for _ in range(40)]
    assert any(terminated.any() for terminated, _ in ends) and not any(truncated.any() for _, truncated in ends)
    for made in (env, falling):
        made.close()


def test_an_action_of_one_is_the_limit() -> None:
    from legged_gym.gym import ACTION_LIMIT, RobotVectorEnv

    env = RobotVectorEnv("pointfoot_flat", 1, groups=("policy", "command", "velocity"))
    assert env.single_observation_space.shape == (36,)
    seen: list[Any] = []
    step = env.env.step
    env.env.step = lambda actions: seen.append(actions.clone()) or step(actions)
    env.step(np.array([[1.0, -1.0, 0.5, 3.0, 0.0, -2.0]]))
    assert (seen[0][0] / ACTION_LIMIT).tolist() == [1.0, -1.0, 0.5, 1.0, 0.0, -1.0]
    env.close()


def test_skrl_trains_on_it() -> None:
    pytest.importorskip("skrl", reason="needs the extra gym")
    file = LEGGED_GYM_ROOT_DIR / "examples" / "train_skrl.py"
    spec = importlib.util.spec_from_file_location("train_skrl", Path(file))
    assert spec is not None and spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    sys.modules["train_skrl"] = example
    spec.loader.exec_module(example)
    before, after = (example.train("pointfoot_flat", 4, iterations) for iterations in (0, 2))
    changed = [not a.equal(b) for a, b in zip(before.policy.parameters(), after.policy.parameters(), strict=True)]
    assert all(changed) and all(p.isfinite().all() for p in after.policy.parameters())
    assert 0.0 < example.survived(after, "pointfoot_flat", 2, steps=10) <= 10.0
