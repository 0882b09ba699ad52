"""Measures speed: `python legged_gym/scripts/benchmark.py --sim mujoco --num_envs 512 --json FILE`.

Policy steps per second, summed over robots, of the bare engine (the nominal model of the same robot, the same threads),
of the whole `env.step` under the task's own randomisation, and of a training iteration. Engine and environment take
turns in short blocks on the same robots, which twitch around their stand and are set up again as they fall: both see
the same contacts and the same other load on the machine. Medians over the blocks.
"""

import argparse
import contextlib
import io
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation.report import check_writable, write_json
from legged_gym.sim.registry import resolve_simulator
from legged_gym.utils import machine
from legged_gym.utils.cli import Parser, apply_args, make_parser, parse_args, run_main
from legged_gym.utils.errors import UserError
from legged_gym.utils.task_registry import apply_scale, choose_devices, task_registry

BLOCK = 10
"""Policy steps between two looks at the clock; 0.2 s, in which a robot does not get far without a reset."""
ACTION_NOISE = 0.3
"""Standard deviation of the benchmark's actions."""
COLUMNS = ("engine", "env_step", "iteration")
MAX_MEMORY_GIB = 2.0
MIN_RATIO = 0.75


def _sizes(text: str) -> list[int]:
    """Read a comma-separated list of robot counts."""
    sizes = [int(part) for part in text.split(",")]
    if not all(size > 0 for size in sizes):
        raise ValueError
    return sizes


_sizes.__name__ = "list of robot counts"  # argparse puts it into its message


def make_benchmark_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Measure bare engine, env.step and training iteration.")
    num_envs = next(action for action in parser._actions if action.dest == "num_envs")
    num_envs.type, num_envs.metavar, num_envs.help = _sizes, "LIST", "robot counts, e.g. 256,512 (default: 512)"
    parser.add_argument("--repeats", type=int, default=20, help="blocks of engine and env.step (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=5, help="timed training iterations (default: %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results here too")
    parser.set_defaults(headless=True, num_envs=[512])
    return parser


def check_args(args: argparse.Namespace) -> None:
    """Check this script's own options.

    Raises:
        UserError: A value is not usable.
    """
    for name, least in (("repeats", 1), ("iterations", 0)):
        if getattr(args, name) < least:
            raise UserError(f"--{name}: got {getattr(args, name)}, expected a number >= {least}")
    if args.json is not None:
        check_writable(args.json)


def device_name(sim_device: str) -> str:
    """Name the hardware that physics runs on, and how many cores may be used."""
    if sim_device.startswith("cuda"):
        return torch.cuda.get_device_name(sim_device)
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{names[0] if names else platform.processor() or platform.machine()}, {machine.usable_cores()} cores"


def timed(work: Callable[[], None], device: torch.device) -> float:
    """Return how long some work takes, with everything it put on the device [s]."""
    _synchronize(device)
    start = time.perf_counter()
    work()
    _synchronize(device)
    return time.perf_counter() - start


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@torch.inference_mode()
def measure_steps(env: Any, repeats: int) -> tuple[float, float]:
    """Time the bare engine and `env.step` in turn.

    Args:
        env: The environment.
        repeats: Blocks of each; two more at the start are not counted.

    Returns:
        Policy steps per second, all robots together, of the engine and of the environment.
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

    with machine.one_torch_thread():  # as in training's rollouts
        times = [(timed(engine_block, env.device), timed(env_block, env.device)) for _ in range(repeats + 2)][2:]
    engine, step = (statistics.median(column) for column in zip(*times, strict=True))
    return BLOCK * env.num_envs / engine, BLOCK * env.num_envs / step


def measure_iteration(env: Any, args: argparse.Namespace, train_cfg: Any) -> float | None:
    """Time training iterations; the first one, which warms up, is not counted.

    Returns:
        Policy steps per second, all robots together, of the median iteration; None if none is asked for.
    """
    if args.iterations == 0:
        return None
    env.reset()
    runner, _ = task_registry.make_alg_runner(env, args.task, args, train_cfg, log_root=None)
    with contextlib.redirect_stdout(io.StringIO()):  # the runner's progress lines
        runner.learn(1)
        durations = [timed(lambda: runner.learn(1, False), env.device) for _ in range(args.iterations)]
    return train_cfg.runner.num_steps_per_env * env.num_envs / statistics.median(durations)


def memory_gib(device: torch.device) -> float:
    """Return the most memory used so far: of the process, or on the GPU, whichever does the physics [GiB]."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return (total - free) / 2**30
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(args: argparse.Namespace, num_envs: int) -> dict[str, Any]:
    """Measure one robot count.

    Returns:
        A row of the JSON.
    """
    args.num_envs = num_envs
    env_cfg, train_cfg = task_registry.get_cfgs(args.task)
    apply_scale(env_cfg, train_cfg, machine.suggest(machine.detect(), args.sim_device))
    apply_args(args, env_cfg, train_cfg)
    env, _ = task_registry.make_env(args.task, args, env_cfg)
    engine, step = measure_steps(env, args.repeats)
    iteration = measure_iteration(env, args, train_cfg)
    row = {"sim": resolve_simulator(env_cfg.sim.backend), "num_envs": num_envs}
    row |= {"engine": engine, "env_step": step, "iteration": iteration, "env_step_ratio": step / engine}
    row |= {"iteration_ratio": iteration / engine if iteration else None, "memory_gib": memory_gib(env.device)}
    env.sim.close()
    return row


def table_line(row: dict[str, Any]) -> str:
    """Return a row of the table."""
    speeds = "".join(f"{row[name] or 0.0:>12,.0f}" for name in COLUMNS)
    ratios = "".join(f"{row[name] or 0.0:>12.2f}" for name in ("env_step_ratio", "iteration_ratio", "memory_gib"))
    return f"{row['sim']:<14}{row['num_envs']:>8}{speeds}{ratios}"


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what the command line asks for, and print a table.

    Returns:
        The JSON's content.
    """
    check_args(args)
    sizes, args.resume = args.num_envs, None
    choose_devices(args, machine.detect())
    content: dict[str, Any] = {"device": device_name(args.sim_device), "rows": []}
    heads = (*COLUMNS, "env/engine", "iter/engine", "memory GiB")
    print(f"{content['device']}; policy steps/s, all robots together")
    print(f"{'sim':<14}{'robots':>8}" + "".join(f"{head:>12}" for head in heads))
    for num_envs in sizes:
        content["rows"].append(measure(args, num_envs))
        print(table_line(content["rows"][-1]), flush=True)
    return content


def main() -> None:
    """Benchmark from the command line."""
    args = parse_args(make_benchmark_parser())
    content = run(args)
    if args.json is not None:
        write_json(content, args.json)


if __name__ == "__main__":
    run_main(main)
