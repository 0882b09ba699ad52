"""A run of the real task that takes a second."""

from pathlib import Path
from typing import Any

from legged_gym.envs.pointfoot.pointfoot_flat import PointFootFlat
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg, PointFootFlatCfgPPO
from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.utils.config import save_json, set_by_path

SMALL = {
    "env.env.num_envs": 4,
    "env.sim.backend": "mujoco",
    "env.sim.num_threads": 1,
    "env.env.episode_length_s": 1.0,
    "env.curriculum.initial": 1.0,
    "env.terrain.num_rows": 2,
    "env.terrain.num_cols": 4,
    "train.policy.actor_hidden_dims": (16,),
    "train.policy.critic_hidden_dims": (16,),
    "train.estimator.hidden_dims": (16,),
    "train.algorithm.input_scaling": True,
    "train.runner.num_steps_per_env": 16,
    "train.runner.save_seconds": 0.0,
    "train.runner.update_threads": 1,
}


def small_configs(**options: Any) -> tuple[PointFootFlatCfg, PointFootFlatCfgPPO]:
    """Configs of such a run; see `small_run`."""
    env_cfg, train_cfg = PointFootFlatCfg(), PointFootFlatCfgPPO()
    for path, value in (SMALL | options).items():
        scope, _, rest = path.partition(".")
        set_by_path(env_cfg if scope == "env" else train_cfg, rest, str(value))
    return env_cfg, train_cfg


def small_run(folder: Path | None, device: str = "cpu", **options: Any) -> OnPolicyRunner:
    """Build a run of few robots and small networks, with everything that disturbs them at its hardest.

    Args:
        folder: Where it writes, made with its configs; None for nowhere.
        device: Where it learns; physics runs on the CPU.
        options: Config fields, as `env.env.num_envs`.
    """
    env_cfg, train_cfg = small_configs(**options)
    if folder is not None:
        folder.mkdir(parents=True)
        save_json(env_cfg, folder / "env_cfg.json")
        save_json(train_cfg, folder / "train_cfg.json")
    return OnPolicyRunner(PointFootFlat(env_cfg), train_cfg, None if folder is None else str(folder), device)


def whole_and_resumed(folder: Path, before: int, after: int, **options: Any) -> tuple[OnPolicyRunner, OnPolicyRunner]:
    """Train so many iterations without a break, and as many with a checkpoint and a new run in between."""
    whole = small_run(folder / "whole", **options)
    whole.learn(before + after)
    small_run(folder / "first", **options).learn(before)
    second = small_run(folder / "second", **options)
    second.load(str(folder / "first" / f"model_{before}.pt"))
    second.learn(after)
    return whole, second
