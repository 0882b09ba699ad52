"""The tasks as gymnasium environments, for other libraries to train on; needs the extra `gym`.

    gymnasium.make_vec("legged_gym.gym:legged_gym/pointfoot_flat-v0", num_envs=64)
    gymnasium.make("legged_gym.gym:legged_gym/pointfoot_flat-v0")

Importing this module registers every task that `load_tasks` finds. Arrays are numpy's, wherever the simulation runs.
"""

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from legged_gym.options.tasks import load_tasks
from legged_gym.utils.task_registry import task_registry

Array = NDArray[Any]
ACTION_LIMIT = 4.0
"""The task's action for an action of 1 here, in units of `control.action_scale`; long strides reach it."""


class RobotVectorEnv(VectorEnv):
    """N robots of a task as one vector environment.

    A robot whose episode ends starts the next one in the same step, as `metadata` says; its last observation is not
    kept. Time-outs are truncations, falls are terminations.
    """

    def __init__(
        self,
        task: str,
        num_envs: int = 1,
        groups: Sequence[str] = ("policy", "command"),
        device: str = "cpu",
        env_cfg: Any | None = None,
    ) -> None:
        """Build the environment.

        Args:
            task: Name of the task.
            num_envs: Number of robots N.
            groups: Observation groups that are joined to the observation, in this order.
            device: Where physics runs.
            env_cfg: The environment's config; the task's own if None. Its number of robots is set.
        """
        cfg = task_registry.get_cfgs(task)[0] if env_cfg is None else env_cfg
        cfg.env.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_modes": []}
        self.groups = tuple(groups)
        self.env = task_registry.get(task).env_class(cfg, device, True)
        """The task's environment."""
        self.num_envs = num_envs
        self._bound = float(cfg.normalization.clip_observations)
        width = self._observation(self.env.get_observations()).shape[-1]
        self.single_observation_space = Box(-self._bound, self._bound, (width,), np.float32)
        self.single_action_space = Box(-1.0, 1.0, (self.env.num_actions,), np.float32)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start a new episode with every robot.

        Args:
            seed: Seed of all random numbers that follow, those of torch's global generator included.
            options: Not used.

        Returns:
            Observations (N, width), and an empty dict.
        """
        super().reset(seed=seed)
        if seed is not None:
            torch.manual_seed(seed)
        with torch.inference_mode():
            return self._observation(self.env.reset()), {}

    def step(self, actions: Array) -> tuple[Array, Array, Array, Array, dict[str, Any]]:
        """Apply actions for one policy step.

        Args:
            actions: From -1 to 1, else clipped; times `ACTION_LIMIT` they are the task's actions. Shape (N, J).

        Returns:
            Observations (N, width), rewards (N,), terminations (N,), truncations (N,), and an empty dict.
        """
        with torch.inference_mode():
            given = torch.as_tensor(np.asarray(actions), dtype=torch.float32, device=self.env.device)
            chosen = ACTION_LIMIT * given.view(self.num_envs, -1).clamp(-1.0, 1.0)
            obs, reward, done, extras = self.env.step(chosen)
            timed_out = extras["time_outs"].bool()
            ended = [done.bool() & ~timed_out, timed_out]
            terminated, truncated = (flags.cpu().numpy().copy() for flags in ended)
            return self._observation(obs), reward.cpu().numpy().copy(), terminated, truncated, {}

    def close_extras(self, **kwargs: Any) -> None:
        """Close the simulator."""
        self.env.sim.close()

    def _observation(self, obs: Any) -> Array:
        """Join the chosen groups. Shape (N, width)."""
        joined = torch.cat([obs[group] for group in self.groups], dim=-1)
        return joined.clamp(-self._bound, self._bound).cpu().numpy().copy()


class RobotEnv(gymnasium.Env):
    """One robot of a task, for libraries that take no vector environment."""

    def __init__(self, task: str, **options: Any) -> None:
        """Build the environment; see `RobotVectorEnv` for the options."""
        self.metadata: dict[str, Any] = {"render_modes": []}
        self.robots = RobotVectorEnv(task, 1, **options)
        self.observation_space = self.robots.single_observation_space
        self.action_space = self.robots.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Array, dict[str, Any]]:
        """Start a new episode; returns the observation (width,) and an empty dict."""
        super().reset(seed=seed)
        obs, info = self.robots.reset(seed=seed, options=options)
        return obs[0], info

    def step(self, action: Array) -> tuple[Array, float, bool, bool, dict[str, Any]]:
        """Apply an action (J,) from -1 to 1 for one policy step.

        Returns:
            Observation (width,), reward, whether the robot fell, whether time is over, and an empty dict.
        """
        obs, reward, terminated, truncated, info = self.robots.step(action)
        return obs[0], float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def close(self) -> None:
        """Close the simulator; closing again does nothing."""
        self.robots.close()


def make_vector_env(num_envs: int = 1, **options: Any) -> RobotVectorEnv:
    """Build a vector environment; `gymnasium.make_vec` calls this."""
    return RobotVectorEnv(num_envs=num_envs, **options)


def register_tasks() -> None:
    """Register every task with gymnasium, as `legged_gym/<name>-v0`."""
    load_tasks()
    for name in task_registry.names():
        if f"legged_gym/{name}-v0" not in gymnasium.registry:
            gymnasium.register(
                f"legged_gym/{name}-v0",
                entry_point="legged_gym.gym:RobotEnv",
                vector_entry_point="legged_gym.gym:make_vector_env",
                kwargs={"task": name},
            )


register_tasks()
