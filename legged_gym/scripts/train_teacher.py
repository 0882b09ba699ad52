"""Trains the DCM teacher's offset Δξ by itself: `python legged_gym/scripts/train_teacher.py --task=pointfoot_flat`.

All robots are driven by the teacher under sampled commands, gaits and pushes, in ideal physics: what Δξ learns there
serves as deployed, too, and better than what it learns of slips and delays (docs/decisions/020). `--physics=deployed`
has those, `--randomize` the task's whole domain randomisation.

The result, `offset_<iteration>.pt`, is used by `evaluate.py` and `play.py` with `--agent teacher --offset FILE`, and by
`train.py` with `--train.teacher.offset_file=FILE`, which takes Δξ alone and no step times.
"""

import functools
import math
from pathlib import Path
from typing import Any

from legged_gym.utils import signals, startup

if __name__ == "__main__":
    signals.watch()  # before the slow imports
    startup.begins()

from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.options import cli, commands, runs
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import make_parser, parse_args
from legged_gym.options.resolve import resolve, summary
from legged_gym.options.setup import make_env
from legged_gym.options.spec import RunSpec
from legged_gym.runners.teacher_runner import TeacherRunner
from legged_gym.utils.config import save_json
from legged_gym.utils.distributed import started_together
from legged_gym.utils.errors import UserError

PHYSICS = ("ideal", "deployed")
"""See `evaluation.suites.nominal_cfg`."""
DEFAULT_PUSH = 1.5
"""Largest push without `--randomize` [m/s]."""


def make_train_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Train the teacher's offset by itself.")
    add = parser.add_argument
    add("--log_root", type=cli.path, metavar="DIR", help="folder of the runs (default: logs/)")
    add("--experiment_name", metavar="NAME", help="folder of its runs inside --log_root, without the suffix _teacher")
    add("--run_name", metavar="NAME", help="added to the time in the run's folder name")
    add("--max_iterations", type=int, metavar="N", help="rollouts to train on (default: %(default)s)")
    add("--physics", choices=PHYSICS, help=f"physics that the teacher walks in (default: {PHYSICS[0]})")
    add("--randomize", action="store_true", help="train under the task's domain randomisation")
    add("--offset", type=cli.path, metavar="FILE", help="go on from this offset")
    add(
        "--num_steps",
        type=int,
        default=250,
        help="policy steps of a rollout: as long as a command lasts, so that each holds every kind of step "
        "(default: %(default)s)",
    )
    add("--epochs", type=int, default=20, help="passes over a rollout (default: %(default)s)")
    add(
        "--stability",
        type=float,
        default=0.05,
        metavar="W",
        help="weight of what landings cost, also those of pushed robots, in the loss; the landing error of steady "
        "walking has 1 (default: %(default)s)",
    )
    add("--max_push", type=float, default=DEFAULT_PUSH, metavar="V", help="largest push [m/s] (default: %(default)s)")
    add(
        "--learn_steps",
        action="store_true",
        help="learn where to shorten steps and how high to swing, too, from who fell after which step",
    )
    parser.set_defaults(headless=True, num_envs=256, max_iterations=20)
    return parser


def nominal(env_cfg: Any, max_push: float, physics: str) -> Any:
    """Return an environment's config without its randomisation, with gaits, pushes and the commands of a beginner.

    Args:
        env_cfg: The task's config.
        max_push: Largest push [m/s].
        physics: One of `PHYSICS`.
    """
    gait = env_cfg.gait
    cfg = nominal_cfg(env_cfg, physics)
    cfg.gait = gait
    cfg.commands.ranges = cfg.commands.initial_ranges  # the box that the teacher walks in
    cfg.domain_rand.push_robots, cfg.domain_rand.max_push_vel_xy = True, max_push
    return cfg


def train_teacher(
    spec: RunSpec,
    num_steps: int,
    epochs: int,
    stability: float,
    offset: Path | None = None,
    learn_steps: bool = False,
) -> TeacherRunner:
    """Train Δξ.

    Args:
        spec: The run.
        num_steps: Policy steps of a rollout.
        epochs: Passes over each rollout.
        stability: Weight of the cost of landings.
        offset: File to start from; None to start anew.
        learn_steps: Learn changes of step time and swing height, too.

    Returns:
        The runner, its last checkpoint saved.
    """
    env, train_cfg = make_env(spec), spec.train_cfg
    parent = spec.log_root / f"{train_cfg.runner.experiment_name}_teacher" / spec.robot
    log_dir = runs.new_run_dir(parent, train_cfg.runner.run_name)
    train_cfg.teacher.dcm.offset.epochs, train_cfg.teacher.dcm.offset.w_stability = epochs, stability
    runner = TeacherRunner(env, train_cfg.teacher.dcm, num_steps, log_dir, spec.rl_device, learn_steps)
    try:
        if offset is not None:
            runner.load(offset)
    except BaseException:
        runs.remove_if_empty(log_dir)
        raise
    save_json(env.cfg, log_dir / "env_cfg.json")
    save_json(train_cfg, log_dir / "train_cfg.json")
    commands.note_command(log_dir, "train_teacher", spec)
    startup.ends()
    with signals.stopping(runner, log_dir, "offset_*.pt"):
        runner.learn(train_cfg.runner.max_iterations)
    return runner


def main() -> None:
    """Train from the command line."""
    if started_together():
        raise UserError("Δξ alone is trained by one process: start it without torchrun; train.py trains it on several")
    args = parse_args(make_train_parser())
    for name in ("max_iterations", "num_steps", "epochs"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name}: got {getattr(args, name)}, expected a number >= 1")
    for name in ("stability", "max_push"):
        if not 0.0 <= getattr(args, name) < math.inf:
            raise UserError(f"--{name}: got {getattr(args, name)}, expected a number >= 0")
    if args.randomize and args.physics is not None:
        raise UserError("--physics: with --randomize it is the task's: leave it out")
    if args.randomize and args.max_push != DEFAULT_PUSH:
        raise UserError("--max_push: with --randomize pushes are the task's: set --env.domain_rand.max_push_vel_xy")
    undisturbed = functools.partial(nominal, max_push=args.max_push, physics=args.physics or PHYSICS[0])
    spec = resolve(args.request, None if args.randomize else undisturbed)
    print(summary(spec))
    runner = train_teacher(spec, args.num_steps, args.epochs, args.stability, args.offset, args.learn_steps)
    assert runner.log_dir is not None  # set above
    file = runner.log_dir / f"offset_{runner.iteration}.pt"
    options = [*commands.task_options(spec), *commands.robot_options(spec), "--agent=teacher"]
    print(f"offset:   {file}\nevaluate: {commands.command('evaluate', [*options, f'--offset={file}'])}")


if __name__ == "__main__":
    run_main(main)
