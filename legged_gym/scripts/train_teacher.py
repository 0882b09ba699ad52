"""Trains the DCM teacher's offset Δξ by itself: `python legged_gym/scripts/train_teacher.py --task=pointfoot_flat`.

All robots are driven by the teacher on nominal physics, under sampled commands, gaits and pushes (`--randomize` adds
the task's domain randomisation). The result, `offset_<iteration>.pt`, is used by `evaluate.py` and `play.py` with
`--agent teacher --offset FILE`, and by `train.py` with `--train.teacher.offset_file=FILE`.
"""

import argparse
from pathlib import Path

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.runners.teacher_runner import TeacherRunner
from legged_gym.utils import runs, signals
from legged_gym.utils.cli import Parser, make_parser, parse_args, run_main
from legged_gym.utils.config import save_json
from legged_gym.utils.errors import UserError
from legged_gym.utils.run_setup import robot_name
from legged_gym.utils.task_registry import task_registry

NOMINAL_PUSH = 0.5
"""Largest push on nominal physics [m/s]."""


def make_train_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Train the teacher's offset by itself.")
    parser.add_argument("--randomize", action="store_true", help="train under the task's domain randomisation")
    parser.add_argument("--offset", type=Path, metavar="FILE", help="go on from this offset")
    parser.add_argument(
        "--num_steps",
        type=int,
        default=250,
        help="policy steps of a rollout: as long as a command lasts, so that each holds every kind of step "
        "(default: %(default)s)",
    )
    parser.add_argument("--epochs", type=int, default=20, help="passes over a rollout (default: %(default)s)")
    parser.set_defaults(headless=True, num_envs=256, max_iterations=10)
    return parser


def train_teacher(args: argparse.Namespace) -> TeacherRunner:
    """Trains Δξ; returns the runner, its last checkpoint saved."""
    if args.max_iterations < 1:
        raise UserError(f"--max_iterations: got {args.max_iterations}, expected a number >= 1")
    for name in ("num_steps", "epochs"):
        if getattr(args, name) < 1:
            raise UserError(f"--{name}: got {getattr(args, name)}, expected a number >= 1")
    env_cfg, train_cfg = task_registry.cfgs_from_args(args)
    if not args.randomize:
        gait = env_cfg.gait
        env_cfg = nominal_cfg(env_cfg, "deployed")
        env_cfg.gait = gait
        env_cfg.commands.ranges = env_cfg.commands.initial_ranges  # the box that the teacher walks in
        env_cfg.domain_rand.push_robots, env_cfg.domain_rand.max_push_vel_xy = True, NOMINAL_PUSH
    env, _ = task_registry.make_env(args.task, args, env_cfg)
    parent = runs.logs_root() / f"{train_cfg.runner.experiment_name}_teacher" / robot_name(env.cfg)
    log_dir = runs.new_run_dir(parent, train_cfg.runner.run_name)
    train_cfg.teacher.dcm.offset.epochs = args.epochs
    device = args.rl_device or "cpu"
    runner = TeacherRunner(env, train_cfg.teacher.dcm, args.num_steps, log_dir, device)
    try:
        if args.offset is not None:
            runner.load(args.offset)
    except BaseException:
        runs.remove_if_empty(log_dir)
        raise
    save_json(env.cfg, log_dir / "env_cfg.json")
    save_json(train_cfg, log_dir / "train_cfg.json")
    with signals.stopping(runner, log_dir, "offset_*.pt"):
        runner.learn(args.max_iterations)
    return runner


def main() -> None:
    """Trains from the command line."""
    args = parse_args(make_train_parser())
    runner = train_teacher(args)
    assert runner.log_dir is not None  # set above
    file = runner.log_dir / f"offset_{runner.iteration}.pt"
    print(f"offset:   {file}\nevaluate: python legged_gym/scripts/evaluate.py --agent teacher --offset {file}")


if __name__ == "__main__":
    run_main(main)
