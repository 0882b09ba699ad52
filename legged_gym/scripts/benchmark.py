"""Measures speed: `python legged_gym/scripts/benchmark.py --sim mujoco --num_envs 512 --json FILE`.

It measures policy steps per second, summed over robots: of the bare engine (the nominal model of the same robot, the
same threads), of the whole `env.step` under the task's own randomisation, and of a training iteration, with the teacher
and without. Engine and environment take turns in short blocks on the same robots, which twitch around their stand and
are set up again as they fall: both see the same contacts and the same other load on the machine. Results are medians.

`--profile` shows where `env.step` and an iteration spend their time, by kernels or functions, and then where the start
of a run and its iterations do, by stage (`benchmark_stages.py`). `--starts` shows the time from the start of the
process to the end of its first iteration, with an empty cache of compiled kernels and with a full one.

Under `torchrun` it measures how training scales. First `env.step` and iteration run on the first process alone, while
the others wait. Then all processes run, each with that many robots; `--profile` shows the first one of them.
"""

import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import torch

from legged_gym.evaluation import results
from legged_gym.evaluation.report import check_writable, write_json
from legged_gym.evaluation.scaling import measure_scaling, save_scaling
from legged_gym.evaluation.speed import (
    device_name,
    measure_iteration,
    measure_steps,
    profile_steps,
    profile_training,
    rate,
    warm_runner,
)
from legged_gym.evaluation.stages import table
from legged_gym.options import cli
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import Request, make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.utils.distributed import mute_others, started_together
from legged_gym.utils.errors import UserError

STAGES = "benchmark_stages.py"
"""Script that times a training run by stage."""
CACHES = ("WARP_CACHE_PATH", "CUDA_CACHE_PATH", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
"""Environment variables that name the caches of compiled kernels."""
COLUMNS = ("engine", "env_step", "iteration", "no_teacher")
RATIOS = ("env_step_ratio", "iteration_ratio", "teacher_share", "memory_gib")


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
    num_envs.type, num_envs.metavar, num_envs.dest = _sizes, "LIST", "sizes"  # separate runs, not one field's value
    num_envs.help = "robot counts, e.g. 256,512 (default: 512)"
    parser.add_argument("--repeats", type=int, default=20, help="blocks of engine and env.step (default: %(default)s)")
    parser.add_argument("--iterations", type=int, default=5, help="timed training iterations (default: %(default)s)")
    parser.add_argument("--profile", action="store_true", help="tell where the time goes")
    parser.add_argument(
        "--starts", action="store_true", help="time two starts of train.py, the first with no kernels compiled"
    )
    parser.add_argument("--json", type=cli.path, metavar="FILE", help="write the results here too")
    results.add_option(parser)
    parser.set_defaults(headless=True, sizes=[512])
    return parser


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


def training_command(script: str, request: Request, num_envs: int, scratch: Path) -> list[str]:
    """Return the command of a script that trains, with what the user has asked for, its logs in `scratch`."""
    command = [sys.executable, str(Path(__file__).with_name(script)), f"--task={request.task}", "--headless"]
    command += [f"--import={name}" for name in request.imports]
    devices = {"sim_device": request.sim_device, "rl_device": request.rl_device}
    command += [f"--{name}={value}" for name, value in devices.items() if value is not None]
    command += [f"--{setting.field}={setting.text}" for setting in request.settings]
    return [*command, f"--num_envs={num_envs}", f"--log_root={scratch / 'logs'}"]


def measure_stages(request: Request, num_envs: int) -> dict[str, dict[str, float]]:
    """Return the times by stage of a run in a process of its own, see `benchmark_stages.py` [s].

    Raises:
        UserError: The run failed.
    """
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "stages.json"
        command = [*training_command(STAGES, request, num_envs, Path(scratch)), f"--json={file}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().rpartition("\n")[2]
            raise UserError(f"{STAGES} ended with exit code {done.returncode}: {said or 'without a word'}")
        return json.loads(file.read_text())


def measure_start(request: Request, num_envs: int, scratch: Path) -> float:
    """Time a process of train.py up to the end of its first iteration, its kernels and logs in `scratch` [s].

    Raises:
        UserError: The process ended before that.
    """
    command = [*training_command("train.py", request, num_envs, scratch), "--max_iterations=1"]
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
    """Return the most memory used so far: the process's, or the GPU's if that does the physics [GiB]."""
    if device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device)
        return (total - free) / 2**30
    try:
        import resource
    except ImportError:  # Windows, which reports the present use
        return psutil.Process().memory_info().rss / 2**30
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def measure(spec: RunSpec, repeats: int, iterations: int, profiled: bool = False) -> dict[str, Any]:
    """Measure one robot count.

    Args:
        spec: The run.
        repeats: Blocks of engine and `env.step`.
        iterations: Timed training iterations; 0 for none.
        profiled: Whether to measure where the time goes.

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


def resized(spec: RunSpec, num_envs: int) -> RunSpec:
    """Return the run with another number of robots."""
    cfg = copy.deepcopy(spec.env_cfg)
    cfg.env.num_envs = num_envs
    return replace(spec, env_cfg=cfg)


def table_line(row: dict[str, Any]) -> str:
    """Return a row of the table, with dashes for missing measurements."""
    cells = [format(row[name], ",.0f") if name in row else "-" for name in COLUMNS]
    cells += [format(row[name], ".2f") if name in row else "-" for name in RATIOS]
    cells.append(format(1e3 * row["update_s"], ".0f") if "update_s" in row else "-")
    cells += [format(row[name], ".1f") if name in row else "-" for name in ("first_start_s", "second_start_s")]
    return f"{row['sim']:<14}{row['num_envs']:>8}" + "".join(f"{cell:>12}" for cell in cells)


def save_result(path: Path, spec: RunSpec, rows: list[dict[str, Any]]) -> None:
    """Write the measurements of one process as figures for the results page."""
    columns = {name: ("thousand robot-steps/s", 1) for name in COLUMNS} | {"memory_gib": ("GiB", 2)}
    figures = {}
    for row in rows:
        rates = {
            name: {"value": row[name] / 1e3, "spread": row[f"{name}_spread"] / 1e3} for name in COLUMNS if name in row
        }
        figures[f"{row['sim']}_{row['num_envs']}_robots"] = rates | {"memory_gib": {"value": row["memory_gib"]}}
    title, spread = "Speed of one process", "half of what lies between the quartiles of blocks, or iterations"
    results.save(path, title, "Speed", columns, figures, spread, [spec.env_cfg.seed], results.gpu_name(spec.sim_device))


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
            raise UserError("torchrun measures training only: leave out --starts, and give --iterations=1 or more")
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
        if args.profile:
            try:
                row["stages"] = measure_stages(args.request, num_envs)
            except UserError as error:
                print(f"note: no times by stage: {error}")
            for title, seconds in row.get("stages", {}).items():
                print("\n".join(table(title, seconds)))
        content["rows"].append(row)
        print(table_line(row), flush=True)
    if args.json is not None:
        write_json(content, args.json)
    if args.result is not None:
        save_result(args.result, spec, content["rows"])


if __name__ == "__main__":
    run_main(main)
