"""Evaluates an agent: `python legged_gym/scripts/evaluate.py --task=pointfoot_flat --suite track,push --json FILE`."""

import argparse
from pathlib import Path
from typing import Any

import legged_gym.envs  # noqa: F401  registers the tasks
from legged_gym.evaluation import report
from legged_gym.evaluation.loading import Session, make_agent_parser, make_builder, open_session
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import DEPLOYED, STANDARD_SUITES, SUITES, Row, select_rows
from legged_gym.evaluation.suites import FIXED_SECTIONS, PHYSICS, evaluate
from legged_gym.sim.registry import resolve_simulator
from legged_gym.utils import machine
from legged_gym.utils.cli import Parser, parse_args, run_main
from legged_gym.utils.errors import UserError
from legged_gym.utils.run_setup import robot_name, settle_sim


def make_evaluate_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_agent_parser("Evaluate an agent as the robot would run it (what the rows are: --list).")
    num_envs = next(action for action in parser._actions if action.dest == "num_envs")
    num_envs.help = "robots of each row (default: %(default)s)"
    add = parser.add_argument
    known = ", ".join(["all", DEPLOYED, *SUITES])
    add("--suite", default=",".join(STANDARD_SUITES), metavar="LIST", help=f"of {known} (default: %(default)s)")
    add("--physics", default=PHYSICS[0], choices=PHYSICS, help="ideal: no delay, noise or limits of motors; friction 1")
    add("--list", action="store_true", help="say what each row is, and stop")
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
        if override.scope == "env" and override.path.startswith(FIXED_SECTIONS[args.physics]):
            hint = "" if override.path.startswith(FIXED_SECTIONS["ideal"]) else " but with --physics=ideal"
            raise UserError(f"--env.{override.path}: is decided by the suites and cannot be changed here{hint}")
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
    print(f"{session.title} on {content['robot']}, {args.physics}: {args.num_envs} robots a row, seed {args.seed}")
    columns = report.columns(session.agent, rows)
    print(report.header(columns))
    at_once = args.sim_device != "cpu"
    build = make_builder(session, args)

    def print_row(name: str, result: Result) -> None:
        print(report.line(columns, name, result), flush=True)

    results = evaluate(build, session.env_cfg, rows, args.num_envs, args.seed, at_once, print_row, physics=args.physics)
    print(report.units(session.agent))
    return content | {"rows": results}


def _head(session: Session, args: argparse.Namespace) -> dict[str, Any]:
    """Settle device and robot, and return what the JSON says besides the rows."""
    settle_sim(args, session.env_cfg, machine.detect())
    content: dict[str, Any] = {"agent": session.agent, "robot": robot_name(session.env_cfg)}
    content |= {"sim": resolve_simulator(session.env_cfg.sim.backend)}
    content |= {"physics": args.physics, "task": args.task, "source": session.source, "seed": args.seed}
    return content | ({} if args.time_scale == 1.0 else {"time_scale": args.time_scale})


def main() -> None:
    """Evaluate from the command line."""
    args = parse_args(make_evaluate_parser())
    if args.list:
        print("\n".join(report.explanations(check_args(args))))
        return
    content = run(args)
    if args.json is not None:
        report.write_json(content, args.json)
    if args.time_scale == 1.0 and args.physics == "deployed":
        print("\n".join(report.verdict(content["rows"])))


if __name__ == "__main__":
    run_main(main)
