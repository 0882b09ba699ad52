"""Trains arms, which differ in teacher or task, on several seeds with one budget, and compares what they learn.

`python legged_gym/scripts/ablation.py --headless --arms ppo,dcm,dcm+offset,raibert --seeds 0,1,2 --out DIR`

All runs share a process, or `--jobs` of them, so that starting up and loading kernels is paid for once. Policies are
kept along each run and judged side by side after it: no evaluation counts as training. Started again with the same DIR,
the script keeps finished runs and resumes an unfinished one from its last checkpoint. Times of different arms are
comparable with `--jobs 1` only.
"""

import contextlib
import gc
import io
import multiprocessing
import sys
import time
import traceback
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from legged_gym.evaluation import results
from legged_gym.evaluation.ablation import ARMS, MEASURES, Run, draw, find_gate, make_curve, summary, table
from legged_gym.evaluation.agents import PolicyAgent
from legged_gym.evaluation.report import write_json
from legged_gym.evaluation.rows import select_rows
from legged_gym.evaluation.snapshots import Snapshots, evaluate_snapshots, load_snapshots, snapshot_iterations
from legged_gym.evaluation.suites import evaluate
from legged_gym.options import cli, runs
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import Request, Setting, make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.resolve import summary as run_summary
from legged_gym.options.setup import make_env, make_runner
from legged_gym.options.spec import RunSpec
from legged_gym.utils.checkpoint_names import checkpoints
from legged_gym.utils.errors import UserError, unknown_name
from legged_gym.utils.progress import progress_bar

CHECKPOINTS = 5
"""Number of checkpoints in a run, from which it can be resumed."""
WARM_UP_ITERATIONS = 4
EVALUATED_ROBOTS = {"cpu": 64, "cuda": 256}
"""Number of robots of each snapshot on `track`, by kind of device."""
FINAL_ROBOTS = 256
"""Number of robots of each row on which the last policy is judged."""
DEFAULT_ARMS = ("ppo", "dcm", "dcm+offset", "raibert")
AT_ONCE = {"cpu": 8, "cuda": 64}
"""Number of snapshots that walk side by side, by kind of device."""


@dataclass(frozen=True)
class Plan:
    """The comparison: arms, seeds, budget and judgement."""

    request: Request
    """The user's options for all runs."""
    iterations: int
    """Iterations of each run."""
    out: Path
    """Folder of all runs."""
    arms: tuple[str, ...] = DEFAULT_ARMS
    seeds: tuple[int, ...] = (0, 1, 2)
    snapshots: int = 40
    """Number of points in the learning curves."""
    suites: tuple[str, ...] = ("track", "push")
    """Suites on which the last policies are judged."""
    robots: int = FINAL_ROBOTS
    """Number of robots of each of these rows."""
    time_scale: float = 1.0
    """Factor on the rows' durations."""

    def check(self) -> None:
        """Refuse an impossible plan before anything takes time.

        Raises:
            UserError: A value is not usable.
        """
        for arm in self.arms:
            if arm not in ARMS:
                raise UserError(unknown_name("arm", arm, ARMS))
        for setting in self.request.settings:
            if setting.field in _DECIDED_HERE:
                raise UserError(f"{setting.option}: is set by the ablation for each run: leave it out")
        counts = {"snapshots": (self.snapshots, 2), "max_iterations": (self.iterations, 2), "robots": (self.robots, 1)}
        for name, (number, least) in counts.items():
            if number < least:
                raise UserError(f"--{name}: got {number}, expected a number >= {least}")
        select_rows(self.suites, self.time_scale)
        for file in self.out.glob("*/run.json"):
            if Run.load(file).iterations != self.iterations:
                raise UserError(f"{self.out} holds runs of {Run.load(file).iterations} iterations: give another --out")

    def run_request(self, arm: str, seed: int, root: Path) -> Request:
        """Return the options of one run, which resumes from its last checkpoint if there is one."""
        fields = ARMS[arm] | {"env.seed": str(seed), "train.seed": str(seed)}
        fields["train.runner.max_iterations"] = str(self.iterations)
        fields["train.runner.save_interval"] = str(max(1, self.iterations // CHECKPOINTS))
        fields["train.denoising.run_share"] = "0"  # curves are of what PPO learns, to the last iteration
        found = {iteration: part for part in root.glob("*/*/*/") for iteration in checkpoints(part)}
        if found:
            last = max(found)
            fields |= {"train.runner.resume": "true", "train.runner.load_run": str(found[last].resolve())}
            fields["train.runner.checkpoint"] = str(last)
        settings = tuple(Setting(f"--{field}", field, text) for field, text in fields.items())
        return replace(self.request, settings=(*self.request.settings, *settings), log_root=root)


_DECIDED_HERE = (
    *("env.seed", "train.seed", "train.denoising.run_share"),
    *(f"train.runner.{name}" for name in ("resume", "load_run", "checkpoint")),
)


def make_ablation_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Compare training with other teachers, or without one measure of the task.")
    add = parser.add_argument
    known = f"arms to compare: {', '.join(ARMS)} (default: {','.join(DEFAULT_ARMS)})"
    add("--arms", default=",".join(DEFAULT_ARMS), metavar="LIST", help=known)
    add("--seeds", default="0,1,2", metavar="LIST", help="seeds of each arm (default: %(default)s)")
    add("--max_iterations", type=int, default=500, metavar="N", help="budget of each run (default: %(default)s)")
    add("--snapshots", type=int, default=40, metavar="N", help="points of the learning curves (default: %(default)s)")
    add(
        "--suite",
        default="track,push",
        metavar="LIST",
        help="suite that judges the last policies (default: %(default)s)",
    )
    add(
        "--robots",
        type=int,
        default=FINAL_ROBOTS,
        metavar="N",
        help="robots in each row of the suite (default: %(default)s)",
    )
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on the rows' durations, for a quick look")
    add("--jobs", type=int, default=1, metavar="N", help="processes side by side (default: %(default)s)")
    add(
        "--out",
        type=cli.path,
        required=True,
        metavar="DIR",
        help="where the runs and their comparison go",
    )
    parser.set_defaults(headless=True)
    parser.hide("seed")  # --seeds says it
    return parser


def parse_seeds(text: str) -> tuple[int, ...]:
    """Read `--seeds`.

    Raises:
        UserError: The text is no list of whole numbers.
    """
    try:
        return tuple(int(seed) for seed in text.split(","))
    except ValueError:
        raise UserError(f"--seeds: got '{text}', expected whole numbers like 0,1,2") from None


def train(spec: RunSpec, iterations: int, folder: Path | None = None, snapshots: Sequence[int] = ()) -> Any:
    """Train up to an iteration.

    Args:
        spec: The run.
        iterations: The iteration to stop after.
        folder: Folder of the snapshots; None to write nothing at all.
        snapshots: Iterations after which snapshots are taken.

    Returns:
        The runner.
    """
    print(run_summary(spec))
    env = make_env(spec)
    runner = make_runner(spec, env, write=folder is not None)
    if folder is not None:
        Snapshots(runner, folder, snapshots)
    runner.learn(max(0, iterations - runner.current_learning_iteration))
    return runner


def judge(plan: Plan, arm: str, seed: int, spec: RunSpec, runner: Any) -> Run:
    """Judge the snapshots of a run and its last policy."""
    start, kind = time.perf_counter(), torch.device(spec.sim_device).type
    actor, cfg = runner.get_inference_policy(), runner.env.cfg
    snapshots = load_snapshots(spec.log_root, runner.device)
    results = evaluate_snapshots(
        snapshots, actor, lambda cfg: make_env(spec, cfg), cfg, EVALUATED_ROBOTS[kind], AT_ONCE[kind], plan.time_scale
    )
    rows = select_rows(plan.suites, plan.time_scale)
    agent = PolicyAgent(actor, runner.device)
    last = evaluate(lambda cfg: (make_env(spec, cfg), agent), cfg, rows, plan.robots, 0, at_once=kind != "cpu")
    curve = make_curve(snapshots, results)
    return Run(arm, seed, plan.iterations, curve, find_gate(curve), last, time.perf_counter() - start)


def train_and_judge(plan: Plan, arm: str, seed: int, root: Path) -> Run:
    """Finish a run, and free its resources."""
    spec = resolve(plan.run_request(arm, seed, root))
    runner = train(spec, plan.iterations, root, snapshot_iterations(plan.iterations, plan.snapshots))
    try:
        return judge(plan, arm, seed, spec, runner)
    finally:
        runner.env.sim.close()


def run_one(plan: Plan, arm: str, seed: int) -> Run | None:
    """Train and judge an arm with a seed, as far as not done yet; return None if it failed, and log why."""
    root = plan.out.resolve() / f"{arm}_seed{seed}"
    file = root / "run.json"
    if not file.is_file():
        root.mkdir(parents=True, exist_ok=True)
        try:
            with (root / "train.log").open("a") as log, contextlib.redirect_stdout(log):
                train_and_judge(plan, arm, seed, root).save(file)
        except Exception:  # noqa: BLE001  the other runs go on, whatever fails in this one
            with (root / "train.log").open("a") as log:
                traceback.print_exc(file=log)
            print(f"{arm}, seed {seed}: failed, see {root / 'train.log'}", flush=True)
            return None
        finally:
            gc.collect()  # graphs of the GPU refer to each other
    run = Run.load(file)
    gate = f"gate after {run.gate['steps'] / 1e6:.2f} M steps, {run.gate['seconds']:.0f} s" if run.gate else "no gate"
    print(f"{arm}, seed {seed}: {gate}; survival {run.curve[-1]['survival']:.3f} on track", flush=True)
    return run


def warm_up(plan: Plan) -> None:
    """Load all kernels by a few iterations that do not count, so that the first run does not pay for them."""
    if torch.cuda.is_available():
        with contextlib.redirect_stdout(io.StringIO()):
            spec = resolve(plan.run_request("dcm+offset", 0, plan.out / "none"))
            train(spec, WARM_UP_ITERATIONS).env.sim.close()
            gc.collect()


def run_all(plan: Plan, jobs: int) -> list[Run | None]:
    """Do all runs, seed by seed, so that a first comparison of the arms is there early."""
    wanted = [(arm, seed) for seed in plan.seeds for arm in plan.arms]
    found: list[Run | None] = []
    with progress_bar("ablation", len(wanted), whole=True) as bar:
        if jobs == 1:
            warm_up(plan)
            for arm, seed in wanted:
                bar.set(len(found), f"{arm}, seed {seed}")
                found.append(run_one(plan, arm, seed))
            return found
        context = multiprocessing.get_context("spawn")  # CUDA does not survive a fork
        with ProcessPoolExecutor(jobs, context, initializer=warm_up, initargs=(plan,)) as pool:
            futures = [pool.submit(run_one, plan, arm, seed) for arm, seed in wanted]
            for future in as_completed(futures):
                future.result()
                bar.advance()
            return [future.result() for future in futures]


def save_result(path: Path, compared: dict[str, Any], plan: Plan) -> None:
    """Write the arms as figures for the results page, as benchmarks/results/ has them."""
    columns = {"passed": ("seeds", 0), "steps_to_gate": ("M", 2), "seconds_to_gate": ("s", 0)}
    columns |= {row: ("survival", 2) for row in next(iter(compared.values()))["rows"]}
    figures: dict[str, dict[str, results.Figure]] = {}
    for arm, entry in compared.items():
        figures[arm] = {"passed": {"value": entry["passed"]}}
        for name, unit in (("steps", 1e6), ("seconds", 1.0)):
            median = entry[f"median_{name}_to_gate"]
            figures[arm] |= {} if median is None else {f"{name}_to_gate": {"value": median / unit}}
        for row, values in entry["rows"].items():
            mean, low, high = values["survival"]
            figures[arm][row] = {"value": mean, "spread": (high - low) / 2.0}
    spread = "half of what lies between the seeds; gates are medians"
    title, section = "What the teacher is worth", "Teacher"
    if set(compared) <= set(MEASURES):
        title, section = "What each measure is worth", "Walking"
    note, hardware = f"{plan.iterations} iterations.", results.gpu_name(resolve(plan.request).sim_device)
    results.save(path, title, section, columns, figures, spread, plan.seeds, hardware, note)


def main() -> None:
    """Run the ablation from the command line."""
    args = parse_args(make_ablation_parser())
    arms = tuple(name.strip() for name in args.arms.split(",") if name.strip())
    suites = tuple(args.suite.split(","))
    plan = Plan(
        request=args.request,
        iterations=args.max_iterations,
        out=args.out,
        arms=arms,
        seeds=parse_seeds(args.seeds),
        snapshots=args.snapshots,
        suites=suites,
        robots=args.robots,
        time_scale=args.time_scale,
    )
    if args.jobs < 1:
        raise UserError(f"--jobs: got {args.jobs}, expected a number >= 1")
    plan.check()
    runs.make_folder(plan.out)
    found = [run for run in run_all(plan, args.jobs) if run is not None]
    found.sort(key=lambda run: (arms.index(run.arm), run.seed))
    if found:
        budget = max(point["steps"] or 0.0 for run in found for point in run.curve)
        compared = summary(found, budget)
        content = {"iterations": plan.iterations, "robot_steps": budget, "arms": compared}
        write_json(content | {"runs": [vars(run) for run in found]}, plan.out / "ablation.json")
        draw(found, plan.out / "ablation.png")
        save_result(plan.out / "result.json", compared, plan)
        print(f"{table(compared)}\nfigure: {plan.out / 'ablation.png'}")
    if len(found) < len(arms) * len(plan.seeds):
        sys.exit(f"runs that failed: {len(arms) * len(plan.seeds) - len(found)}; the same command tries them again")


if __name__ == "__main__":
    run_main(main)
