"""Options that the user gives on resume override what the checkpoint restores."""

from collections.abc import Callable, Collection
from typing import Any

import torch

from legged_gym.runners.on_policy_runner import OnPolicyRunner
from legged_gym.runners.teachers import load_offset
from legged_gym.utils.distributed import current


def resume(runner: Any, checkpoint: str, train_cfg: Any, said: Collection[str]) -> None:
    """Loads a checkpoint into a runner, except for fields that the user has set.

    Most config fields are in force already, since the runner was built from them. Schedules over the iterations
    (imitation, robots that the teacher drives) go on at the iteration of the run.

    Args:
        runner: Freshly built.
        checkpoint: The file.
        train_cfg: The run's training config.
        said: Config fields that the user has set, as `env.<path>` and `train.<path>`.
    """
    ours = isinstance(runner, OnPolicyRunner)
    fresh = {name: tensor.clone() for name, tensor in runner.env.state_dict().items()} if ours else {}
    runner.load(checkpoint)
    if "train.seed" in said:
        torch.manual_seed(current().own_seed(train_cfg.seed))
    if not ours:
        return  # of a task that brings its own, whose state is unknown here
    for field, act in _ACTIONS.items():
        if field in said:
            act(runner)
    for name in _kept(runner.env.cfg, said) & fresh.keys():
        runner.env.state_dict()[name].copy_(fresh[name])


def _kept(env_cfg: Any, said: Collection[str]) -> set[str]:
    """Returns the parts of an environment's state that stay as the config has made them.

    A curriculum that the user switches on continues from the run's difficulty; one that is switched off leaves the
    task at its hardest.
    """
    kept = set()
    if "env.curriculum.initial" in said or ("env.curriculum.enabled" in said and not env_cfg.curriculum.enabled):
        kept.add("difficulty")
    if "env.terrain.max_init_terrain_level" in said or (
        "env.terrain.curriculum" in said and not env_cfg.terrain.curriculum
    ):
        kept.add("terrain_levels")
    return kept


def _learning_rate(runner: OnPolicyRunner) -> None:
    runner.alg.learning_rate = runner.train_cfg.algorithm.learning_rate


def _schedule(runner: OnPolicyRunner) -> None:
    """Restores the configured rate under a fixed schedule, which may follow an adaptive one."""
    if runner.train_cfg.algorithm.schedule == "fixed":
        _learning_rate(runner)


def _estimator_rate(runner: OnPolicyRunner) -> None:
    _set_rate(runner.alg.estimator_trainer.optimizer, runner.train_cfg.estimator.learning_rate)


def _offset_rate(runner: OnPolicyRunner) -> None:
    if runner.teacher is not None:
        _set_rate(runner.teacher.trainer.optimizer, runner.train_cfg.teacher.dcm.offset.learning_rate)


def _offset_file(runner: OnPolicyRunner) -> None:
    file = runner.train_cfg.teacher.offset_file
    if runner.teacher is not None and file is not None:
        runner.teacher.load_state_dict(load_offset(file, runner.teacher.teacher.network, runner.device, trains=True))


def _noise(runner: OnPolicyRunner) -> None:
    distribution: Any = runner.alg.get_policy().distribution
    with torch.no_grad():
        distribution.std_param.fill_(runner.train_cfg.policy.init_noise_std)


_ACTIONS: dict[str, Callable[[OnPolicyRunner], None]] = {
    "train.algorithm.learning_rate": _learning_rate,
    "train.algorithm.schedule": _schedule,
    "train.estimator.learning_rate": _estimator_rate,
    "train.teacher.offset_file": _offset_file,
    "train.teacher.dcm.offset.learning_rate": _offset_rate,  # after the file, which holds a rate, too
    "train.policy.init_noise_std": _noise,
}
"""Config field -> what puts it in force although a checkpoint holds another value."""


def _set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Sets the learning rate of an optimiser, also where recorded steps read it from a tensor."""
    for group in optimizer.param_groups:
        if isinstance(group["lr"], torch.Tensor):
            group["lr"].fill_(rate)
        else:
            group["lr"] = rate
