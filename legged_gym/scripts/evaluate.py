"""Evaluates an agent: `python legged_gym/scripts/evaluate.py --task=pointfoot_flat --suite track,push --json FILE`."""

import argparse
import math
from pathlib import Path
from typing import Any

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation import report
from legged_gym.evaluation.loading import Session, make_agent, make_agent_parser, open_session
from legged_gym.evaluation.suites import FIXED_SECTIONS, SUITES, Result, evaluate, evaluation_cfg, select_rows
from legged_gym.utils.cli import Parser, parse_args, run_main
from legged_gym.utils.errors import UserError
from legged_gym.utils.task_registry import task_registry


def make_evaluate_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_agent_parser("Evaluate an agent on nominal physics (rows: legged_gym/evaluation/suites.py).")
    add = parser.add_argument
    add("--suite", default=",".join(SUITES), metavar="LIST", help="suites (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the results here too")
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on all durations, for a quick look")
    parser.set_defaults(headless=True, num_envs=256, seed=0)
    return parser


def check_args(args: argparse.Namespace) -> None:
    """Refuse what the suites cannot honour.

    Raises:
        UserError: An override touches what the suites decide, or a value is not usable.
    """
    for override in args.overrides:
        if override.scope == "env" and override.path.startswith(FIXED_SECTIONS):
            raise UserError(f"--env.{override.path}: is decided by the suites and cannot be changed here")
    if not (math.isfinite(args.time_scale) and args.time_scale > 0.0):
        raise UserError(f"--time_scale: got {args.time_scale}, expected a number > 0")
    if args.json is not None:
        report.check_writable(args.json)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate what the command line asks for, and print the table as it grows.

    Returns:
        The JSON's content.
    """
    check_args(args)
    rows = select_rows([name.strip() for name in args.suite.split(",") if name.strip()], args.time_scale)
    session = open_session(args)
    cfg = evaluation_cfg(session.env_cfg, args.num_envs, args.seed)
    env, _ = task_registry.make_env(args.task, args, cfg)
    agent = make_agent(session, args, env)
    print(_summary(session, args, env))
    print(report.header())
    results = evaluate(env, agent, rows, args.seed, lambda name, row: print(report.line(name, row), flush=True))
    print(report.UNITS)
    env.sim.close()
    return _content(session, args, env, results)


def _summary(session: Session, args: argparse.Namespace, env: Any) -> str:
    source = f" {session.source}" if session.source else ""
    return f"{session.agent}{source} on {env.sim.robot.name}: {env.num_envs} robots, seed {args.seed}, {_sim_name(env)}"


def _sim_name(env: Any) -> str:
    from legged_gym.sim.registry import resolve_simulator

    return resolve_simulator(env.cfg.sim.backend)


def _content(session: Session, args: argparse.Namespace, env: Any, results: dict[str, Result]) -> dict[str, Any]:
    content: dict[str, Any] = {"agent": session.agent, "robot": env.sim.robot.name, "sim": _sim_name(env)}
    content |= {"task": args.task, "source": session.source, "seed": args.seed}
    if args.time_scale != 1.0:
        content["time_scale"] = args.time_scale
    return content | {"rows": results}


def main() -> None:
    """Evaluate from the command line."""
    args = parse_args(make_evaluate_parser())
    content = run(args)
    if args.json is not None:
        report.write_json(content, args.json)
    if "track" in content["rows"] and args.time_scale == 1.0:
        print(report.gate_line(content["rows"]["track"]))


if __name__ == "__main__":
    run_main(main)
