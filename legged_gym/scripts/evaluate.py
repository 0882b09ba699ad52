"""Evaluates an agent: `python legged_gym/scripts/evaluate.py --task=pointfoot_flat --suite track,push --json FILE`."""

from typing import Any

from legged_gym.evaluation import report
from legged_gym.evaluation.loading import make_builder
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import DEPLOYED, STANDARD_SUITES, SUITES, Row, select_rows
from legged_gym.evaluation.suites import FIXED_SECTIONS, PHYSICS, evaluate
from legged_gym.options import cli
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import Request, make_parser, parse_args
from legged_gym.options.resolve import resolve
from legged_gym.options.spec import RunSpec
from legged_gym.utils.errors import UserError


def make_evaluate_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Evaluate an agent as the robot would run it (what the rows are: --list).", agent=True)
    num_envs = next(action for action in parser._actions if action.dest == "num_envs")
    num_envs.help = "robots of each row (default: %(default)s)"
    add = parser.add_argument
    known = ", ".join(["all", DEPLOYED, *SUITES])
    add("--suite", default=",".join(STANDARD_SUITES), metavar="LIST", help=f"of {known} (default: %(default)s)")
    add("--physics", default=PHYSICS[0], choices=PHYSICS, help="ideal: no delay, noise or limits of motors; friction 1")
    add("--list", action="store_true", help="say what each row is, and stop")
    add("--json", type=cli.path, metavar="FILE", help="write the results here too")
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on all durations, for a quick look")
    parser.set_defaults(headless=True, num_envs=256, seed=0)
    return parser


def check_request(request: Request, physics: str) -> None:
    """Refuse what the suites cannot honour.

    Raises:
        UserError: An override touches what the suites decide.
    """
    for setting in request.settings:
        path = setting.field.removeprefix("env.")
        if setting.field != path and path.startswith(FIXED_SECTIONS[physics]):
            hint = "" if path.startswith(FIXED_SECTIONS["ideal"]) else " but with --physics=ideal"
            raise UserError(f"{setting.option}: is decided by the suites and cannot be changed here{hint}")


def run(spec: RunSpec, rows: list[Row], physics: str = PHYSICS[0], time_scale: float = 1.0) -> dict[str, Any]:
    """Evaluate an agent, and print the table as it grows.

    Args:
        spec: The agent, and the environment's config.
        rows: From `select_rows`.
        physics: One of `PHYSICS`.
        time_scale: Factor that the rows' durations have been multiplied by.

    Returns:
        The JSON's content.
    """
    agent, cfg = spec.agent, spec.env_cfg
    kind = "" if agent is None else agent.kind
    content: dict[str, Any] = {"agent": kind, "robot": spec.robot, "sim": cfg.sim.backend}
    content |= {"physics": physics, "task": spec.task, "source": spec.source, "seed": cfg.seed}
    content |= {} if time_scale == 1.0 else {"time_scale": time_scale}
    print(f"{spec.title} on {spec.robot}, {physics}: {cfg.env.num_envs} robots a row, seed {cfg.seed}")
    columns = report.columns(kind, rows)
    print(report.header(columns))

    def print_row(name: str, result: Result) -> None:
        print(report.line(columns, name, result), flush=True)

    at_once = spec.sim_device != "cpu"
    robots, seed = cfg.env.num_envs, cfg.seed
    results = evaluate(make_builder(spec), cfg, rows, robots, seed, at_once, print_row, physics=physics)
    print(report.units(kind))
    return content | {"rows": results}


def main() -> None:
    """Evaluate from the command line."""
    args = parse_args(make_evaluate_parser())
    check_request(args.request, args.physics)
    if args.json is not None:
        report.check_writable(args.json)
    rows = select_rows(args.suite.split(","), args.time_scale)
    if args.list:
        print("\n".join(report.explanations(rows)))
        return
    content = run(resolve(args.request), rows, args.physics, args.time_scale)
    if args.json is not None:
        report.write_json(content, args.json)
    if args.time_scale == 1.0 and args.physics == "deployed":
        print("\n".join(report.verdict(content["rows"])))


if __name__ == "__main__":
    run_main(main)
