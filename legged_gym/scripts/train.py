"""Trains a task: `python legged_gym/scripts/train.py --task=pointfoot_flat --headless`.

Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 end training after the running iteration, with a checkpoint and exit code 0, since
it did as told. Before training begins there is nothing to save, and the exit code is 128 + the signal's number. A
second signal has the same exit code: it cuts the iteration short, so the last checkpoint is from an earlier one.
"""

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from legged_gym.utils import signals, startup

if __name__ == "__main__":
    signals.watch()  # before the slow imports
    startup.begins()

from legged_gym.envs.base.legged_robot_config import SimCfg
from legged_gym.evaluation.showing import make_planner, open_training
from legged_gym.evaluation.spectator import Spectator
from legged_gym.evaluation.suites import evaluation_cfg
from legged_gym.evaluation.walking_gate import GateCfg, WalkingGate
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.commands import commands_for, from_here, note_command
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve, summary
from legged_gym.options.setup import make_env, make_runner
from legged_gym.options.spec import RunSpec
from legged_gym.options.tasks import load_tasks
from legged_gym.options.viewing import Viewing, add_viewer_options, choose_viewer, read_viewing
from legged_gym.utils.console import keep_going_without_console
from legged_gym.utils.distributed import current, joined, mute_others
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import leave_cores, usable_cores

WALKS_SOONEST = 4096
"""Robots on a GPU that reach the walking gate first: with more an iteration takes longer and teaches little more."""
JUDGE_CORES = 4
"""Most cores for each process that walks the gate beside training."""
STARTED = startup.process_began()
"""Start of this process: imports are part of the time to a walking robot."""


def train(
    spec: RunSpec,
    until_walking: bool = False,
    evaluate_every: int = 0,
    viewer: str = "none",
    viewing: Viewing | None = None,
) -> Any:
    """Train a task to the end, or until the user stops it.

    Args:
        spec: The run.
        until_walking: Stop at the first policy that passes the walking gate.
        evaluate_every: Robot-steps between two evaluations that are logged; 0 for none.
        viewer: Viewer to watch the robots in meanwhile, one of `VIEWERS`.
        viewing: Address of the web page.

    Returns:
        The runner, its last checkpoint saved.

    Raises:
        UserError: The checkpoint to resume from does not fit.
    """
    judging = (until_walking or evaluate_every) and current().first
    judges = judges_beside(spec.env_cfg.sim) if judging else 0
    leaves_cores = judges > 0 and until_walking and spec.rl_device == "cpu"
    env = make_env(spec, headless=True)
    runner = make_beside_a_judge(spec, env) if leaves_cores else make_runner(spec, env)
    if viewer != "none" and current().first:
        watch(runner, spec, env, viewer, viewing or Viewing())
    if runner.log_dir is not None:
        note_command(Path(runner.log_dir), "train", spec)
    gate = None
    if judging:
        robots = 64 if spec.sim_device == "cpu" else 128  # on a CPU, they take time from training
        cfg = GateCfg(stop=until_walking, every_steps=evaluate_every, num_envs=robots)
        beside = on_the_processor(spec, robots) if judges else None
        judges = min(judges, 1) if evaluate_every else judges
        gate = WalkingGate(runner, lambda cfg: make_env(spec, cfg, headless=True), cfg, STARTED, beside, judges)
        runner.after_iteration, runner.before_end = gate.check, gate.finish
    startup.ends()
    try:
        with signals.stopping(runner, Path(runner.log_dir) if runner.log_dir is not None else None):
            runner.learn(spec.train_cfg.runner.max_iterations)
    finally:
        if gate is not None:
            gate.close()
    if gate is not None:
        print(gate.verdict())
    return runner


def judges_beside(sim: SimCfg) -> int:
    """Return how many processes may walk the gate beside training; 0: training waits while it walks the gate itself.

    They walk it in MuJoCo, so only training in MuJoCo or MuJoCo Warp has them. On a processor one needs a core that
    training can spare: much of training runs on one thread.
    """
    if sim.backend == "mujoco_warp":
        return max(1, min(3, (usable_cores() - 2) // JUDGE_CORES))
    return int(sim.backend == "mujoco" and usable_cores() > (2 if sim.process.enabled else 1))


def make_beside_a_judge(spec: RunSpec, env: Any) -> Any:
    """Make a runner that computes with fewer threads, for the judge to have its cores.

    The run's config keeps the number of threads that it had: without a judge it goes on with all of them.
    """
    leave_cores(judge_cores())
    runner_cfg = spec.train_cfg.runner
    threads = runner_cfg.update_threads
    if "train.runner.update_threads" not in spec.said:
        runner_cfg.update_threads = 0
    runner = make_runner(spec, env)
    runner_cfg.update_threads = threads
    return runner


def judge_cores() -> int:
    """Return how many cores each process that walks the gate takes."""
    return min(JUDGE_CORES, max(1, usable_cores() - 2))


def on_the_processor(spec: RunSpec, robots: int) -> Callable[[], Any]:
    """Return what makes the walking gate's robots in MuJoCo, on a few of the cores."""
    cfg = evaluation_cfg(spec.env_cfg, robots, seed=0)
    cfg.sim.backend, cfg.sim.num_threads = "mujoco", judge_cores()
    cfg.sim.process.enabled = False  # it has one of its own already
    return functools.partial(make_judged_env, replace(spec, sim_device="cpu", env_cfg=cfg, train_cfg=None))


def make_judged_env(spec: RunSpec) -> Any:
    """Make the environment of a run in a process that does not know the user's tasks yet."""
    load_tasks(spec.imports)
    return make_env(spec, headless=True)


def watch(runner: Any, spec: RunSpec, env: Any, viewer: str, viewing: Viewing) -> None:
    """Open a viewer on the training; closing its window ends training after the running iteration, as Ctrl-C does."""
    planner = make_planner(spec, env)
    in_loop = getattr(runner, "teacher", None)
    if planner is not None and in_loop is not None and in_loop.teacher.cfg.offset.enabled:
        planner.follow_offset(in_loop.teacher.network)
    title = f"training of {spec.task} on {env.sim.robot.name}"
    shown = open_training(viewer, viewing, env, Spectator(env, planner), title)
    shown.must_go_on = lambda: runner.interrupted

    def end() -> None:
        env.viewer, runner.interrupted = None, True
        print("the window was closed: stopping after this iteration", flush=True)

    shown.on_close = end


def make_train_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Train a task.", training=True)
    parser.add_argument(
        "--until_walking", action="store_true", help="stop at the first policy that passes the walking gate"
    )
    parser.add_argument(
        "--evaluate_every", type=int, default=0, metavar="STEPS", help="log an evaluation every so many robot-steps"
    )
    add_viewer_options(parser, "a window; with --headless none")
    return parser


def main() -> None:
    """Train from the command line."""
    mute_others()
    args = parse_args(make_train_parser())
    if args.evaluate_every < 0:
        raise UserError(f"--evaluate_every: got {args.evaluate_every}, expected a number >= 0")
    viewing = read_viewing(args)
    viewer = choose_viewer(viewing, args.request.headless, required=True)
    keep_going_without_console()
    soon = args.until_walking
    spec = resolve(args.request, most_robots=WALKS_SOONEST if soon else None, soon=soon)
    with joined(spec.rl_device):
        print(summary(spec))
        runner = train(spec, args.until_walking, args.evaluate_every, viewer, viewing)
        if runner.log_dir is not None:
            log_dir = Path(runner.log_dir)
            print(f"run:      {from_here(log_dir)}\n{commands_for(spec, log_dir)}")


if __name__ == "__main__":
    run_main(main)
