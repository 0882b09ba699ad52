"""Evaluates an agent: `python legged_gym/scripts/evaluate.py --task=pointfoot_flat --suite track,push --json FILE`.

Rows are walked one after the other, then listed in a table and judged. With `--report DIR` the agent's abilities are
mapped, too, and everything goes into one HTML page; `--against` sets another agent beside it.
"""

import shlex
import sys
from pathlib import Path
from typing import Any

from legged_gym.evaluation import page, report, results
from legged_gym.evaluation.loading import make_builder
from legged_gym.evaluation.probes import probe
from legged_gym.evaluation.rows import DEPLOYED, STANDARD_SUITES, SUITES, Row, select_rows
from legged_gym.evaluation.suites import FIXED_SECTIONS, PHYSICS, evaluate
from legged_gym.options import cli, runs
from legged_gym.options.cli import Parser, run_main
from legged_gym.options.request import Request, make_parser, parse_args
from legged_gym.options.resolve import resolve, resolve_other
from legged_gym.options.spec import RunSpec
from legged_gym.utils.errors import UserError


def make_evaluate_parser() -> Parser:
    """Build the parser of this script."""
    parser = make_parser("Evaluate an agent as the robot would run it (--list says what the rows are).", agent=True)
    num_envs = next(action for action in parser._actions if action.dest == "num_envs")
    num_envs.help = "robots of each row (default: %(default)s)"
    add = parser.add_argument
    known = ", ".join(["all", DEPLOYED, *SUITES])
    add(
        "--suite",
        default=",".join(STANDARD_SUITES),
        metavar="LIST",
        help=f"suites or single rows: {known} (default: %(default)s)",
    )
    add("--physics", default=PHYSICS[0], choices=PHYSICS, help="ideal: no delay, noise or limits of motors; friction 1")
    add("--list", action="store_true", help="say what each row is, and stop")
    add("--json", type=cli.path, metavar="FILE", help="write the results here too")
    add(
        "--report", type=cli.path, metavar="DIR", help="map pushes, commands, clock and friction, and write report.html"
    )
    add("--against", metavar="AGENT", help="a second agent to compare with: as --agent, a run's name, or a path")
    add(
        "--sim2sim",
        type=cli.path,
        action="append",
        default=[],
        metavar="FILE",
        help="show in the report what sim2sim.py --json found (may be repeated)",
    )
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on all durations, for a quick look")
    results.add_option(parser)
    parser.set_defaults(headless=True, num_envs=256, seed=0)
    return parser


ORDER_HINT = (
    "No robot survived a row. ONNX files do not say in which order a policy has its joints: if this was not "
    "trained here, try sim2sim.py with --joint_order=isaaclab"
)
"""Advice for a policy that never walks."""


def check_request(request: Request, physics: str) -> None:
    """Refuse options that the suites cannot honour.

    Raises:
        UserError: An override touches something that the suites decide.
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
    at_once = spec.sim_device != "cpu"
    robots, seed = cfg.env.num_envs, cfg.seed

    def print_row(name: str, result: report.Result) -> None:
        print(report.row_line(name, result), flush=True)

    results = evaluate(make_builder(spec), cfg, rows, robots, seed, at_once, print_row, physics=physics)
    print("\n".join(["", report.table(kind, results), *report.endings(results), ""]))
    if kind == "onnx" and all(result["survival"] == 0.0 for result in results.values()):
        print(f"{ORDER_HINT}\n")
    return content | {"rows": results}


def write_report(
    folder: Path,
    specs: list[RunSpec],
    contents: list[dict[str, Any]],
    rows: list[Row],
    second_opinions: list[dict[str, Any]],
) -> Path:
    """Map the agents' abilities, and write the page.

    Args:
        folder: Folder of the page.
        specs: One agent, or two.
        contents: Result of `run` for each agent; gets the maps.
        rows: The rows that they walked.
        second_opinions: JSON content from sim2sim.py, about the first agent.
    """
    physics, time_scale = contents[0]["physics"], contents[0].get("time_scale", 1.0)
    subjects = []
    for i, (spec, content) in enumerate(zip(specs, contents, strict=True)):
        cfg, build = spec.env_cfg, make_builder(spec)
        found = probe(build, cfg, cfg.env.num_envs, cfg.seed, spec.sim_device, physics, time_scale)
        content["maps"] = found.as_json()
        subjects.append(page.Subject(spec.title, content, found, second_opinions if i == 0 else []))
    command = shlex.join(["evaluate.py", *sys.argv[1:]])
    text = page.page(subjects, rows, page.machine_facts(), command, is_judged(physics, time_scale))
    return report.write_text(text, folder / "report.html")


def save_result(path: Path, spec: RunSpec, content: dict[str, Any]) -> None:
    """Write the rows of an agent as figures for the results page."""
    robots = spec.env_cfg.env.num_envs
    results.save(
        path,
        f"{spec.title} on {spec.robot}, {content['physics']}",
        "Policies",
        results.ROW_COLUMNS,
        results.of_rows(content["rows"], robots),
        f"standard error of {robots} robots",
        [content["seed"]],
        hardware=results.gpu_name(spec.sim_device),
    )


def is_judged(physics: str, time_scale: float) -> bool:
    """Whether rows are whole and walked as deployed; only such rows get a verdict."""
    return time_scale == 1.0 and physics == PHYSICS[0]


def main() -> None:
    """Evaluate from the command line."""
    args = parse_args(make_evaluate_parser())
    check_request(args.request, args.physics)
    rows = select_rows(args.suite.split(","), args.time_scale)
    if args.list:
        print("\n".join(report.explanations(rows)))
        return
    for file in filter(None, (args.json, args.result)):
        report.check_writable(file)
    if args.sim2sim and args.report is None:
        raise UserError("--sim2sim: goes with --report=DIR")
    second_opinions = [page.read_sim2sim(report.read_json(file), file) for file in args.sim2sim]
    specs = [resolve(args.request)]
    if args.against is not None:
        specs.append(resolve_other(args.request, args.against, "--against"))
    if args.report is not None:
        runs.make_folder(args.report)
        report.check_writable(args.report / "report.html")
    contents = [run(spec, rows, args.physics, args.time_scale) for spec in specs]
    written = None if args.report is None else write_report(args.report, specs, contents, rows, second_opinions)
    if args.json is not None:
        report.write_json(contents[0] | ({"against": contents[1]} if args.against else {}), args.json)
    if args.result is not None:
        save_result(args.result, specs[0], contents[0])
    judged = is_judged(args.physics, args.time_scale)
    for spec, content in zip(specs, contents, strict=True):
        lines = report.verdict(content["rows"]) if judged else [report.NO_VERDICT]
        print("\n".join([spec.title, *lines] if args.against else lines))
    if written is not None:
        print(f"report: {written}")


if __name__ == "__main__":
    run_main(main)
