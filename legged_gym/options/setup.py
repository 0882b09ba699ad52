"""Builds the environment, runner and folder of a `RunSpec`."""

from pathlib import Path
from typing import Any

from legged_gym.options import runs
from legged_gym.options.spec import RunSpec
from legged_gym.runners.resuming import resume
from legged_gym.utils.config import save_json
from legged_gym.utils.distributed import current
from legged_gym.utils.errors import UserError
from legged_gym.utils.task_registry import task_registry


def make_env(spec: RunSpec, env_cfg: Any | None = None, *, headless: bool | None = None) -> Any:
    """Builds the environment of a run.

    Args:
        spec: The run.
        env_cfg: Another config than the run's own, for the same task on the same device.
        headless: Without a window; as the run says if None.
    """
    env_class = task_registry.get(spec.task).env_class
    cfg = spec.env_cfg if env_cfg is None else env_cfg
    return env_class(cfg, spec.sim_device, spec.headless if headless is None else headless)


def run_parent(spec: RunSpec) -> Path:
    """Returns the folder of the runs of a spec's experiment and robot."""
    return spec.log_root / spec.train_cfg.runner.experiment_name / spec.robot


def make_runner(spec: RunSpec, env: Any, *, write: bool = True) -> Any:
    """Builds the runner of a run that trains, goes on from its checkpoint, and leaves both configs in its new folder.

    Args:
        spec: The run.
        env: The environment.
        write: Make a folder; without one nothing is written and nothing gone on from.

    Returns:
        The runner, `log_dir` its folder or None.

    Raises:
        UserError: The checkpoint does not fit.
    """
    cfg, log_dir = spec.train_cfg, None
    if write and current().first:
        log_dir = runs.new_run_dir(run_parent(spec), cfg.runner.run_name)
    try:
        runner_class = task_registry.get(spec.task).load_runner_class()
        runner = runner_class(env, cfg, log_dir and str(log_dir), spec.rl_device)
        if write and spec.agent is None and spec.checkpoint is not None:
            go_on(runner, spec)
    except BaseException:
        runs.remove_if_empty(log_dir)
        raise
    if log_dir is not None:
        save_json(env.cfg, log_dir / "env_cfg.json")
        save_json(cfg, log_dir / "train_cfg.json")
    return runner


def go_on(runner: Any, spec: RunSpec) -> None:
    """Loads the checkpoint of a run into a runner, except for fields that the user has set.

    Raises:
        UserError: It does not fit: the user's mistake, not a bug.
    """
    print(f"Going on from {spec.checkpoint}")
    try:
        resume(runner, str(spec.checkpoint), spec.train_cfg, spec.said)
    except (RuntimeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{spec.checkpoint}: does not fit this task, its networks or its config ({reason})") from error
