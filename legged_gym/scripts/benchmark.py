"""Measures speed: `python legged_gym/scripts/benchmark.py --sim mujoco --num_envs 512 --json FILE`.

Policy steps per second, summed over robots, of the bare engine (the nominal model of the same robot, the same threads),
of the whole `env.step` under the task's own randomisation, and of a training iteration, with the teacher and without.
Engine and environment take turns in short blocks on the same robots, which twitch around their stand and are set up
again as they fall: both see the same contacts and the same other load on the machine. Medians over the blocks.

`--profile` tells where the time of `env.step` and of an iteration goes, `--starts` how long training takes from the
start of the process to the end of its first iteration, with an empty cache of compiled kernels and with a full one.
"""

import argparse
import contextlib
import copy
import io
import os
import platform
import statistics
import subprocess
import sys
import tempfile
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
from legged_gym.utils.profiling import Profile, profile
from legged_gym.utils.task_registry import apply_scale, choose_devices, task_registry

BLOCK = 10
"""Policy steps between two looks at the clock; 0.2 s, in which a robot does not get far without a reset."""
ACTION_NOISE = 0.3
"""Standard deviation of the benchmark's actions."""
PROFILED_STEPS, PROFILED_ITERATIONS = 50, 3
CACHES = ("WARP_CACHE_PATH", "CUDA_CACHE_PATH", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
"""Environment variables that say where compiled kernels are kept."""
COLUMNS = ("engine", "env_step", "iteration", "no_teacher")
RATIOS = ("env_step_ratio", "iteration_ratio", "teacher_share", "memory_gib")
WARM_UP = 4
"""Iterations that are not timed."""


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
    parser.add_argument("--profile", action="store_true", help="tell where the time goes")
    parser.add_argument("--starts", action="store_true", help="time two starts of train.py, the first without kernels")
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

    with machine.torch_threads(1):  # as in training's rollouts
        times = [(timed(engine_block, env.device), timed(env_block, env.device)) for _ in range(repeats + 2)][2:]
    engine, step = (statistics.median(column) for column in zip(*times, strict=True))
    return BLOCK * env.num_envs / engine, BLOCK * env.num_envs / step


def make_runner(env: Any, args: argparse.Namespace, train_cfg: Any) -> Any:
    """Build a runner that has done its first iterations, in which it warms up and records its graphs."""
    settled = argparse.Namespace(**vars(args) | {"overrides": []})  # they are in the config
    env.reset()
    runner, _ = task_registry.make_alg_runner(env, args.task, settled, train_cfg, log_root=None)
    with _silence():
        runner.learn(WARM_UP)
    return runner


def measure_iteration(runner: Any, iterations: int) -> tuple[float, float]:
    """Time training iterations.

    Returns:
        Median of an iteration [s], and of the update in it [s].
    """
    updates: list[float] = []
    runner.after_iteration = lambda scalars: updates.append(scalars["Perf/learning_time"])
    with _silence():
        durations = [timed(lambda: runner.learn(1, False), runner.env.device) for _ in range(iterations)]
    runner.after_iteration = None
    return statistics.median(durations), statistics.median(updates)


def measure_training(env: Any, args: argparse.Namespace, train_cfg: Any) -> dict[str, Any]:
    """Time iterations with the teacher, if the config has one, and without; see `measure`."""
    steps = train_cfg.runner.num_steps_per_env * env.num_envs
    row: dict[str, Any] = {}
    if train_cfg.teacher.enabled:
        seconds, row["update_s"] = measure_iteration(make_runner(env, args, train_cfg), args.iterations)
        row["iteration"] = steps / seconds
    plain = copy.deepcopy(train_cfg)
    plain.teacher.enabled = False
    seconds, _ = measure_iteration(make_runner(env, args, plain), args.iterations)
    row["no_teacher"] = steps / seconds
    if "iteration" in row:
        row["teacher_share"] = 1.0 - row["iteration"] / row["no_teacher"]
    return row


@torch.inference_mode()
def profile_steps(env: Any) -> Profile:
    """Profile `env.step`."""
    action = torch.zeros(env.num_envs, env.num_actions, device=env.device)
    for _ in range(BLOCK):
        env.step(action)
    with machine.torch_threads(1):
        return profile(lambda: env.step(action), PROFILED_STEPS, env.device)


def profile_training(env: Any, args: argparse.Namespace, train_cfg: Any) -> Profile:
    """Profile training iterations."""
    runner = make_runner(env, args, train_cfg)
    with _silence():
        return profile(lambda: runner.learn(1, False), PROFILED_ITERATIONS, env.device)


def _silence() -> contextlib.redirect_stdout[io.StringIO]:
    """Keep the runner's progress lines to themselves."""
    return contextlib.redirect_stdout(io.StringIO())


def measure_start(args: argparse.Namespace, num_envs: int, scratch: Path) -> float:
    """Time a process of train.py up to the end of its first iteration, its kernels and logs in `scratch` [s].

    Raises:
        UserError: It ended before that.
    """
    command = [sys.executable, str(Path(__file__).with_name("train.py")), f"--task={args.task}", "--headless"]
    command += [f"--num_envs={num_envs}", "--max_iterations=1", f"--log_root={scratch / 'logs'}"]
    named = {name: getattr(args, name) for name in ("sim", "sim_device", "rl_device")}
    command += [f"--{name}={value}" for name, value in named.items() if value is not None]
    command += [f"--{change.scope}.{change.path}={change.text}" for change in args.overrides]
    caches = {name: str(scratch / name) for name in CACHES}
    start, output = time.perf_counter(), []
    with subprocess.Popen(
        command, env=os.environ | caches, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None  # for the type checker
        for line in process.stdout:
            output.append(line)
            if line.startswith("iteration 1/"):
                seconds = time.perf_counter() - start
                process.stdout.read()
                return seconds
    raise UserError(f"train.py ended before its first iteration: {output[-1].strip() if output else 'without a word'}")


def measure_starts(args: argparse.Namespace, num_envs: int) -> dict[str, float]:
    """Time a first start and a second one."""
    with tempfile.TemporaryDirectory() as scratch:
        return {name: measure_start(args, num_envs, Path(scratch)) for name in ("first_start_s", "second_start_s")}


def memory_gib(device: torch.device) -> float:
    """Return the most memory used so far: of the process, or on the GPU, whichever does the physics [GiB]."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return (total - free) / 2**30
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(args: argparse.Namespace, num_envs: int, starts: bool) -> dict[str, Any]:
    """Measure one robot count, and if asked for how long starts take.

    Returns:
        A row of the JSON.
    """
    args.num_envs = num_envs
    env_cfg, train_cfg = task_registry.get_cfgs(args.task)
    apply_scale(env_cfg, train_cfg, machine.suggest(machine.detect(), args.sim_device))
    apply_args(args, env_cfg, train_cfg)
    row: dict[str, Any] = {"sim": resolve_simulator(env_cfg.sim.backend), "num_envs": num_envs}
    if starts:
        row |= measure_starts(args, num_envs)
    env, _ = task_registry.make_env(args.task, args, env_cfg)
    row["engine"], row["env_step"] = measure_steps(env, args.repeats)
    row["env_step_ratio"] = row["env_step"] / row["engine"]
    if args.iterations:
        row |= measure_training(env, args, train_cfg)
        row["iteration_ratio"] = row.get("iteration", row["no_teacher"]) / row["engine"]
    row["memory_gib"] = memory_gib(env.device)
    if args.profile:
        profiles = {"env.step": profile_steps(env), "training iteration": profile_training(env, args, train_cfg)}
        row["profile"] = {name: result.as_dict() for name, result in profiles.items()}
        for name, result in profiles.items():
            print("\n".join(result.lines(f"{name}, {num_envs} robots, mean of one:")))
    env.sim.close()
    return row


def table_line(row: dict[str, Any]) -> str:
    """Return a row of the table; a dash for what was not measured."""
    cells = [format(row[name], ",.0f") if name in row else "-" for name in COLUMNS]
    cells += [format(row[name], ".2f") if name in row else "-" for name in RATIOS]
    cells.append(format(1e3 * row["update_s"], ".0f") if "update_s" in row else "-")
    cells += [format(row[name], ".1f") if name in row else "-" for name in ("first_start_s", "second_start_s")]
    return f"{row['sim']:<14}{row['num_envs']:>8}" + "".join(f"{cell:>12}" for cell in cells)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Measure what the command line asks for, and print a table.

    Returns:
        The JSON's content.
    """
    check_args(args)
    sizes, args.resume = args.num_envs, None
    choose_devices(args, machine.detect())
    content: dict[str, Any] = {"device": device_name(args.sim_device), "rows": []}
    heads = (*COLUMNS, "env/engine", "iter/engine", "teacher", "memory GiB", "update ms", "start 1 s", "start 2 s")
    print(f"{content['device']}; policy steps/s, all robots together")
    print(f"{'sim':<14}{'robots':>8}" + "".join(f"{head:>12}" for head in heads))
    for num_envs in sizes:
        starts = args.starts and num_envs == sizes[0]  # kernels are the same for all of them
        content["rows"].append(measure(args, num_envs, starts))
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
