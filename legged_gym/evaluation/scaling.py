"""Scaling of training: the first of torchrun's processes alone, and then all of them together."""

import os
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from legged_gym.evaluation import results
from legged_gym.evaluation.speed import measure_iteration, measure_steps, profile_training, warm_runner
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.utils.distributed import joined

SCALED_TIMES = ("rollout_s", "rollout_s_all", "update_s", "update_s_all")


@dataclass(frozen=True)
class Speed:
    """Speed of one process, alone or among others that do the same."""

    env_step: float
    """Policy steps of its robots per second."""
    iteration_s: float
    """Duration of an iteration [s]."""
    update_s: float
    """Duration of its update [s]."""


def measure_speed(spec: RunSpec, repeats: int, iterations: int) -> Speed:
    """Measure `env.step` and training, together with the processes that this one has joined."""
    env = make_env(spec)
    _, (env_step, _) = measure_steps(env, repeats)
    seconds, update_s = measure_iteration(warm_runner(env, spec), iterations)
    env.sim.close()
    return Speed(env_step, statistics.median(seconds), update_s)


def scaling_row(spec: RunSpec, alone: Speed, together: list[Speed]) -> dict[str, Any]:
    """Compare one process with several.

    Args:
        spec: The run.
        alone: The first process by itself.
        together: All processes; an iteration takes as long as in the slowest one.
    """
    robots, size = spec.env_cfg.env.num_envs, len(together)
    slowest = max(together, key=lambda speed: speed.iteration_s)
    steps = spec.train_cfg.runner.num_steps_per_env * robots
    speedup = size * alone.iteration_s / slowest.iteration_s
    return {
        "sim": spec.env_cfg.sim.backend,
        "num_envs": robots,
        "processes": size,
        "env_step": alone.env_step,
        "env_step_all": sum(speed.env_step for speed in together),
        "iteration": steps / alone.iteration_s,
        "iteration_all": size * steps / slowest.iteration_s,
        "speedup": speedup,
        "efficiency": speedup / size,
        "rollout_s": alone.iteration_s - alone.update_s,
        "rollout_s_all": slowest.iteration_s - slowest.update_s,
        "update_s": alone.update_s,
        "update_s_all": slowest.update_s,
    }


def scaling_line(row: dict[str, Any]) -> str:
    """Return a row of the table of `measure_scaling`."""
    cells = [format(row[name], ",.0f") for name in ("env_step", "env_step_all", "iteration", "iteration_all")]
    cells += [format(row[name], ".2f") for name in ("speedup", "efficiency")]
    cells += [format(1e3 * row[name], ".1f") for name in SCALED_TIMES]
    return f"{row['sim']:<14}{row['num_envs']:>8}" + "".join(f"{cell:>14}" for cell in cells)


def measure_scaling(specs: list[RunSpec], repeats: int, iterations: int, profiled: bool) -> list[dict[str, Any]]:
    """Measure the first of the processes that torchrun has started by itself, and then all of them together.

    Args:
        specs: Runs that differ in the number of robots of a process.
        repeats: Blocks of `env.step`.
        iterations: Timed training iterations.
        profiled: Tell where the time of the first process goes among the others.

    Returns:
        A row of the JSON for each.
    """
    first = os.environ["RANK"] == "0"
    alone = [measure_speed(spec, repeats, iterations) for spec in specs if first]  # the others wait in `joined`
    rows = []
    with joined(specs[0].rl_device) as group:
        heads = ["step 1", f"step {group.size}", "iter 1", f"iter {group.size}", "speed-up", "efficiency"]
        heads += [f"{part} {n} ms" for part in ("rollout", "update") for n in (1, group.size)]
        print(f"{'sim':<14}{'robots':>8}" + "".join(f"{head:>14}" for head in heads))
        for k, spec in enumerate(specs):
            own = group.from_first(alone[k] if first else None)
            assert own is not None  # for the type checker
            row = scaling_row(spec, own, group.gather(measure_speed(spec, repeats, iterations)))
            print(scaling_line(row), flush=True)
            if profiled:
                env = make_env(spec)
                found = profile_training(env, spec)
                env.sim.close()
                row["profile"] = found.as_dict()
                print("\n".join(found.lines(f"training iteration, {row['num_envs']} robots each, mean of one:")))
            rows.append(row)
    return rows


def save_scaling(path: Path, spec: RunSpec, rows: list[dict[str, Any]]) -> None:
    """Write how several processes compare with one as figures for the results page."""
    columns = {"one": ("thousand robot-steps/s", 1), "all": ("thousand robot-steps/s", 1), "speed-up": ("times", 2)}
    figures = {
        f"{row['processes']}_gpus_{row['num_envs']}_robots": {
            "one": {"value": row["iteration"] / 1e3},
            "all": {"value": row["iteration_all"] / 1e3},
            "speed-up": {"value": row["speedup"]},
        }
        for row in rows
    }
    gpu = results.gpu_name(spec.sim_device)
    results.save(path, "Training on several", "Speed", columns, figures, "", [spec.env_cfg.seed], gpu)
