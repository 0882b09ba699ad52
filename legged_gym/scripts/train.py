"""Trains a task: `python legged_gym/scripts/train.py --task=pointfoot_flat --headless`.

Ctrl-C, SIGTERM, SIGHUP and SIGUSR1 end training after the running iteration, with a checkpoint and exit code 0: it did
what was asked. Before training has begun there is nothing to save, and the exit code is 128 + the signal's number. So
it is after a second signal, which cuts the iteration short: the last checkpoint is that of an earlier iteration.
"""

import argparse
import os
import shlex
import sys
from pathlib import Path
from typing import Any

import psutil

from legged_gym.utils import signals

if __name__ == "__main__":
    signals.watch()  # before the slow imports

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation.walking_gate import GateCfg, WalkingGate
from legged_gym.utils import runs
from legged_gym.utils.cli import make_parser, parse_args, run_main
from legged_gym.utils.console import keep_going_without_console
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import require_display
from legged_gym.utils.task_registry import task_registry

_STARTED = psutil.Process().create_time()
"""When this process began: imports are part of the time to a walking robot."""


def train(args: argparse.Namespace) -> Any:
    """Trains a task to the end, or until the user stops it.

    Args:
        args: From `cli.parse_args`.

    Returns:
        The runner, its last checkpoint saved.

    Raises:
        UserError: A value is not usable.
    """
    if args.evaluate_every < 0:
        raise UserError(f"--evaluate_every: got {args.evaluate_every}, expected a number >= 0")
    if not args.headless:
        require_display()
    env_cfg, train_cfg = task_registry.cfgs_from_args(args)
    env, _ = task_registry.make_env(args.task, args, env_cfg)
    runner, train_cfg = task_registry.make_alg_runner(env, args.task, args, train_cfg, args.log_root)
    if runner.log_dir is not None:
        resumed = Path(args.load_run) if train_cfg.runner.resume else None
        runs.note_command(Path(runner.log_dir), ["python", "legged_gym/scripts/train.py", *args.argv], resumed)
    gate = None
    if args.until_walking or args.evaluate_every:
        robots = 64 if args.sim_device == "cpu" else 256  # on a CPU, an evaluation takes time away from training
        cfg = GateCfg(stop=args.until_walking, every_steps=args.evaluate_every, num_envs=robots)
        gate = WalkingGate(runner, lambda cfg: type(env)(cfg, args.sim_device, True), cfg, _STARTED)
        runner.after_iteration = gate.check
    with signals.stopping(runner, Path(runner.log_dir) if runner.log_dir is not None else None):
        runner.learn(train_cfg.runner.max_iterations)
    if gate is not None:
        print(gate.verdict())
    return runner


def next_commands(task: str, log_dir: Path) -> str:
    """Returns the commands that play and evaluate a run, to be pasted as they are into this shell.

    Args:
        task: The task's name.
        log_dir: Directory of the run.

    Returns:
        Two lines.
    """
    last = max(runs.checkpoints(log_dir), default=-1)
    # The run is given by its path: its own config then says which robot and experiment it is of.
    options = [f"--task={task}", f"--load_run={_from_here(log_dir)}", f"--checkpoint={last}"]
    lines = []
    for script in ("play", "evaluate"):
        program = [_from_here(Path(sys.executable)), _from_here(Path(__file__).with_name(f"{script}.py"))]
        lines.append(f"{script + ':':<10}{shlex.join(program + options)}")
    return "\n".join(lines)


def _from_here(path: Path) -> str:
    """Returns a path relative to the working directory if it lies below, else in full."""
    path = Path(os.path.abspath(path))
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def main() -> None:
    """Trains from the command line."""
    parser = make_parser("Train a task.")
    parser.add_argument(
        "--until_walking", action="store_true", help="stop at the first policy that passes the walking gate"
    )
    parser.add_argument("--log_root", default="default", metavar="DIR", help="folder of the runs instead of logs/")
    parser.add_argument(
        "--evaluate_every", type=int, default=0, metavar="STEPS", help="log an evaluation every so many robot-steps"
    )
    args = parse_args(parser)
    keep_going_without_console()
    runner = train(args)
    if runner.log_dir is not None:
        log_dir = Path(runner.log_dir)
        print(f"run:      {_from_here(log_dir)}\n{next_commands(args.task, log_dir)}")


if __name__ == "__main__":
    run_main(main)
