"""A robot's log beside the simulator: how joints follow, when feet stand, how fast it travels; one summary for both."""

from itertools import pairwise
from pathlib import Path

import numpy as np

from legged_gym.deployment.air_replay import AirReplay
from legged_gym.deployment.contract import CONTROL_DT, DECIMATION, GAIT, Networks
from legged_gym.deployment.engine import Physics
from legged_gym.deployment.identification import MAX_STEP, air_stretches
from legged_gym.deployment.joint_parameters import JointParameters
from legged_gym.deployment.leg_model import Feet, LegModel, runs_of
from legged_gym.deployment.mujoco_engine import MujocoEngine
from legged_gym.deployment.recorder import Recorder
from legged_gym.deployment.robot_log import SHORT_JOINTS, RobotLog, up_in_base
from legged_gym.deployment.rollout import Job, walk
from legged_gym.utils.errors import UserError

Summary = dict[str, float | None]
"""Figures of a log, by name; None where the log does not tell."""
UNITS = {"follow": "rad", "torque": "N m", "step": "1/s", "stance": "s", "swing": "s", "vx": "m/s", "vy": "m/s"}
"""First word of a name in a summary -> its unit; shares have none."""
AXES = ("vx", "vy", "wz")
STRIDE = 1.0 / GAIT[0]
"""Velocities are averaged over a gait cycle [s], for within one every walker sways."""
LIFT = 0.3
"""Height of the feet above the ground, for a robot on the simulated hoist [m]."""


def unit(name: str) -> str:
    """Return the unit of an entry of a summary."""
    first = name.partition("_")[0]
    return "rad/s" if first == "wz" else UNITS.get(first, "")


def feet_of(log: RobotLog, model: Path, joints: JointParameters | None = None) -> Feet:
    """Estimate contacts of the feet and the velocity; if the log has policy steps only, take the simulator's own notes.

    Raises:
        UserError: The log is too coarse, and no simulator wrote it.
    """
    if log.dt <= MAX_STEP:
        return LegModel(model, joints).feet(log)
    if log.contact is None or log.velocity is None:
        raise UserError(
            f"rows are {1e3 * log.dt:.3g} ms apart, too coarse to find contacts from torques: log every pass of the "
            f"control loop (2 ms)"
        )
    return Feet(np.full_like(log.contact, np.nan), log.contact > 0.5, log.velocity)


def summarize(log: RobotLog, feet: Feet) -> Summary:
    """Summarise a log.

    Args:
        log: A log, or a part of one.
        feet: The feet in its rows.
    """
    errors = np.sqrt(((log.target - log.joint_pos) ** 2).mean(axis=0))
    summary: Summary = {f"follow_{name}": float(error) for name, error in zip(SHORT_JOINTS, errors, strict=True)}
    summary["torque_rms"] = float(np.sqrt((log.torque**2).mean()))
    return summary | _timing(feet.contact, log.dt) | _velocities(log, feet)


def _timing(contact: np.ndarray, dt: float) -> Summary:
    """Describe when feet stand; stances and swings that the log cuts off do not count."""
    landings = [np.flatnonzero(contact[1:, foot] & ~contact[:-1, foot]) + 1 for foot in range(2)]
    duration = len(contact) * dt
    timing: Summary = {"step_rate": sum(map(len, landings)) / duration}
    for foot, side in enumerate("LR"):
        for kind, stands in (("stance", True), ("swing", False)):
            whole = [(a, b) for a, b in runs_of(contact[:, foot], stands) if a > 0 and b < len(contact)]
            timing[f"{kind}_{side}"] = float(np.mean([b - a for a, b in whole])) * dt if whole else None
    timing["both_stand"] = float(contact.all(axis=1).mean())
    timing["none_stands"] = float((~contact).all(axis=1).mean())
    timing["right_after_left"] = _offset(*landings)
    return timing


def _offset(left: np.ndarray, right: np.ndarray) -> float | None:
    """Return when the right foot lands between two landings of the left foot, as a share of the stride."""
    shares = []
    for first, last in pairwise(left):
        between = right[(right > first) & (right < last)]
        shares += [(between[0] - first) / (last - first)] if len(between) == 1 else []
    return float(np.median(shares)) if shares else None


def _velocities(log: RobotLog, feet: Feet) -> Summary:
    """Compare the velocity with the command, both averaged over a gait cycle."""
    moving = np.column_stack((feet.velocity, _yaw_rate(log)))
    summary: Summary = {}
    for axis, name in enumerate(AXES):
        actual = cycle_mean(moving[:, axis], log.dt)
        known = np.isfinite(actual)
        summary[f"{name}_mean"] = float(actual[known].mean()) if known.any() else None
        if log.command is None:
            continue
        asked = cycle_mean(log.command[:, axis], log.dt)
        summary[f"{name}_asked"] = float(asked[known].mean()) if known.any() else None
        summary[f"{name}_rmse"] = float(np.sqrt(((actual - asked)[known] ** 2).mean())) if known.any() else None
    return summary


def _yaw_rate(log: RobotLog) -> np.ndarray:
    """Return the angular velocity about the vertical [rad/s]. Shape (T,)."""
    return (up_in_base(log.quat) * log.body_rates).sum(axis=-1)


def cycle_mean(values: np.ndarray, dt: float) -> np.ndarray:
    """Average over a gait cycle, without NaN; NaN where less than half of a cycle is known. Shape (T,)."""
    width = max(1, min(round(STRIDE / dt), len(values)))
    known = np.isfinite(values).astype(float)
    box = np.ones(width)
    count = np.convolve(known, box, mode="same")
    total = np.convolve(np.nan_to_num(values), box, mode="same")
    full = np.convolve(np.ones(len(values)), box, mode="same")
    return np.where(count >= 0.5 * full, total / np.maximum(count, 1.0), np.nan)


def replay_commands(
    log: RobotLog,
    networks: Networks,
    model: Path,
    joints: JointParameters,
    seed: int = 0,
    joint_order: str = "legged_gym",
    hanging: bool = False,
) -> RobotLog:
    """Give the commands of a log to the simulated robot, by the contract, and log it in the same way.

    Args:
        log: A log with commands, from its first row with the policy at work.
        networks: The policy.
        model: URDF or MJCF.
        joints: Joint parameters of the simulated robot, and its delay.
        seed: Seed of the sensors' noise.
        joint_order: Joint order of the policy.
        hanging: Whether the robot hangs on the hoist.

    Returns:
        A log as long as `log`, or shorter if the robot fell.

    Raises:
        UserError: The log has no commands, or the model cannot be used.
    """
    if log.command is None:
        raise UserError(
            "the log has no commands to simulate: it needs command_vx, command_vy, command_wz, or leave out --onnx"
        )
    engine = MujocoEngine(model, Physics())
    engine.set_joints(joints)
    recorder = Recorder()
    times = np.arange(log.time[0], log.time[-1], CONTROL_DT * DECIMATION)
    rows = np.clip(np.searchsorted(log.time, times, side="right") - 1, 0, None)
    job = Job(log.command[rows], (seed,), GAIT[0], delay=joints.delay)
    walk(engine, networks, job, joint_order, recorder, LIFT if hanging else 0.0)
    engine.close()
    made = recorder.log()
    return made.rows(slice(made.walking_from(), None))


def replay_joints(replay: AirReplay, log: RobotLog, contact: np.ndarray, joints: JointParameters) -> np.ndarray:
    """Simulate the legs in the air from the logged targets.

    Args:
        replay: Simulates the log.
        log: The log.
        contact: Whether the foot stands. Shape (T, 2), bool.
        joints: Joint parameters of the simulated robot.

    Returns:
        Simulated joint angles [rad], NaN where no leg was simulated. Shape (T, 6).

    Raises:
        UserError: There is too little air time, or the log is too coarse.
    """
    stretches, _ = air_stretches(log, contact, replay.joint_limits)
    simulated = np.full_like(log.joint_pos, np.nan)
    for stretch, replayed in zip(stretches, replay.run([s.rows for s in stretches], [joints]), strict=True):
        for leg in np.flatnonzero(stretch.legs):
            own = slice(3 * leg, 3 * leg + 3)
            simulated[stretch.rows, own] = replayed.joint_pos[0, :, own]
    return simulated


def joint_errors(log: RobotLog, simulated: np.ndarray) -> Summary:
    """Return the rms of simulated minus logged joint angles [rad], by joint; None where nothing was simulated."""
    errors: Summary = {}
    for joint, name in enumerate(SHORT_JOINTS):
        known = np.isfinite(simulated[:, joint])
        difference = (simulated - log.joint_pos)[known, joint]
        errors[f"follow_{name}"] = float(np.sqrt((difference**2).mean())) if known.any() else None
    return errors


def table(robot: Summary, simulator: Summary | None) -> list[str]:
    """Return a table of the log beside the simulated one, line by line."""
    lines = [f"{'':<20}{'log':>10}" + ("" if simulator is None else f"{'simulator':>12}{'difference':>12}")]
    for name, value in robot.items():
        line = f"{name:<20}{_cell(value):>10}"
        if simulator is not None:
            other = simulator.get(name)
            difference = None if value is None or other is None else other - value
            line += f"{_cell(other):>12}{_cell(difference, '+.3f'):>12}"
        lines.append(f"{line}  {unit(name)}".rstrip())
    return lines


def _cell(value: float | None, form: str = ".3f") -> str:
    return "-" if value is None else format(value, form)
