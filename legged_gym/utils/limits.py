"""Checks before anything is built or written: does the run fit the machine, and can it learn?"""

import os
from ctypes.util import find_library
from typing import Any

from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import Machine

ROBOT_BYTES = 260_000
"""Main memory of a robot's model and state, and of what the environment keeps for it [B]; measured with MuJoCo."""
THREAD_BYTES = 2_000_000
"""Main memory of a physics thread [B]."""
OBSERVED = 560
"""Numbers that the rollout stores for a robot in a policy step, without heights and history."""
COPIES = 8
"""Copies of each network parameter: value, gradient, two moments, the backup, and those made by a save."""
PROGRAM_GIB = 0.4
"""Memory that Python, torch and the engine take without robots [GiB]."""
MOST_THREADS_PER_CORE = 16
MUJOCO_GL = {"egl": ("EGL", "libegl1 libgl1-mesa-dri"), "osmesa": ("OSMesa", "libosmesa6")}
"""Value of MUJOCO_GL -> library it loads, and Debian's packages of it."""


def check_run(env_cfg: Any, train_cfg: Any, here: Machine, sim_device: str = "cpu", *, learns: bool = True) -> None:
    """Raise if a run cannot be built on this machine, or would learn nothing.

    Args:
        env_cfg: The environment's config.
        train_cfg: The training config.
        here: The machine's resources.
        sim_device: Where physics runs.
        learns: Whether anything is learned; robots that are only watched may be as few as one.

    Raises:
        UserError: Too few samples for the mini-batches, too many threads, or too little memory for it all.
    """
    if learns:
        _check_samples(env_cfg, train_cfg)
    threads = getattr(env_cfg.sim, "num_threads", 0)
    if threads > MOST_THREADS_PER_CORE * here.cores:
        raise UserError(
            f"--env.sim.num_threads: got {threads}, but there are {here.cores} cores; 0 takes as many as there are"
        )
    needed = estimated_gib(env_cfg, train_cfg, here)
    # A GPU has memory of its own, of another size; here only absurd sizes are refused.
    factor = 1.0 if sim_device == "cpu" else 8.0
    if here.memory_gib and needed > factor * here.memory_gib:
        raise UserError(
            f"this run needs about {needed:,.1f} GiB of memory for {env_cfg.env.num_envs:,} robots, its rollouts and "
            f"its networks; this machine has {here.memory_gib:.1f} GiB: lower --num_envs, "
            "--train.runner.num_steps_per_env or the layers' widths"
        )


def _check_samples(env_cfg: Any, train_cfg: Any) -> None:
    """Raise if a rollout has too few samples for its mini-batches."""
    runner, algorithm = train_cfg.runner, getattr(train_cfg, "algorithm", None)
    if algorithm is None or not hasattr(runner, "num_steps_per_env"):
        return
    samples = env_cfg.env.num_envs * runner.num_steps_per_env
    parts = {
        "--train.algorithm.num_mini_batches": algorithm.num_mini_batches,
        "--train.estimator.num_mini_batches": train_cfg.estimator.num_mini_batches,
    }
    for option, count in parts.items():
        if samples < 2 * count:
            raise UserError(
                f"{option}: {count} mini-batches of {samples} samples (--num_envs={env_cfg.env.num_envs} times "
                f"--train.runner.num_steps_per_env={runner.num_steps_per_env}) are too small to learn from: "
                "a mini-batch needs 2"
            )


def estimated_gib(env_cfg: Any, train_cfg: Any, here: Machine) -> float:
    """Estimate the memory of a run [GiB]: robots, rollout, replay and networks."""
    robots, steps = env_cfg.env.num_envs, getattr(train_cfg.runner, "num_steps_per_env", 0)
    history = 30 * getattr(env_cfg.env, "history_length", 0)
    threads = getattr(env_cfg.sim, "num_threads", 0) or here.cores
    total = robots * (ROBOT_BYTES + 4 * steps * (OBSERVED + 2 * history)) + threads * THREAD_BYTES
    policy, estimator = train_cfg.policy, getattr(train_cfg, "estimator", None)
    for widths in (
        getattr(policy, "actor_hidden_dims", ()),
        getattr(policy, "critic_hidden_dims", ()),
        getattr(estimator, "hidden_dims", ()),
    ):
        layers = (max(OBSERVED, history), *widths)
        total += 4 * COPIES * sum(a * b for a, b in zip(layers, (*widths, 1), strict=True))
    imitation = getattr(getattr(train_cfg, "algorithm", None), "imitation", None)
    if imitation is not None and imitation.replay_mini_batches:
        # As it is kept, as it is saved, and a mini-batch of it with what the networks make of that.
        rows = 2 * max(imitation.replay_samples, robots * steps) + 4 * imitation.replay_batch_size
        total += rows * 4 * (history + 42)
    return PROGRAM_GIB + total / 2**30


def renderer_fault() -> str | None:
    """Say why MuJoCo cannot be imported with the MUJOCO_GL that is set, and what to do; None if it can."""
    value = os.environ.get("MUJOCO_GL", "").lower().strip()
    known = ("", "glfw", "glx", "wgl", "cgl", "off", "disable", "disabled", "0", "1", "on", "enable", "enabled", "true")
    if value in MUJOCO_GL:
        library, packages = MUJOCO_GL[value]
        if find_library(library) is not None:
            return None
        return f"MUJOCO_GL={value}: its library is not here; apt install {packages}, or unset MUJOCO_GL"
    return None if value in (*known, "false") else f"MUJOCO_GL={value}: unknown; known: egl, osmesa, glfw, or unset it"
