"""Tasks by name, as in legged_gym: register and look up.

A task is registered where its classes live (`legged_gym/envs/__init__.py`, or a package of the user's); the registry
knows none of them.
"""

import copy
import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from legged_gym.utils.config import Config
from legged_gym.utils.errors import UserError, unknown_name

RUNNER = "legged_gym.runners.on_policy_runner:OnPolicyRunner"
"""The package's runner; imported only when one is made, so that configs can be had without the learning code."""


@dataclass(frozen=True)
class Task:
    """A registered task; see `TaskRegistry.register`."""

    env_class: Callable[..., Any]
    env_cfg_factory: Callable[[], Any]
    train_cfg_factory: Callable[[], Any]
    runner_class: Callable[..., Any] | None = None

    def cfgs(self) -> tuple[Any, Any]:
        """Returns fresh copies of environment config and training config."""
        # Deep copies: a factory may be a function that hands out one and the same object.
        return copy.deepcopy(self.env_cfg_factory()), copy.deepcopy(self.train_cfg_factory())

    def load_runner_class(self) -> Callable[..., Any]:
        """Returns the class of the runner."""
        if self.runner_class is not None:
            return self.runner_class
        module, _, name = RUNNER.partition(":")
        return getattr(importlib.import_module(module), name)


class TaskRegistry:
    """Registry of tasks by name."""

    def __init__(self) -> None:
        self._tasks: dict[str, Task] = {}

    def register(
        self,
        name: str,
        env_class: Callable[..., Any],
        env_cfg_factory: Callable[[], Config],
        train_cfg_factory: Callable[[], Config],
        runner_class: Callable[..., Any] | None = None,
    ) -> None:
        """Adds a task.

        Args:
            name: Its name for `--task`.
            env_class: Called as `env_class(env_cfg, sim_device, headless)`.
            env_cfg_factory: Makes the environment's config, e.g. the config class.
            train_cfg_factory: Makes the training config.
            runner_class: Called as `runner_class(env, train_cfg, log_dir, device)`; None for the package's runner.

        Raises:
            UserError: The name is taken.
        """
        if name in self._tasks:
            raise UserError(f"task '{name}' is registered already: two packages bring a task of that name")
        self._tasks[name] = Task(env_class, env_cfg_factory, train_cfg_factory, runner_class)

    def names(self) -> list[str]:
        """Returns the names of all tasks."""
        return sorted(self._tasks)

    def get(self, name: str) -> Task:
        """Returns a task.

        Raises:
            UserError: There is none of that name; the text lists the known ones.
        """
        if name not in self._tasks:
            raise UserError(unknown_name("task", name, self._tasks))
        return self._tasks[name]

    def get_cfgs(self, name: str) -> tuple[Any, Any]:
        """Returns fresh configs of a task: of the environment, and of training.

        Raises:
            UserError: There is none of that name.
        """
        return self.get(name).cfgs()


task_registry = TaskRegistry()
"""All tasks that were registered in this process."""
