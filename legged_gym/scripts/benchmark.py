"""Measures speed: `python legged_gym/scripts/benchmark.py --sim mujoco --num_envs 512 --json FILE`.

Policy steps per second, summed over robots, of the bare engine (the nominal model of the same robot, the same threads),
of the whole `env.step` under the task's own randomisation, and of a training iteration, with the teacher and without.
Engine and environment take turns in short blocks on the same robots, which twitch around their stand and are set up
again as they fall: both see the same contacts and the same other load on the machine. Medians over the blocks.

`--profile` tells where the time of `env.step` and of an iteration goes, `--starts` how long training takes from the
start of the process to the end of its first iteration, with an empty cache of compiled kernels and with a full one.

Under `torchrun` it measures how training scales: `env.step` and iteration of the first process alone, while the others
wait, and then of all of them, each with that many robots; `--profile` is of the first one among the others.
"""

import contextlib
import copy
import io
import itertools
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from legged_gym.evaluation import results
from legged_gym.evaluation.report import check_writable, write_json
from legged_gym.options import cli
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import Request, make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env, make_runner
from legged_gym.options.spec import RunSpec
from legged_gym.utils import machine
from legged_gym.utils.distributed import joined, mute_others, started_together
from legged_gym.utils.errors import UserError
from legged_gym.utils.profiling import Profile, profile

BLOCK = 10
"""Policy steps between two looks at the clock; 0.2 s, in which a robot does not get far without a reset."""
ACTION_NOISE = 0.3
"""Standard deviation of the benchmark's actions."""
PROFILED_STEPS, PROFILED_ITERATIONS = 50, 3
CACHES = ("WARP_CACHE_PATH", "CUDA_CACHE_PATH", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
"""Environment variables that say where compiled kernels are kept."""
COLUMNS = ("engine", "env_step", "iteration", "no_teacher")
RATIOS = ("env_step_ratio", "iteration_ratio", "teacher_share", "memory_gib")
SCALED_TIMES = ("rollout_s", "rollout_s_all", "update_s", "update_s_all")
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
    num_envs.type, num_envs.metavar, num_envs.dest = _sizes, "LIST", "sizes"  # runs of their own, not one field's value
    num_envs.help = "robot counts, e.g. 256,512 (default: 512)"
    parser.add_argument("--repeats", type=int, default=20, help="blocks of engine and env.step (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=5, help="timed training iterations (default: %(default)s)")
    parser.add_argument("--profile", action="store_true", help="tell where the time goes")
    parser.add_argument("--starts", action="store_true", help="time two starts of train.py, the first without kernels")
    parser.add_argument("--json", type=cli.path, metavar="FILE", help="write the results here too")
    results.add_option(parser)
    parser.set_defaults(headless=True, sizes=[512])
    return parser


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
    """Build a runner that has done its first iterations, in which it warms up and records its graphs."""
    env.reset()
    runner = make_runner(spec, env, write=False)
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


def measure_training(env: Any, spec: RunSpec, iterations: int) -> dict[str, Any]:
    """Time iterations with the teacher, if the config has one, and without; see `measure`."""
    steps = spec.train_cfg.runner.num_steps_per_env * env.num_envs
    row: dict[str, Any] = {}
    if spec.train_cfg.teacher.enabled:
        seconds, row["update_s"] = measure_iteration(warm_runner(env, spec), iterations)
        row["iteration"], row["iteration_spread"] = rate(steps, seconds)
    plain = copy.deepcopy(spec.train_cfg)
    plain.teacher.enabled = False
    seconds, _ = measure_iteration(warm_runner(env, replace(spec, train_cfg=plain)), iterations)
    row["no_teacher"], row["no_teacher_spread"] = rate(steps, seconds)
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


def profile_training(env: Any, spec: RunSpec) -> Profile:
    """Profile training iterations."""
    runner = warm_runner(env, spec)
    with _silence():
        return profile(lambda: runner.learn(1, False), PROFILED_ITERATIONS, env.device)


def _silence() -> contextlib.redirect_stdout[io.StringIO]:
    """Keep the runner's progress lines to themselves."""
    return contextlib.redirect_stdout(io.StringIO())


def measure_start(request: Request, num_envs: int, scratch: Path) -> float:
    """Time a process of train.py up to the end of its first iteration, its kernels and logs in `scratch` [s].

    Raises:
        UserError: It ended before that.
    """
    command = [sys.executable, str(Path(__file__).with_name("train.py")), f"--task={request.task}", "--headless"]
    command += [f"--import={name}" for name in request.imports]
    devices = {"sim_device": request.sim_device, "rl_device": request.rl_device}
    command += [f"--{name}={value}" for name, value in devices.items() if value is not None]
    command += [f"--{setting.field}={setting.text}" for setting in request.settings]
    command += [f"--num_envs={num_envs}", "--max_iterations=1", f"--log_root={scratch / 'logs'}"]
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


def measure_starts(request: Request, num_envs: int) -> dict[str, float]:
    """Time a first start and a second one."""
    with tempfile.TemporaryDirectory() as scratch:
        return {name: measure_start(request, num_envs, Path(scratch)) for name in ("first_start_s", "second_start_s")}


def memory_gib(device: torch.device) -> float:
    """Return the most memory used so far: of the process, or on the GPU, whichever does the physics [GiB]."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return (total - free) / 2**30
    try:
        import resource
    except ImportError:  # Windows, which says what is used now
        return psutil.Process().memory_info().rss / 2**30
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(spec: RunSpec, repeats: int, iterations: int, profiled: bool = False) -> dict[str, Any]:
    """Measure one robot count.

    Args:
        spec: The run.
        repeats: Blocks of engine and `env.step`.
        iterations: Timed training iterations; 0 for none.
        profiled: Tell where the time goes.

    Returns:
        A row of the JSON.
    """
    num_envs = spec.env_cfg.env.num_envs
    row: dict[str, Any] = {"sim": spec.env_cfg.sim.backend, "num_envs": num_envs}
    env = make_env(spec)
    (row["engine"], row["engine_spread"]), (row["env_step"], row["env_step_spread"]) = measure_steps(env, repeats)
    row["env_step_ratio"] = row["env_step"] / row["engine"]
    if iterations:
        row |= measure_training(env, spec, iterations)
        row["iteration_ratio"] = row.get("iteration", row["no_teacher"]) / row["engine"]
    row["memory_gib"] = memory_gib(env.device)
    if profiled:
        profiles = {"env.step": profile_steps(env), "training iteration": profile_training(env, spec)}
        row["profile"] = {name: result.as_dict() for name, result in profiles.items()}
        for name, result in profiles.items():
            print("\n".join(result.lines(f"{name}, {num_envs} robots, mean of one:")))
    env.sim.close()
    return row


@dataclass(frozen=True)
class Speed:
    """Of one process, which may be among others that do the same."""

    env_step: float
    """Policy steps of its robots per second."""
    iteration_s: float
    """Of an iteration [s]."""
    update_s: float
    """Of the update in it [s]."""


def measure_speed(spec: RunSpec, repeats: int, iterations: int) -> Speed:
    """Measure `env.step` and training, with whom this process has joined."""
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


def resized(spec: RunSpec, num_envs: int) -> RunSpec:
    """Return a run with another number of robots."""
    cfg = copy.deepcopy(spec.env_cfg)
    cfg.env.num_envs = num_envs
    return replace(spec, env_cfg=cfg)


def table_line(row: dict[str, Any]) -> str:
    """Return a row of the table; a dash for what was not measured."""
    cells = [format(row[name], ",.0f") if name in row else "-" for name in COLUMNS]
    cells += [format(row[name], ".2f") if name in row else "-" for name in RATIOS]
    cells.append(format(1e3 * row["update_s"], ".0f") if "update_s" in row else "-")
    cells += [format(row[name], ".1f") if name in row else "-" for name in ("first_start_s", "second_start_s")]
    return f"{row['sim']:<14}{row['num_envs']:>8}" + "".join(f"{cell:>12}" for cell in cells)


def save_result(path: Path, spec: RunSpec, rows: list[dict[str, Any]]) -> None:
    """Write what was measured of one process as figures for the results page."""
    columns = {name: ("thousand robot-steps/s", 1) for name in COLUMNS} | {"memory_gib": ("GiB", 2)}
    figures = {}
    for row in rows:
        rates = {
            name: {"value": row[name] / 1e3, "spread": row[f"{name}_spread"] / 1e3} for name in COLUMNS if name in row
        }
        figures[f"{row['sim']}_{row['num_envs']}_robots"] = rates | {"memory_gib": {"value": row["memory_gib"]}}
    title, spread = "Speed of one process", "half of what lies between the quartiles of blocks, or iterations"
    results.save(path, title, "Speed", columns, figures, spread, [spec.env_cfg.seed], results.gpu_name(spec.sim_device))


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


def main() -> None:
    """Benchmark from the command line."""
    mute_others()
    args = parse_args(make_benchmark_parser())
    for name, least in (("repeats", 1), ("iterations", 0)):
        if getattr(args, name) < least:
            raise UserError(f"--{name}: got {getattr(args, name)}, expected a number >= {least}")
    for file in filter(None, (args.json, args.result)):
        check_writable(file)
    spec = resolve(args.request)
    content: dict[str, Any] = {"device": device_name(spec.sim_device), "rows": []}
    if started_together():
        if args.starts or not args.iterations:
            raise UserError("under torchrun, training is measured: leave out --starts, and --iterations=0")
        print(f"{content['device']}; policy steps/s of one process, and of all together")
        specs = [resized(spec, num_envs) for num_envs in args.sizes]
        content["rows"] = measure_scaling(specs, args.repeats, args.iterations, args.profile)
        if args.json is not None and os.environ["RANK"] == "0":
            write_json(content, args.json)
        if args.result is not None and os.environ["RANK"] == "0":
            save_scaling(args.result, spec, content["rows"])
        return
    heads = (*COLUMNS, "env/engine", "iter/engine", "teacher", "memory GiB", "update ms", "start 1 s", "start 2 s")
    print(f"{content['device']}; policy steps/s, all robots together")
    print(f"{'sim':<14}{'robots':>8}" + "".join(f"{head:>12}" for head in heads))
    for i, num_envs in enumerate(args.sizes):
        starts = (
            measure_starts(args.request, num_envs) if args.starts and i == 0 else {}
        )  # the kernels are all the same
        row = starts | measure(resized(spec, num_envs), args.repeats, args.iterations, args.profile)
        content["rows"].append(row)
        print(table_line(row), flush=True)
    if args.json is not None:
        write_json(content, args.json)
    if args.result is not None:
        save_result(args.result, spec, content["rows"])


if __name__ == "__main__":
    run_main(main)
