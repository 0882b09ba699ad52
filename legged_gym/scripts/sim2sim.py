"""Judges an exported policy in another simulator, by the contract of the robot maker's controller.

`python legged_gym/scripts/sim2sim.py --onnx DIR --engine mujoco|drake --suite track,push --json FILE`
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from legged_gym import resources_dir
from legged_gym.deployment.comparison import LIFT
from legged_gym.deployment.contract import GAIT, JOINT_ORDERS
from legged_gym.deployment.engine import Physics
from legged_gym.deployment.joint_parameters import read_parameters
from legged_gym.deployment.judge import ENGINES, Setup, Verdict, judge, make_engine, record
from legged_gym.deployment.mujoco_scene import write_scene
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.deployment.robot_log import write_log
from legged_gym.deployment.rollout import ACTION_DELAY, NOISE
from legged_gym.evaluation import report, results
from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import DEPLOYED, STANDARD_SUITES, SUITES, Row, select_rows
from legged_gym.options import cli
from legged_gym.options.cli import Parser, run_main
from legged_gym.utils.errors import UserError, unknown_name
from legged_gym.utils.machine import usable_cores
from legged_gym.utils.progress import progress_bar

NUM_ENVS = {"mujoco": 64, "drake": 16}
"""Number of robots of each row, by engine."""
AGENT = "onnx"


def make_sim2sim_parser() -> Parser:
    """Build the parser of this script."""
    parser = Parser(
        description="Judge an exported policy in another simulator, as the robot's controller runs it.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    known = ", ".join(["all", DEPLOYED, *SUITES])
    add("--onnx", type=cli.path, metavar="DIR", help="folder with encoder.onnx and policy.onnx")
    add("--engine", choices=ENGINES, default="mujoco", help="simulator (default: %(default)s)")
    add("--model", type=cli.path, metavar="FILE", help="URDF, or for mujoco an MJCF (default: the robot's URDF)")
    add("--robot", metavar="NAME", help="folder under resources/robots (default: ROBOT_TYPE or PF_TRON1A)")
    add(
        "--suite",
        default=",".join(STANDARD_SUITES),
        metavar="LIST",
        help=f"suites or single rows: {known} (default: %(default)s)",
    )
    add("--num_envs", type=int, metavar="N", help="robots of each row (default: 64 in mujoco, 16 in drake)")
    add("--seed", type=int, default=0, metavar="N", help="seed of all random numbers (default: %(default)s)")
    add("--num_procs", type=int, metavar="N", help="processes (default: one for each core)")
    add(
        "--joint_order",
        choices=tuple(JOINT_ORDERS),
        default="legged_gym",
        help="joint order of the policy (default: %(default)s)",
    )
    add("--joints", type=cli.path, metavar="FILE", help="friction, inertia and delay of the joints, from identify.py")
    add("--log", type=cli.path, metavar="FILE", help="log the first robot of the first row, as CSV like a robot's")
    add("--hoist", action="store_true", help="hang the robot with its feet free and only log it, for identify.py")
    add("--exact", action="store_true", help="no sensor noise, no delay of actions")
    add("--time_scale", type=float, default=1.0, metavar="X", help="factor on all durations, for a quick look")
    add("--json", type=cli.path, metavar="FILE", help="write the results here too")
    results.add_option(parser)
    add("--write_scene", type=cli.path, metavar="FILE", help="write MuJoCo's scene as an MJCF, and stop without --onnx")
    return parser


def model_file(robot: str | None, model: Path | None) -> tuple[str, Path]:
    """Return the robot's name and the file of its model.

    Args:
        robot: Name of its folder under resources/robots; None for ROBOT_TYPE.
        model: File to use instead of that folder's.

    Raises:
        UserError: There is no such robot or file.
    """
    robot = robot or os.environ.get("ROBOT_TYPE", "PF_TRON1A")
    folder = resources_dir() / "robots"
    if model is None and not (folder / robot / "urdf" / "robot.urdf").is_file():
        raise UserError(unknown_name("robot", robot, (path.parent.name for path in folder.glob("*/urdf"))))
    model = model or folder / robot / "urdf" / "robot.urdf"
    if not model.is_file():
        raise UserError(f"--model {model}: no such file")
    return robot, model


def run(
    setup: Setup,
    robot: str,
    rows: Sequence[Row],
    num_envs: int,
    seed: int = 0,
    num_procs: int | None = None,
    title: str | None = None,
) -> dict[str, Any]:
    """Judge a policy, and print the table as it grows.

    Args:
        setup: Policy, engine and model.
        robot: The robot's name.
        rows: From `select_rows`.
        num_envs: Number of robots of each row.
        seed: Seed of all draws.
        num_procs: Number of processes; None for one on each core.
        title: Name of the policy; None for its folder.

    Returns:
        The JSON's content.
    """
    OnnxNetworks(setup.onnx)  # names a broken file before processes start
    engine, model = make_engine(setup, Physics()), _shown(setup.model)
    content: dict[str, Any] = {"agent": AGENT, "robot": robot, "engine": engine.title, "source": str(setup.onnx)}
    content |= {"model": model, "seed": seed, "joint_order": setup.joint_order}
    content |= {"figures": engine.figures | _controller_figures(setup)}
    engine.close()
    title = title or str(setup.onnx)
    print(f"{title} by contract in {content['engine']} on {model}: {num_envs} robots a row, seed {seed}")
    columns = report.columns(AGENT, rows)
    print(report.header(columns))

    def print_row(name: str, result: Result | str) -> None:
        text = f"{name}: left out: {result}" if isinstance(result, str) else report.line(columns, name, result)
        print(text, flush=True)
        bar.advance()

    with progress_bar("judging", len(rows), whole=True) as bar:
        verdict = judge(rows, setup, num_envs, seed, num_procs or usable_cores(), print_row)
    for line in (report.units(AGENT, columns), *report.endings(verdict.rows)):
        print(line)
    _print_hint(verdict, setup.joint_order)
    return content | {"rows": verdict.rows, "left_out": verdict.left_out}


def _shown(model: Path) -> str:
    """Return the path of one of our models from the repository's root, which is the same on every machine."""
    root = resources_dir().parent
    return str(model.relative_to(root) if model.is_relative_to(root) else model)


def _controller_figures(setup: Setup) -> dict[str, Any]:
    noise, delay = (NOISE, ACTION_DELAY) if setup.noisy else ({}, 0.0)
    joints = {} if setup.joints is None else {"joints": setup.joints.values()}
    return {"gait": list(GAIT), "action_delay": delay, "noise": noise} | joints


def _print_hint(verdict: Verdict, joint_order: str) -> None:
    """Print advice for a policy that never walks."""
    if not verdict.fell_at_once:
        return
    other = next(name for name in JOINT_ORDERS if name != joint_order)
    order = list(JOINT_ORDERS["isaaclab"])
    print(
        f"Every robot fell at once. The files do not say in which order the policy has its joints. Isaac Lab's order "
        f"is {order}: try --joint_order {other}"
    )


def save_result(path: Path, content: dict[str, Any], robots: int) -> None:
    """Write the rows as figures for the results page."""
    results.save(
        path,
        f"{content['source']} by contract in {content['engine']}",
        "Policies",
        results.ROW_COLUMNS,
        results.of_rows(content["rows"], robots),
        f"standard error of {robots} robots",
        [content["seed"]],
    )


def main() -> None:
    """Judge from the command line."""
    args = make_sim2sim_parser().parse_args()
    for name in ("num_envs", "num_procs"):
        value = getattr(args, name)
        if value is not None and value < 1:
            raise UserError(f"--{name}: got {value}, expected a number >= 1")
    if args.hoist and args.log is None:
        raise UserError("--hoist only makes a log: name its file with --log")
    for file in filter(None, (args.json, args.result, args.write_scene, args.log)):
        report.check_writable(file)
    robot, model = model_file(args.robot, args.model)
    if args.write_scene is not None:
        write_scene(model, Physics(), args.write_scene)
        print(f"scene: {args.write_scene}")
    if args.onnx is None:
        if args.write_scene is None:
            raise UserError("--onnx: name the folder with encoder.onnx and policy.onnx")
        return
    rows = select_rows(args.suite.split(","), args.time_scale)
    joints = None if args.joints is None else read_parameters(args.joints)
    setup = Setup(args.onnx, args.engine, model, args.joint_order, noisy=not args.exact, joints=joints)
    if args.log is not None:
        write_log(args.log, record(rows[0], setup, args.seed, LIFT if args.hoist else 0.0))
        print(f"log: {args.log}, {rows[0].name}{' on the hoist' if args.hoist else ''}")
    if args.hoist:
        return
    content = run(setup, robot, rows, args.num_envs or NUM_ENVS[args.engine], args.seed, args.num_procs)
    content |= {} if args.time_scale == 1.0 else {"time_scale": args.time_scale}
    if args.json is not None:
        report.write_json(content, args.json)
    if args.result is not None:
        save_result(args.result, content, args.num_envs or NUM_ENVS[args.engine])
    if args.time_scale == 1.0 and not args.exact:
        print("\n".join(report.verdict(content["rows"])))


if __name__ == "__main__":
    run_main(main)
