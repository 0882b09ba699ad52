"""Tasks by name: from a command line to an environment and a runner, as in legged_gym.

A task is registered where its classes live (`legged_gym/envs/__init__.py`); the registry knows none of them. Everything
the user may have got wrong is checked in `cfgs_from_args`, before anything is built or written.
"""

import argparse
import copy
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from legged_gym.utils import machine, runs
from legged_gym.utils.checkpoint import load_checked
from legged_gym.utils.cli import apply_args
from legged_gym.utils.config import Config, load_json, save_json
from legged_gym.utils.errors import UserError, unknown_name
from legged_gym.utils.limits import check_run
from legged_gym.utils.run_setup import (
    apply_scale,
    choose_devices,
    robot_name,
    settle_robot,
    settle_sim,
    summary,
)

_OF_THE_RUN = ("resume", "load_run", "checkpoint", "run_name", "max_iterations", "experiment_name")
"""Fields of `train_cfg.runner` that say what one run does; a resumed run does not inherit them."""


@dataclass(frozen=True)
class _Task:
    """What a name stands for."""

    env_class: Callable[..., Any]
    env_cfg_factory: Callable[[], Any]
    train_cfg_factory: Callable[[], Any]
    runner_class: Callable[..., Any] | None


class TaskRegistry:
    """The tasks there are."""

    def __init__(self) -> None:
        self._tasks: dict[str, _Task] = {}

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
            name: What `--task` takes.
            env_class: Called as `env_class(env_cfg, sim_device, headless)`.
            env_cfg_factory: Makes the environment's config, e.g. the config class.
            train_cfg_factory: Makes the training config.
            runner_class: Called as `runner_class(env, train_cfg, log_dir, device)`; None for the package's runner.

        Raises:
            ValueError: The name is taken.
        """
        if name in self._tasks:
            raise ValueError(f"task '{name}' is registered already")
        self._tasks[name] = _Task(env_class, env_cfg_factory, train_cfg_factory, runner_class)

    def names(self) -> list[str]:
        """Returns the names of all tasks."""
        return sorted(self._tasks)

    def _task(self, name: str) -> _Task:
        if name not in self._tasks:
            raise UserError(unknown_name("task", name, self._tasks))
        return self._tasks[name]

    def get_cfgs(self, name: str, run_dir: Path | None = None) -> tuple[Any, Any]:
        """Returns fresh configs of a task.

        Args:
            name: The task.
            run_dir: A run whose own configs are wanted instead of the defaults.

        Returns:
            Environment config and training config, shared with nobody.

        Raises:
            UserError: The task is unknown, or a config of the run cannot be read.
        """
        task = self._task(name)
        # Deep copies: a factory may be a function that hands out one and the same object.
        env_cfg, train_cfg = copy.deepcopy(task.env_cfg_factory()), copy.deepcopy(task.train_cfg_factory())
        if run_dir is not None:
            env_cfg = load_json(type(env_cfg), run_dir / "env_cfg.json")
            train_cfg = load_json(type(train_cfg), run_dir / "train_cfg.json")
        return env_cfg, train_cfg

    def cfgs_from_args(self, args: argparse.Namespace) -> tuple[Any, Any]:
        """Builds the configs of a training run: the machine's or the resumed run's, then the user's options on top.

        Prints what was chosen.

        Args:
            args: From `cli.parse_args`; devices, and the run and checkpoint to resume, are filled in.

        Returns:
            Environment config and training config, checked.

        Raises:
            UserError: Anything that would stop the run later.
        """
        here = machine.detect()
        choose_devices(args, here)
        env_cfg, train_cfg = self.get_cfgs(args.task)
        apply_args(args, env_cfg, train_cfg)
        settle_sim(args, env_cfg, here)
        apply_scale(env_cfg, train_cfg, machine.suggest(here, args.sim_device))
        env_cfg.settle()
        apply_args(args, env_cfg, train_cfg)  # again: what the user says goes before all that
        if train_cfg.runner.resume:
            checkpoint = find_checkpoint(env_cfg, train_cfg)
            load_checked(checkpoint)
            args.load_run, args.checkpoint = str(checkpoint.parent), runs.iteration(checkpoint)
            env_cfg, train_cfg = self._resumed_cfgs(args, train_cfg, checkpoint.parent)
        elif args.load_run not in (None, "-1") or args.checkpoint not in (None, -1):
            raise UserError("--load_run and --checkpoint say where to go on from: they need --resume")
        runs.check_name("--experiment_name", train_cfg.runner.experiment_name)
        runs.check_name("--run_name", train_cfg.runner.run_name, may_be_empty=True)
        settle_sim(args, env_cfg, here)
        settle_robot(env_cfg)
        check_run(env_cfg, train_cfg, here, args.sim_device)
        print(summary(here, args, env_cfg, train_cfg))
        return env_cfg, train_cfg

    def _resumed_cfgs(self, args: argparse.Namespace, train_cfg: Any, run_dir: Path) -> tuple[Any, Any]:
        """Returns the configs of a run that is resumed, with the options of the new command line on top."""
        env_cfg, old_train_cfg = self.get_cfgs(args.task, run_dir)
        for name in _OF_THE_RUN:
            setattr(old_train_cfg.runner, name, getattr(train_cfg.runner, name))
        apply_args(args, env_cfg, old_train_cfg)
        return env_cfg, old_train_cfg

    def make_env(
        self, name: str, args: argparse.Namespace | None = None, env_cfg: Any | None = None
    ) -> tuple[Any, Any]:
        """Builds the environment of a task.

        Args:
            name: The task.
            args: Command line; its options are put into the config, `headless` is used, `sim_device` filled in.
            env_cfg: The config; the task's own if None.

        Returns:
            The environment and its config.

        Raises:
            UserError: The task, an option, the robot or the display is not there.
        """
        task = self._task(name)
        default_cfg, train_cfg = self.get_cfgs(name)
        env_cfg = default_cfg if env_cfg is None else env_cfg
        if args is None:
            return task.env_class(env_cfg, "cpu", True), env_cfg
        apply_args(args, env_cfg, train_cfg)
        settle_sim(args, env_cfg, machine.detect())
        settle_robot(env_cfg)
        return task.env_class(env_cfg, args.sim_device, args.headless), env_cfg

    def make_alg_runner(
        self,
        env: Any,
        name: str,
        args: argparse.Namespace | None = None,
        train_cfg: Any | None = None,
        log_root: str | Path | None = "default",
    ) -> tuple[Any, Any]:
        """Builds the runner of a task, loads the checkpoint to resume, and makes the run's directory with both configs.

        Args:
            env: The environment, with its config as `env.cfg`.
            name: The task.
            args: Command line; its options are put into the config.
            train_cfg: The config; the task's own if None.
            log_root: Folder of `<experiment_name>/<ROBOT_TYPE>/<run>`; "default" for logs/, None to write nothing.

        Returns:
            The runner and its config.

        Raises:
            UserError: The task, an option or the checkpoint to resume is not there.
        """
        task = self._task(name)
        default_env_cfg, default_cfg = self.get_cfgs(name)
        train_cfg = default_cfg if train_cfg is None else train_cfg
        if args is not None:
            apply_args(args, default_env_cfg, train_cfg)
        root = runs.logs_root() if log_root == "default" else log_root
        checkpoint = find_checkpoint(env.cfg, train_cfg, root) if train_cfg.runner.resume else None
        log_dir = None
        if root is not None and os.environ.get("RANK", "0") == "0":  # of torchrun's processes, the first one writes
            parent = Path(root) / train_cfg.runner.experiment_name / robot_name(env.cfg)
            log_dir = runs.new_run_dir(parent, train_cfg.runner.run_name)
        device = (args.rl_device if args is not None else None) or "cpu"
        try:
            runner = (task.runner_class or _runner_class())(env, train_cfg, log_dir and str(log_dir), device)
            if checkpoint is not None:
                _load(runner, checkpoint)
        except BaseException:
            runs.remove_if_empty(log_dir)
            raise
        if log_dir is not None:
            save_json(env.cfg, log_dir / "env_cfg.json")
            save_json(train_cfg, log_dir / "train_cfg.json")
        return runner, train_cfg


def _runner_class() -> Callable[..., Any]:
    """Returns the package's runner; imported late, so that configs can be had without the learning code."""
    from legged_gym.runners.on_policy_runner import OnPolicyRunner

    return OnPolicyRunner


def _load(runner: Any, checkpoint: Path) -> None:
    """Loads a checkpoint into a runner; one that does not fit is the user's mistake, not a bug."""
    print(f"Going on from {checkpoint}")
    try:
        runner.load(str(checkpoint))
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{checkpoint}: does not fit this task, its networks or its config ({reason})") from error


def find_checkpoint(env_cfg: Any, train_cfg: Any, log_root: str | Path | None = None) -> Path:
    """Finds the checkpoint that `train_cfg.runner.load_run` and `.checkpoint` name, for the config's robot.

    Args:
        env_cfg: Says which robot.
        train_cfg: Says which experiment, run and iteration.
        log_root: Folder of the experiments; logs/ if None.

    Returns:
        The file, which exists.

    Raises:
        UserError: There is none; lists what there is.
    """
    runner = train_cfg.runner
    parent = Path(log_root or runs.logs_root()) / runner.experiment_name
    if not runs.is_path(runner.load_run):
        parent /= robot_name(env_cfg)
    return runs.find_checkpoint(parent, runner.load_run, runner.checkpoint)


task_registry = TaskRegistry()
"""The package's tasks."""
