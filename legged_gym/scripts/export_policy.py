"""Makes a run's policy one that comes with the package: `python legged_gym/scripts/export_policy.py --load_run=RUN`.

Writes `resources/policies/<ROBOT_TYPE>/<task>/`, which `--agent pretrained` of play.py and evaluate.py reads, or
`--out=resources/policies/<ROBOT_TYPE>/<name>`, which `--agent pretrained:<name>` reads: the checkpoint
without optimisers, what it needs of the configs, `policy.onnx` and `encoder.onnx`, the results of all suites as
`evaluate.json`, and the command that trained it in `training.json`. With `--replace` a policy that was there is
replaced once all is there.
"""

import argparse
import copy
import shutil
from pathlib import Path

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation import report, shipping
from legged_gym.evaluation.agents import PolicyAgent
from legged_gym.evaluation.loading import Session, load_actor, open_session
from legged_gym.evaluation.suites import nominal_cfg
from legged_gym.scripts import evaluate
from legged_gym.utils.cli import Parser, make_parser, parse_args, run_main
from legged_gym.utils.run_setup import robot_name
from legged_gym.utils.task_registry import task_registry


def make_export_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Ship a run's policy with the package, evaluated.")
    add = parser.add_argument
    add("--out", type=Path, metavar="DIR", help="folder (default: resources/policies/<ROBOT_TYPE>/<task>)")
    add("--replace", action="store_true", help="replace the shipped policy that is there")
    add("--command", metavar="TEXT", help="what trained the policy (default: what the run noted)")
    add("--suite", default="all", metavar="LIST", help="suites of evaluate.json (default: %(default)s)")
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on all durations, for a quick look")
    parser.set_defaults(headless=True, num_envs=256, seed=0, agent="checkpoint", onnx=None, offset=None, json=None)
    parser.set_defaults(physics="deployed")
    return parser


def write_policy(args: argparse.Namespace, session: Session, folder: Path) -> None:
    """Write everything but the evaluation into a folder that is there."""
    assert session.checkpoint is not None  # for the type checker: the agent is a checkpoint
    record = {"task": args.task, "robot": robot_name(session.env_cfg)}
    record |= shipping.training_record(session.checkpoint, args.command)
    env_cfg, train_cfg = task_registry.get_cfgs(args.task, session.checkpoint.parent)
    shipping.write_run(folder, session.checkpoint, env_cfg, train_cfg, record)
    one = copy.copy(args)
    one.num_envs = 1
    env, _ = task_registry.make_env(args.task, one, nominal_cfg(session.env_cfg))
    *_, verdict = shipping.export_agent(PolicyAgent(load_actor(session, one, env), args.rl_device), env, folder)
    print(verdict)
    env.sim.close()
    (folder / "policy_jit.pt").unlink()  # for use from torch there is the checkpoint


def run(args: argparse.Namespace) -> Path:
    """Export what the command line asks for.

    Returns:
        The folder.
    """
    evaluate.check_args(args)
    session = open_session(args)
    folder = args.out or shipping.policies_dir() / robot_name(session.env_cfg) / args.task
    shipping.check_target(folder, args.replace)
    made = folder.with_name(f".{folder.name}.tmp")
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    try:
        write_policy(args, session, made)
        report.write_json(evaluate.run(args), made / "evaluate.json")
        shipping.put_in_place(made, folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


def main() -> None:
    """Export from the command line."""
    folder = run(parse_args(make_export_parser()))
    size = sum(path.stat().st_size for path in folder.iterdir())
    print(f"policy: {folder} ({size / 1e6:.1f} MB)")


if __name__ == "__main__":
    run_main(main)
