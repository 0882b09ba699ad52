"""Speed of a run: engine, `env.step` and training iteration, timed in turns or profiled."""

import contextlib
import io
import itertools
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from legged_gym.options.setup import make_runner
from legged_gym.options.spec import RunSpec
from legged_gym.utils import machine
from legged_gym.utils.profiling import Profile, profile

BLOCK = 10
"""Policy steps between two looks at the clock; 0.2 s, in which a robot does not get far without a reset."""
ACTION_NOISE = 0.3
"""Standard deviation of the benchmark's actions."""
PROFILED_STEPS, PROFILED_ITERATIONS = 50, 3
WARM_UP = 4
"""Iterations that are not timed."""


def device_name(sim_device: str) -> str:
    """Name the hardware that physics runs on, and how many cores may be used."""
    if sim_device.startswith("cuda"):
        return torch.cuda.get_device_name(sim_device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {machine.usable_cores()} cores"


def timed(work: Callable[[], None], device: torch.device) -> float:
    """Return how long some work takes, including all it queued on the device [s]."""
    _synchronize(device)
    start = time.perf_counter()
    work()
    _synchronize(device)
    return time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


Rate = tuple[float, float]
"""Median of policy steps per second, and half of what lies between the quartiles."""


def rate(steps: int, seconds: Sequence[float]) -> Rate:
    """Return the rate of a number of steps that took these times, each time [s]."""
    rates = steps / np.array(seconds)
    low, high = np.quantile(rates, (0.25, 0.75))
    return float(np.median(rates)), float(high - low) / 2.0


@torch.inference_mode()
def measure_steps(env: Any, repeats: int) -> tuple[Rate, Rate]:
    """Time the bare engine and `env.step` in turn.

    Args:
        env: The environment.
        repeats: Blocks of each; two more at the start are not counted.

    Returns:
        Of all robots together, for the engine and for the environment.
    """
    generator = torch.Generator().manual_seed(0)
    shape = (env.num_envs, env.num_actions)
    actions = [(ACTION_NOISE * torch.randn(shape, generator=generator)).to(env.device) for _ in range(BLOCK)]

    def env_block() -> None:
        for action in actions:
            env.step(action)

    def engine_block() -> None:
        for _ in actions:
            env.sim.step_engine()

    with machine.torch_threads(1):  # as in training's rollouts
        times = [(timed(engine_block, env.device), timed(env_block, env.device)) for _ in range(repeats + 2)][2:]
    engine, step = (rate(BLOCK * env.num_envs, column) for column in zip(*times, strict=True))
    return engine, step


def warm_runner(env: Any, spec: RunSpec) -> Any:
    """Build a runner past its first iterations, in which it warms up and records its graphs."""
    env.reset()
    runner = make_runner(spec, env, write=False)
    runner.train_cfg.denoising.run_share = 0.0  # iterations are PPO's here, the last ones, too
    with _silence():
        runner.learn(WARM_UP)
    return runner


def measure_iteration(runner: Any, iterations: int) -> tuple[list[float], float]:
    """Time training iterations, each of which ends with a wait for the device.

    Returns:
        Time of each iteration [s], and the median of the updates in them [s].
    """
    ends: list[float] = []
    updates: list[float] = []

    def note(scalars: dict[str, float]) -> None:
        ends.append(time.perf_counter())
        updates.append(scalars["Perf/learning_time"])

    runner.after_iteration = note
    with _silence():
        runner.learn(iterations + 1, False)
    runner.after_iteration = None
    return [b - a for a, b in itertools.pairwise(ends)], statistics.median(updates[1:])


@torch.inference_mode()
def profile_steps(env: Any) -> Profile:
    """Profile `env.step`."""
    action = torch.zeros(env.num_envs, env.num_actions, device=env.device)
    for _ in range(BLOCK):
        env.step(action)
    with machine.torch_threads(1):
        return profile(lambda: env.step(action), PROFILED_STEPS, env.device)


def profile_training(env: Any, spec: RunSpec) -> Profile:
    """Profile training iterations."""
    runner = warm_runner(env, spec)
    with _silence():
        return profile(lambda: runner.learn(1, False), PROFILED_ITERATIONS, env.device)


def _silence() -> contextlib.redirect_stdout[io.StringIO]:
    """Hide the runner's progress lines."""
    return contextlib.redirect_stdout(io.StringIO())
