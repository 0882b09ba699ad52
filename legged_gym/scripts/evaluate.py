"""Evaluates an agent: `python legged_gym/scripts/evaluate.py --task=pointfoot_flat --suite track,push --json FILE`."""

import argparse
from pathlib import Path
from typing import Any

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation import report
from legged_gym.evaluation.loading import Session, make_agent_parser, make_builder, open_session
from legged_gym.evaluation.suites import FIXED_SECTIONS, STANDARD_SUITES, SUITES, Result, Row, evaluate, select_rows
from legged_gym.sim.registry import resolve_simulator
from legged_gym.utils import machine
from legged_gym.utils.cli import Parser, parse_args, run_main
from legged_gym.utils.errors import UserError
from legged_gym.utils.run_setup import robot_name, settle_sim


def make_evaluate_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_agent_parser("Evaluate an agent on nominal physics (rows: legged_gym/evaluation/suites.py).")
    num_envs = next(action for action in parser._actions if action.dest == "num_envs")
    num_envs.help = "robots of each row (default: %(default)s)"
    add = parser.add_argument
    known = ", ".join(["all", *SUITES])
    add("--suite", default=",".join(STANDARD_SUITES), metavar="LIST", help=f"of {known} (default: %(default)s)")
    add("--json", type=Path, metavar="FILE", help="write the results here too")
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on all durations, for a quick look")
    parser.set_defaults(headless=True, num_envs=256, seed=0)
    return parser


def check_args(args: argparse.Namespace) -> list[Row]:
    """Refuse what the suites cannot honour; returns the rows that are asked for.

    Raises:
        UserError: An override touches what the suites decide, or a value is not usable.
    """
    for override in args.overrides:
        if override.scope == "env" and override.path.startswith(FIXED_SECTIONS):
            raise UserError(f"--env.{override.path}: is decided by the suites and cannot be changed here")
    if args.json is not None:
        report.check_writable(args.json)
    return select_rows(args.suite.split(","), args.time_scale)


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate what the command line asks for, and print the table as it grows.

    Returns:
        The JSON's content.
    """
    rows = check_args(args)
    session = open_session(args)
    content = _head(session, args)
    print(f"{session.title} on {content['robot']}: {args.num_envs} robots a row, seed {args.seed}")
    print(report.header(session.agent))
    at_once = args.sim_device != "cpu"
    build = make_builder(session, args)
    results = evaluate(build, session.env_cfg, rows, args.num_envs, args.seed, at_once, _print_row)
    print(report.units(session.agent))
    return content | {"rows": results}


def _print_row(name: str, result: Result) -> None:
    print(report.line(name, result), flush=True)


def _head(session: Session, args: argparse.Namespace) -> dict[str, Any]:
    """Settle device and robot, and return what the JSON says besides the rows."""
    settle_sim(args, session.env_cfg, machine.detect())
    content: dict[str, Any] = {"agent": session.agent, "robot": robot_name(session.env_cfg)}
    content |= {"sim": resolve_simulator(session.env_cfg.sim.backend)}
    content |= {"task": args.task, "source": session.source, "seed": args.seed}
    return content | ({} if args.time_scale == 1.0 else {"time_scale": args.time_scale})


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
