"""What a checkpoint holds of a run, and how a run takes it over."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from legged_gym.runners.fitting import check_counters, misfit
from legged_gym.utils.checkpoint import SIMULATION, load_checked

if TYPE_CHECKING:
    from legged_gym.runners.on_policy_runner import OnPolicyRunner

MISFITS = (RuntimeError, ValueError, KeyError, TypeError, AttributeError, IndexError, OverflowError)
"""Errors of torch and Python when the content of a checkpoint does not fit."""
NEWEST = "newest_actor_state_dict"
"""Part of a checkpoint: the actor's weights as they were learned last."""
RATE_WITHOUT_MOMENTS = 3e-4
"""Highest learning rate with which training begins from networks that come without an optimiser."""


def checkpoint_of(runner: "OnPolicyRunner", infos: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return networks, optimisers, normalisers, counters and random state.

    The actor in it has the averaged weights; training goes on from the newest ones.
    """
    learned = runner.alg.save()
    checkpoint = learned | {
        "actor_state_dict": runner.averaged.actor.state_dict(),
        NEWEST: learned["actor_state_dict"],
        "iter": runner.current_learning_iteration,
        "first_iteration": runner.first_iteration,
        "denoised_until": runner.denoised_until,
        "infos": infos,
        "env_state": runner.env.state_dict(),
        "teacher_state": None if runner.teacher is None else runner.teacher.state_dict(),
        "rng_state": torch.get_rng_state(),
        **runner.logger.state_dict(),
    }
    if torch.cuda.is_available():
        checkpoint["cuda_rng_state"] = torch.cuda.get_rng_state()
    return checkpoint


def simulation_of(runner: "OnPolicyRunner") -> Callable[[], dict[str, Any]] | None:
    """Return what makes the rest that an exact resume needs, the robots' state and the replayed samples; or None."""

    def simulation() -> dict[str, Any]:
        state = {
            "environment": runner.env.exact_state(),
            "teacher": None if runner.teacher is None else runner.teacher.exact_state(),
            "quarantine": runner.quarantine.exact_state(),
            "replay": runner.alg.replay.state_dict(),
            "logger": runner.logger.exact_state(),
        }
        return {"iter": runner.current_learning_iteration, SIMULATION: state}

    return simulation if _is_exact(runner) else None


def _is_exact(runner: "OnPolicyRunner") -> bool:
    """Whether checkpoints let a run resume bit for bit; never if several processes share the run."""
    asked = runner.train_cfg.runner.exact_resume
    if asked is None:
        asked = {str(runner.device), str(runner.env.device)} == {"cpu"}
    return asked and runner.group.alone and getattr(runner.env, "exact_state", lambda: None)() is not None


def take_over(runner: "OnPolicyRunner", checkpoint: dict[str, Any], load_cfg: dict | None, strict: bool) -> None:
    """Take over what `checkpoint_of` returned; the selection is that of `OnPolicyRunner.load`.

    Raises:
        ValueError: Networks or counters do not fit. What else is damaged raises one of `MISFITS`.
    """
    if load_cfg is None:
        check_counters(checkpoint)
    own = {"actor_state_dict": runner.alg.get_policy().state_dict()}
    if load_cfg is None or load_cfg.get("critic"):
        own["critic_state_dict"] = runner.alg.critic.state_dict()
    if strict and (reason := misfit(checkpoint, own)) is not None:
        raise ValueError(reason)
    averaged = checkpoint["actor_state_dict"]
    newest = {"actor_state_dict": checkpoint.get(NEWEST, averaged)}
    counts = runner.alg.load(checkpoint | newest, load_cfg, strict)
    runner.averaged.load_state_dict(averaged)
    if counts:
        runner.current_learning_iteration = checkpoint["iter"]
    if load_cfg is None:
        runner.env.load_state_dict(checkpoint["env_state"])
        if runner.teacher is not None and checkpoint["teacher_state"] is not None:
            runner.teacher.load_state_dict(checkpoint["teacher_state"])
        runner.logger.load_state_dict(checkpoint)
        runner.first_iteration = checkpoint.get("first_iteration", checkpoint["iter"])
        runner.denoised_until = checkpoint.get("denoised_until", 0)
        torch.set_rng_state(checkpoint["rng_state"].cpu())
        if not runner.group.first:
            torch.manual_seed(runner.group.own_seed(runner.train_cfg.seed, runner.current_learning_iteration))
        elif torch.cuda.is_available() and "cuda_rng_state" in checkpoint:
            torch.cuda.set_rng_state(checkpoint["cuda_rng_state"].cpu())


def begin_from(runner: "OnPolicyRunner", checkpoint: dict[str, Any]) -> None:
    """Take over the networks and the difficulty of a policy that was shipped.

    Schedules continue from the policy's iteration. While the optimiser has no moments, a high learning rate would spoil
    the policy, so an adaptive rate begins low.
    """
    take_over(runner, checkpoint, {"actor": True, "critic": True, "iteration": True}, strict=True)
    runner.env.load_state_dict(checkpoint["env_state"])
    runner.alg.iteration = runner.alg.imitation_clock = runner.first_iteration = runner.current_learning_iteration
    if runner.alg.schedule == "adaptive":
        runner.alg.learning_rate = min(runner.alg.learning_rate, RATE_WITHOUT_MOMENTS)


def take_over_simulation(runner: "OnPolicyRunner", path: Path) -> None:
    """Restore the robots' saved state, if there is one; prints a note if it does not fit."""
    if not _is_exact(runner) or not path.is_file():
        return
    try:
        saved = load_checked(path, runner.device)
        if saved["iter"] != runner.current_learning_iteration:
            raise ValueError(f"it is of iteration {saved['iter']}")
        state = saved[SIMULATION]
        runner.env.load_exact_state(state["environment"])
        if runner.teacher is not None:
            runner.teacher.load_exact_state(state["teacher"])
        runner.quarantine.load_exact_state(state["quarantine"])
        runner.alg.replay.load_state_dict(state["replay"], runner.alg.storage.observations)
        runner.logger.load_exact_state(state["logger"])
    except MISFITS as error:
        runner.env.reset()
        print(f"note: {path.name} does not fit, so all robots begin anew: {' '.join(str(error).split())[:200]}")
        return
    runner.robots_go_on = True
