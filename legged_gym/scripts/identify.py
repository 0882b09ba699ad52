"""Finds joint friction, damping, rotor inertia and delay from a robot's log: `identify.py LOG.csv --json joints.json`.

`sim2sim.py --joints joints.json` then judges a policy with such joints, and `compare_log.py --joints joints.json` sets
the log beside them. docs/deploy.md describes how to record a log that tells these parameters.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from legged_gym.deployment.air_replay import AirReplay
from legged_gym.deployment.contract import KD, KP
from legged_gym.deployment.identification import Identification, identify
from legged_gym.deployment.joint_parameters import DELAY, KINDS, JointParameters
from legged_gym.deployment.leg_model import LegModel
from legged_gym.deployment.robot_log import RobotLog, read_columns, read_log
from legged_gym.evaluation import report
from legged_gym.options import cli
from legged_gym.options.cli import Parser, run_main
from legged_gym.scripts.sim2sim import model_file
from legged_gym.utils.errors import UserError
from legged_gym.utils.machine import usable_cores


@dataclass(frozen=True)
class LogChoice:
    """The log, the part of it that counts, and its servos: the options of `add_log_options`."""

    log: Path
    columns: Path | None
    start: float | None
    """Time at which this part starts [s]; None for the end of the stand-up."""
    stop: float | None
    """Time at which this part stops [s]; None for the end of the log."""
    kp: float
    """Stiffness of the servos when the log was written [N m/rad]."""
    kd: float
    """Damping of the servos when the log was written [N m s/rad]."""
    num_procs: int | None

    @classmethod
    def of(cls, options: dict[str, Any]) -> "LogChoice":
        """Pick the fields out of all options of a script."""
        return cls(**{field.name: options[field.name] for field in fields(cls)})


def add_log_options(parser: Parser) -> None:
    """Add the options that choose a log and the part of it that counts."""
    add = parser.add_argument
    add("log", type=cli.path, metavar="LOG.csv", help="log of a robot, or of sim2sim.py --log")
    add("--columns", type=cli.path, metavar="FILE", help="YAML: our column -> header in the log, with scale if needed")
    add("--start", type=float, metavar="S", help="leave out the log before this time [s] (default: the stand-up)")
    add("--stop", type=float, metavar="S", help="leave out the log after this time [s]")
    add("--robot", metavar="NAME", help="folder under resources/robots (default: ROBOT_TYPE or PF_TRON1A)")
    add("--model", type=cli.path, metavar="FILE", help="another URDF")
    add("--kp", type=float, default=KP, help="stiffness of the servos in the log [N m/rad] (default: %(default)g)")
    add("--kd", type=float, default=KD, help="damping of the servos in the log [N m s/rad] (default: %(default)g)")
    add("--num_procs", type=int, metavar="N", help="threads (default: one for each core)")


def open_log(choice: LogChoice) -> RobotLog:
    """Read the chosen part of the log.

    Raises:
        UserError: The log cannot be used, or nothing is left of it.
    """
    for name in ("kp", "kd"):
        if not 0.0 <= getattr(choice, name) < 1e4:
            raise UserError(f"--{name}: got {getattr(choice, name)}, expected a number >= 0")
    if choice.num_procs is not None and choice.num_procs < 1:
        raise UserError(f"--num_procs: got {choice.num_procs}, expected a number >= 1")
    log = read_log(choice.log, read_columns(choice.columns))
    first = log.walking_from() if choice.start is None else int((log.time < choice.start).sum())
    last = len(log.time) if choice.stop is None else int((log.time <= choice.stop).sum())
    if last - first < 10:
        raise UserError(
            f"{choice.log}: nothing is left between --start and --stop; it goes from {log.time[0]:g} s to "
            f"{log.time[-1]:g} s"
        )
    return log.rows(slice(first, last))


def unit(name: str) -> str:
    """Return the unit of a joint parameter."""
    return "s" if name == DELAY else KINDS[name.partition("_")[0]]


def lines(found: Identification) -> list[str]:
    """Describe which parameters a log tells, and which it does not."""
    default = JointParameters().values()
    where = "on the hoist" if found.hanging else "between stances"
    text = [
        f"legs in the air {where}: left {found.air_time[0]:.1f} s, right {found.air_time[1]:.1f} s counted",
        f"{'':<16}{'value':>10}{'std error':>12}{'before':>10}",
    ]
    for name, estimate in found.parameters.items():
        value = f"{estimate.value:10.4f}" if estimate.identified else f"{'unknown':>10}"
        note = "" if estimate.identified else f"  not identified: {estimate.why_not}"
        text.append(f"{name:<16}{value}{estimate.error:>12.4f}{default[name]:>10.4f}  {unit(name)}{note}")
    before, after = found.rms_before, found.rms_after
    text.append(
        f"simulated minus logged, rms: {before[0]:.4f} rad and {before[1]:.3f} rad/s before, "
        f"{after[0]:.4f} rad and {after[1]:.3f} rad/s after"
    )
    unknown = [name for name, estimate in found.parameters.items() if not estimate.identified]
    if unknown:
        text.append(f"not in this log: {', '.join(unknown)}; they keep the values of the maker's scene")
        text.append("log longer, with faster and larger moves of these joints, best of all on the hoist")
    return text


def content(found: Identification, log: Path, model: Path, kp: float, kd: float) -> dict[str, Any]:
    """Return the JSON that `read_parameters` reads."""
    parameters = {
        name: {
            "value": estimate.value,
            "std_error": estimate.error if estimate.error < 1e300 else None,
            "unit": unit(name),
            "identified": estimate.identified,
        }
        for name, estimate in found.parameters.items()
    }
    rms = {"before": found.rms_before.tolist(), "after": found.rms_after.tolist()}
    return {"log": log.name, "model": model.name, "kp": kp, "kd": kd, "parameters": parameters, "rms": rms}


def run(choice: LogChoice, log: RobotLog, model: Path) -> tuple[Identification, dict[str, Any]]:
    """Identify, and print the results.

    Returns:
        The identification, and the JSON's content.
    """
    cores = choice.num_procs or usable_cores()
    replay = AirReplay(model, log, cores, choice.kp, choice.kd)
    if log.acceleration is None:
        print("note: the log has no imu_acc columns: the base is assumed not to accelerate")
    found = identify(replay, log, LegModel(model).feet(log).contact, lambda line: print(line, flush=True))
    replay.close()
    print("\n".join(lines(found)))
    return found, content(found, choice.log, model, choice.kp, choice.kd)


def main() -> None:
    """Identify from the command line."""
    parser = Parser(description="Find friction, inertia and delay of joints from a robot's log.", allow_abbrev=False)
    add_log_options(parser)
    parser.add_argument("--json", type=cli.path, metavar="FILE", help="write the result here too")
    args = parser.parse_args()
    if args.json is not None:
        report.check_writable(args.json)
    _, model = model_file(args.robot, args.model)
    choice = LogChoice.of(vars(args))
    _, result = run(choice, open_log(choice), model)
    if args.json is not None:
        report.write_json(result, args.json)
        print(f"joints: {args.json}")


if __name__ == "__main__":
    run_main(main)
