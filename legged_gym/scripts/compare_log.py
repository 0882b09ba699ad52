"""Sets a robot's log beside the simulator: `compare_log.py LOG.csv --onnx DIR --out FOLDER`.

Legs in the air are simulated again from the logged targets; with the policy, the simulated robot also gets the same
commands by the controller's contract. Writes tables, two figures and a JSON file; docs/deploy.md explains them.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from legged_gym.deployment import log_plots
from legged_gym.deployment.air_replay import AirReplay
from legged_gym.deployment.comparison import (
    Summary,
    feet_of,
    joint_errors,
    replay_commands,
    replay_joints,
    summarize,
    table,
)
from legged_gym.deployment.contract import JOINT_ORDERS
from legged_gym.deployment.identification import HANGING
from legged_gym.deployment.joint_parameters import JointParameters, read_parameters
from legged_gym.deployment.leg_model import Feet
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.deployment.robot_log import RobotLog, write_log
from legged_gym.evaluation import report
from legged_gym.options import cli, runs
from legged_gym.options.cli import Parser, run_main
from legged_gym.scripts import identify
from legged_gym.scripts.identify import LogChoice
from legged_gym.scripts.sim2sim import model_file
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import usable_cores


def make_compare_parser() -> Parser:
    """Build the parser of this script."""
    parser = Parser(description="Compare a robot's log with the simulator.", allow_abbrev=False)
    identify.add_log_options(parser)
    add = parser.add_argument
    add(
        "--onnx",
        type=cli.path,
        metavar="DIR",
        help="folder of the policy's ONNX files, to simulate the log's commands",
    )
    add(
        "--joint_order",
        choices=tuple(JOINT_ORDERS),
        default="legged_gym",
        help="joint order of the policy (default: %(default)s)",
    )
    add("--joints", type=cli.path, metavar="FILE", help="joints of the simulated robot, from identify.py")
    add("--identify", action="store_true", help="identify the joints from this log first, and simulate with them")
    add("--seed", type=int, default=0, metavar="N", help="seed of the simulated sensor noise (default: %(default)s)")
    add("--out", type=cli.path, metavar="DIR", help="where tables and figures go (default: compare_<LOG> here)")
    return parser


def compare_joints(
    choice: LogChoice, log: RobotLog, feet: Feet, model: Path, joints: JointParameters, folder: Path
) -> Summary | str:
    """Simulate legs in the air from the logged targets, and draw them.

    Returns:
        The rms differences [rad], or the reason why there are none.
    """
    replay = AirReplay(model, log, choice.num_procs or usable_cores(), choice.kp, choice.kd)
    try:
        simulated = replay_joints(replay, log, feet.contact, joints)
    except UserError as error:
        return str(error)
    finally:
        replay.close()
    log_plots.plot_joints(log, simulated, folder / "joints.png")
    return joint_errors(log, simulated)


def compare_walks(
    again: Callable[[bool], RobotLog] | None,
    log: RobotLog,
    feet: Feet,
    model: Path,
    joints: JointParameters,
    folder: Path,
) -> tuple[Summary, Summary | None]:
    """Summarise the log and the simulated robot with the same commands, and draw both.

    Args:
        again: Simulates the log's commands, hanging on the hoist or not; None without a policy.
        log: The robot's log.
        feet: The feet in its rows.
        model: The robot's URDF.
        joints: Joint parameters of the simulated robot.
        folder: Folder of the figures.
    """
    simulator = None
    if again is not None:
        made = again(bool(feet.contact.mean() < HANGING))
        if made.time[-1] - made.time[0] < 0.95 * (log.time[-1] - log.time[0]):
            print(f"the simulated robot fell after {made.time[-1] - made.time[0]:.1f} s: compared up to there")
            log = log.rows(slice(0, int((log.time - log.time[0] <= made.time[-1] - made.time[0]).sum())))
            feet = Feet(*(values[: len(log.time)] for values in vars(feet).values()))
        write_log(folder / "simulator.csv", made)
        simulator = made, feet_of(made, model, joints)
    log_plots.plot_walks((log, feet), simulator, folder / "walk.png")
    return summarize(log, feet), None if simulator is None else summarize(*simulator)


def main() -> None:
    """Compare from the command line."""
    args = make_compare_parser().parse_args()
    if args.joints is not None and args.identify:
        raise UserError("--joints and --identify both set the simulated joints: give only one of them")
    _, model = model_file(args.robot, args.model)
    choice = LogChoice.of(vars(args))
    log = identify.open_log(choice)
    networks = None if args.onnx is None else OnnxNetworks(args.onnx)  # a broken file fails early
    folder = runs.make_folder(args.out or Path(f"compare_{args.log.stem}"))
    joints = JointParameters() if args.joints is None else read_parameters(args.joints)
    if args.identify:
        found, content = identify.run(choice, log, model)
        report.write_json(content, folder / "joints.json")
        joints = found.joints()
    feet = feet_of(log, model, joints)
    print(f"{args.log}: {log.time[-1] - log.time[0]:.1f} s, a row every {1e3 * log.dt:.3g} ms")
    errors = compare_joints(choice, log, feet, model, joints, folder)
    if isinstance(errors, str):
        print(f"joints: left out: {errors}")
    else:
        cells = (f"{name.removeprefix('follow_')} {'-' if v is None else f'{v:.4f}'}" for name, v in errors.items())
        print(f"joints in the air, simulated from the logged targets, rms difference [rad]: {', '.join(cells)}")
    again = None
    if networks is not None:
        again = partial(replay_commands, log, networks, model, joints, args.seed, args.joint_order)
    robot, simulator = compare_walks(again, log, feet, model, joints, folder)
    print("\n".join(table(robot, simulator)))
    result = {"log": args.log.name, "joint_parameters": joints.values(), "robot": robot, "simulator": simulator}
    in_air = {"left_out": errors} if isinstance(errors, str) else {"rms": errors}
    report.write_json(result | {"joints_in_the_air": in_air}, folder / "comparison.json")
    print(f"figures and tables: {folder}")


if __name__ == "__main__":
    run_main(main)
