"""Trains arms with and without the teacher on several seeds with one budget, and compares how fast they learn to walk.

`python legged_gym/scripts/ablation.py --headless --arms ppo,dcm,dcm+offset,raibert --seeds 0,1,2 --out DIR`

All runs share a process, or `--jobs` of them, so that starting up and loading kernels is paid for once. Policies are
kept along each run and judged after it, side by side: no evaluation counts as training. Started again with the same
DIR, finished runs are kept and an unfinished one goes on from its last checkpoint. Times of different arms are
comparable with `--jobs 1` only.
"""

import argparse
import contextlib
import copy
import gc
import io
import multiprocessing
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation.ablation import ARMS, Run, draw, find_gate, make_curve, summary, table
from legged_gym.evaluation.agents import PolicyAgent
from legged_gym.evaluation.report import write_json
from legged_gym.evaluation.rows import select_rows
from legged_gym.evaluation.snapshots import Snapshots, evaluate_snapshots, load_snapshots, snapshot_iterations
from legged_gym.evaluation.suites import evaluate
from legged_gym.utils import runs
from legged_gym.utils.cli import Override, Parser, make_parser, parse_args, run_main
from legged_gym.utils.errors import UserError, unknown_name
from legged_gym.utils.task_registry import task_registry

CHECKPOINTS = 5
"""Checkpoints of a run, from which it can go on."""
WARM_UP_ITERATIONS = 4
EVALUATED_ROBOTS = {"cpu": 64, "cuda": 256}
"""Robots of each snapshot on `track`, by kind of device."""
FINAL_ROBOTS = 256
"""Robots of each row that the last policy walks."""
AT_ONCE = {"cpu": 8, "cuda": 64}
"""Snapshots that walk side by side."""


def make_ablation_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Compare training with and without the teacher.")
    add = parser.add_argument
    add("--arms", default=",".join(ARMS), metavar="LIST", help="what to compare (default: %(default)s)")
    add("--seeds", default="0,1,2", metavar="LIST", help="seeds of each arm (default: %(default)s)")
    add("--snapshots", type=int, default=40, metavar="N", help="points of the learning curves (default: %(default)s)")
    add("--suite", default="track,push", metavar="LIST", help="walked by the last policies (default: %(default)s)")
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on the rows' durations, for a quick look")
    add("--jobs", type=int, default=1, metavar="N", help="processes side by side (default: %(default)s)")
    add("--out", type=Path, required=True, metavar="DIR", help="where runs, ablation.json and ablation.png go")
    parser.set_defaults(headless=True, max_iterations=500)
    return parser


def check_args(args: argparse.Namespace) -> tuple[list[str], list[int]]:
    """Check this script's own options; returns arms and seeds.

    Raises:
        UserError: A value is not usable.
    """
    arms = [name.strip() for name in args.arms.split(",") if name.strip()]
    for arm in arms:
        if arm not in ARMS:
            raise UserError(unknown_name("arm", arm, ARMS))
    try:
        seeds = [int(seed) for seed in args.seeds.split(",")]
    except ValueError:
        raise UserError(f"--seeds: got '{args.seeds}', expected whole numbers like 0,1,2") from None
    for name, least in (("jobs", 1), ("snapshots", 2), ("max_iterations", 2)):
        if getattr(args, name) < least:
            raise UserError(f"--{name}: got {getattr(args, name)}, expected a number >= {least}")
    for name in ("seed", "resume", "load_run", "checkpoint"):
        if getattr(args, name) is not None:
            raise UserError(f"--{name}: is decided here, run by run")
    select_rows(args.suite.split(","), args.time_scale)
    for file in args.out.glob("*/run.json"):
        if Run.load(file).iterations != args.max_iterations:
            raise UserError(f"{args.out} holds runs of {Run.load(file).iterations} iterations: give another --out")
    return arms, seeds


def run_args(args: argparse.Namespace, arm: str, seed: int, root: Path) -> argparse.Namespace:
    """Return what the command line of this run's training would be, from the last checkpoint on if there is one."""
    args = copy.copy(args)
    args.seed = seed
    fields = ARMS[arm] | {"runner.save_interval": str(max(1, args.max_iterations // CHECKPOINTS))}
    args.overrides = [*args.overrides, *(Override("train", path, text) for path, text in fields.items())]
    found = {iteration: part for part in root.glob("*/*/*/") for iteration in runs.checkpoints(part)}
    if found:
        args.resume, args.checkpoint, args.load_run = True, max(found), str(found[max(found)])
    return args


def train(args: argparse.Namespace, log_root: Path | None, iterations: int, snapshots: Sequence[int] = ()) -> Any:
    """Train up to an iteration; returns the runner."""
    env_cfg, train_cfg = task_registry.cfgs_from_args(args)
    env, _ = task_registry.make_env(args.task, args, env_cfg)
    runner, _ = task_registry.make_alg_runner(env, args.task, args, train_cfg, log_root)
    if log_root is not None:
        Snapshots(runner, log_root, snapshots)
    runner.learn(max(0, iterations - runner.current_learning_iteration))
    return runner


def judge(args: argparse.Namespace, arm: str, seed: int, runner: Any, root: Path) -> Run:
    """Let the snapshots of a run walk, and its last policy."""
    start, kind = time.perf_counter(), torch.device(args.sim_device).type
    settled = argparse.Namespace(**vars(args) | {"num_envs": None, "seed": None, "overrides": []})
    actor, cfg = runner.get_inference_policy(), runner.env.cfg

    def make_env(cfg: Any) -> Any:
        return task_registry.make_env(args.task, settled, cfg)[0]

    snapshots = load_snapshots(root, runner.device)
    results = evaluate_snapshots(
        snapshots, actor, make_env, cfg, EVALUATED_ROBOTS[kind], AT_ONCE[kind], args.time_scale
    )
    rows = select_rows(args.suite.split(","), args.time_scale)
    agent = PolicyAgent(actor, runner.device)
    last = evaluate(lambda cfg: (make_env(cfg), agent), cfg, rows, FINAL_ROBOTS, 0, at_once=kind != "cpu")
    curve = make_curve(snapshots, results)
    return Run(arm, seed, args.max_iterations, curve, find_gate(curve), last, time.perf_counter() - start)


def train_and_judge(args: argparse.Namespace, arm: str, seed: int, root: Path) -> Run:
    """Do what is left of a run, and give back what it held."""
    args = run_args(args, arm, seed, root)
    runner = train(args, root, args.max_iterations, snapshot_iterations(args.max_iterations, args.snapshots))
    try:
        return judge(args, arm, seed, runner, root)
    finally:
        runner.env.sim.close()


def run_one(args: argparse.Namespace, arm: str, seed: int) -> Run | None:
    """Train and judge an arm with a seed, or what is left of that; None if it failed, which is in its log."""
    root = args.out.resolve() / f"{arm}_seed{seed}"
    file = root / "run.json"
    if not file.is_file():
        root.mkdir(parents=True, exist_ok=True)
        try:
            with (root / "train.log").open("a") as log, contextlib.redirect_stdout(log):
                train_and_judge(args, arm, seed, root).save(file)
        except Exception:  # noqa: BLE001  the other runs go on, whatever this one's trouble
            with (root / "train.log").open("a") as log:
                traceback.print_exc(file=log)
            print(f"{arm}, seed {seed}: failed, see {root / 'train.log'}", flush=True)
            return None
        finally:
            gc.collect()  # graphs of the GPU hold on to each other
    run = Run.load(file)
    gate = f"gate after {run.gate['steps'] / 1e6:.2f} M steps, {run.gate['seconds']:.0f} s" if run.gate else "no gate"
    print(f"{arm}, seed {seed}: {gate}; survival {run.curve[-1]['survival']:.3f} on track", flush=True)
    return run


def warm_up(args: argparse.Namespace) -> None:
    """Load all kernels by a few iterations that nobody looks at, for the first run not to pay for it."""
    if torch.cuda.is_available():
        with contextlib.redirect_stdout(io.StringIO()):
            train(run_args(args, "dcm+offset", 0, args.out / "none"), None, WARM_UP_ITERATIONS).env.sim.close()
            gc.collect()


def run_all(args: argparse.Namespace, arms: Sequence[str], seeds: Sequence[int]) -> list[Run | None]:
    """Do all runs, seed by seed, so that a first comparison of the arms is there early."""
    wanted = [(arm, seed) for seed in seeds for arm in arms]
    if args.jobs == 1:
        warm_up(args)
        return [run_one(args, arm, seed) for arm, seed in wanted]
    context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
    with ProcessPoolExecutor(args.jobs, context, initializer=warm_up, initargs=(args,)) as pool:
        futures = [pool.submit(run_one, args, arm, seed) for arm, seed in wanted]
        return [future.result() for future in futures]


def main() -> None:
    """Run the ablation from the command line."""
    args = parse_args(make_ablation_parser())
    arms, seeds = check_args(args)
    runs.make_folder(args.out)
    found = [run for run in run_all(args, arms, seeds) if run is not None]
    found.sort(key=lambda run: (arms.index(run.arm), run.seed))
    if found:
        budget = max(point["steps"] or 0.0 for run in found for point in run.curve)
        compared = summary(found, budget)
        content = {"iterations": args.max_iterations, "robot_steps": budget, "arms": compared}
        write_json(content | {"runs": [vars(run) for run in found]}, args.out / "ablation.json")
        draw(found, args.out / "ablation.png")
        print(f"{table(compared)}\nfigure: {args.out / 'ablation.png'}")
    if len(found) < len(arms) * len(seeds):
        sys.exit(f"runs that failed: {len(arms) * len(seeds) - len(found)}; the same command tries them again")


if __name__ == "__main__":
    run_main(main)
