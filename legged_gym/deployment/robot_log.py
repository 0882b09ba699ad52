"""Logs of a robot, real or simulated, as CSV: one row a pass of the control loop, columns by name, SI units.

`compare_log.py` and `identify.py` read such a file, whether a robot or a simulator wrote it.
"""

import csv
import difflib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from legged_gym.deployment.contract import JOINTS
from legged_gym.utils.errors import UserError
from legged_gym.utils.files import replacing

SHORT_JOINTS = tuple(name.removesuffix("_Joint") for name in JOINTS)
"""abad_L, hip_L, knee_L, abad_R, hip_R, knee_R."""
COLUMNS: dict[str, tuple[str, ...]] = {
    "time": ("time",),
    "joint_pos": tuple(f"q_{name}" for name in SHORT_JOINTS),
    "joint_vel": tuple(f"dq_{name}" for name in SHORT_JOINTS),
    "target": tuple(f"target_{name}" for name in SHORT_JOINTS),
    "torque": tuple(f"torque_{name}" for name in SHORT_JOINTS),
    "quat": tuple(f"imu_quat_{axis}" for axis in "wxyz"),
    "body_rates": tuple(f"imu_gyro_{axis}" for axis in "xyz"),
    "command": ("command_vx", "command_vy", "command_wz"),
    "acceleration": tuple(f"imu_acc_{axis}" for axis in "xyz"),
    "velocity": ("velocity_x", "velocity_y"),
    "contact": ("contact_L", "contact_R"),
}
"""Field of `RobotLog` -> its columns."""
OPTIONAL = ("command", "acceleration", "velocity", "contact")
"""Fields that a log may lack; only a simulator knows the last two."""
MAX_STEP = 0.05
"""Longest usual time between two rows that is accepted [s]."""
MAX_ANGLE, MAX_RATE = 2.0 * math.pi, 200.0
"""Larger joint angles [rad] or rates [rad/s] are not of this robot, or not in these units."""
USUAL_FORCE = (7.0, 13.0)
"""Median size of an accelerometer's reading [m/s^2]: mostly gravity."""
MAX_DISAGREEMENT = math.radians(30.0)
"""If "up" by accelerometer and by attitude differ by more on average [rad], they are not of one sensor."""
GAP = 5.0
"""A log is split where two rows are further apart than this many usual steps."""


@dataclass(frozen=True)
class RobotLog:
    """A robot's commands, motion and measurements; T rows."""

    time: np.ndarray
    """Time of each row [s], growing. Shape (T,)."""
    joint_pos: np.ndarray
    """Joint angles [rad], in the order of `JOINTS`. Shape (T, 6)."""
    joint_vel: np.ndarray
    """Joint velocities [rad/s]. Shape (T, 6)."""
    target: np.ndarray
    """Joint targets as sent to the servos in this pass [rad]. Shape (T, 6)."""
    torque: np.ndarray
    """Measured torque of the servos [N m]. Shape (T, 6)."""
    quat: np.ndarray
    """Attitude of the base, w x y z. Shape (T, 4)."""
    body_rates: np.ndarray
    """Angular velocity of the base, base frame [rad/s]. Shape (T, 3)."""
    command: np.ndarray | None = None
    """v_x, v_y [m/s], w_z [rad/s]. Shape (T, 3)."""
    acceleration: np.ndarray | None = None
    """Specific force at the base's origin, base frame, +9.81 upwards at rest [m/s^2]. Shape (T, 3)."""
    velocity: np.ndarray | None = None
    """True velocity of the base's origin, heading frame [m/s]. Shape (T, 2)."""
    contact: np.ndarray | None = None
    """1 for a foot on the ground. Shape (T, 2)."""

    @property
    def dt(self) -> float:
        """Usual time between two rows [s]."""
        return float(np.median(np.diff(self.time)))

    def rows(self, which: slice) -> "RobotLog":
        """Return some of the rows."""
        given = {name: value for name, value in vars(self).items() if value is not None}
        return replace(self, **{name: value[which] for name, value in given.items()})

    def pieces(self) -> list[slice]:
        """Return the stretches without a gap in time."""
        ends = np.flatnonzero(np.diff(self.time) > GAP * self.dt) + 1
        bounds = [0, *ends.tolist(), len(self.time)]
        return [slice(first, last) for first, last in pairwise(bounds)]

    def walking_from(self) -> int:
        """Return the first row with the policy at work: during its stand-up, the controller asks for zero angles."""
        moved = np.flatnonzero(np.abs(self.target).max(axis=1) > 1e-9)
        return int(moved[0]) if moved.size else 0


def read_columns(path: Path | None) -> dict[str, Any]:
    """Read which header in a file belongs to which of our columns.

    Args:
        path: YAML or JSON with one line per column: `q_hip_L: motor_2_pos`, or with a change of units
            `time: {column: stamp_ns, scale: 1.0e-9}`. None for a log with our own names.

    Returns:
        Our name -> header, or a mapping with `column`, and with `scale` and `offset` if given.

    Raises:
        UserError: The file cannot be read, or names a column that we do not have.
    """
    if path is None:
        return {}
    try:
        mapping = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"--columns {path}: cannot be read ({' '.join(str(error).split())[:120]})") from None
    if not isinstance(mapping, dict):
        raise UserError(f"--columns {path}: expected lines like 'q_hip_L: header in the log'")
    known = [name for names in COLUMNS.values() for name in names]
    for name, source in mapping.items():
        if name not in known:
            close = difflib.get_close_matches(str(name), known, n=1)
            raise UserError(f"--columns {path}: no column is named {name};{_meant(close)} known: {', '.join(known)}")
        if not _usable(source):
            raise UserError(f"--columns {path}: {name}: expected a header, or {{column: ..., scale: ..., offset: ...}}")
    return mapping


def _usable(source: Any) -> bool:
    if isinstance(source, str):
        return True
    numbers = {"scale", "offset"}
    return (
        isinstance(source, dict)
        and isinstance(source.get("column"), str)
        and set(source) <= {"column", *numbers}
        and all(isinstance(source[name], (int, float)) for name in numbers & set(source))
    )


def _meant(close: list[str]) -> str:
    return f" did you mean {close[0]}?" if close else ""


def read_log(path: Path, columns: Mapping[str, Any] | None = None) -> RobotLog:
    """Read a log.

    Args:
        path: CSV with a header.
        columns: From `read_columns`.

    Raises:
        UserError: The file cannot be read, lacks a column, or holds impossible values; names the row.
    """
    header, table = _read_table(path)
    fields: dict[str, np.ndarray] = {}
    for field, names in COLUMNS.items():
        sources = [_source(name, columns or {}) for name in names]
        missing = [source for source in sources if source[0] not in header]
        if missing and (field not in OPTIONAL or len(missing) < len(sources)):
            close = difflib.get_close_matches(missing[0][0], header, n=1)
            raise UserError(
                f"{path}: has no column {missing[0][0]};{_meant(close)} --columns FILE says what yours are called "
                f"(there are: {', '.join(header)[:300]})"
            )
        if not missing:
            values = [offset + scale * table[:, header.index(name)] for name, scale, offset in sources]
            fields[field] = values[0] if field == "time" else np.stack(values, axis=-1)
    log = RobotLog(**fields)
    _check(path, log)
    return replace(log, quat=log.quat / np.linalg.norm(log.quat, axis=1, keepdims=True))


def _source(name: str, columns: Mapping[str, Any]) -> tuple[str, float, float]:
    """Return header, factor and offset of one of our columns."""
    source = columns.get(name, name)
    if isinstance(source, str):
        return source, 1.0, 0.0
    return source["column"], float(source.get("scale", 1.0)), float(source.get("offset", 0.0))


def _read_table(path: Path) -> tuple[list[str], np.ndarray]:
    try:
        with path.open(newline="") as file:
            lines = list(csv.reader(file, skipinitialspace=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    if len(lines) < 3:
        raise UserError(f"{path}: has {max(len(lines) - 1, 0)} rows after its header, too few for a log")
    header = [name.strip() for name in lines[0]]
    for number, line in enumerate(lines[1:], 2):
        if len(line) != len(header):
            raise UserError(f"{path}: line {number} has {len(line)} cells, the header has {len(header)}")
    try:
        return header, np.array(lines[1:], np.float64)
    except ValueError:
        raise UserError(f"{path}: {_first_word(header, lines)}") from None


def _first_word(header: list[str], lines: list[list[str]]) -> str:
    """Name the first cell that is no number."""
    for number, line in enumerate(lines[1:], 2):
        for name, cell in zip(header, line, strict=True):
            try:
                float(cell)
            except ValueError:
                return f"line {number}, column {name}: '{cell}' is no number"
    return "holds something that is no number"


def _check(path: Path, log: RobotLog) -> None:
    """Refuse numbers that are impossible in their column."""
    for field, names in COLUMNS.items():
        values = getattr(log, field)
        bad = np.zeros((0, 2)) if values is None else np.argwhere(~np.isfinite(values.reshape(len(log.time), -1)))
        if len(bad):
            raise UserError(f"{path}: line {int(bad[0][0]) + 2}, column {names[int(bad[0][1])]}: not finite")
    steps = np.diff(log.time)
    if (steps <= 0.0).any():
        raise UserError(f"{path}: line {int(np.argmax(steps <= 0.0)) + 3}: time does not grow")
    if log.dt > MAX_STEP:
        raise UserError(f"{path}: rows {log.dt:g} s apart: is time in seconds? --columns can scale it")
    for field, limit, unit in (
        ("joint_pos", MAX_ANGLE, "rad"),
        ("target", 100.0, "rad"),
        ("joint_vel", MAX_RATE, "rad/s"),
        ("body_rates", MAX_RATE, "rad/s"),
    ):
        largest = float(np.abs(getattr(log, field)).max())
        if largest > limit:
            raise UserError(f"{path}: {COLUMNS[field][0]} and its kind reach {largest:.4g}: is it in {unit}?")
    _check_attitude(path, log)


def _check_attitude(path: Path, log: RobotLog) -> None:
    """Refuse quaternions that are no rotations, or that contradict the accelerometer: both say which way is up."""
    lengths = np.linalg.norm(log.quat, axis=1)
    if not (np.abs(lengths - 1.0) < 0.05).all():
        row = int(np.argmax(np.abs(lengths - 1.0)))
        raise UserError(f"{path}: line {row + 2}: imu_quat has length {lengths[row]:.3g}, expected 1")
    if log.acceleration is None:
        return
    size = float(np.median(np.linalg.norm(log.acceleration, axis=1)))
    if not USUAL_FORCE[0] < size < USUAL_FORCE[1]:
        raise UserError(f"{path}: imu_acc is mostly {size:.3g}: it must be in m/s^2 and contain gravity, 9.81 at rest")
    up, felt = up_in_base(log.quat).mean(axis=0), log.acceleration.mean(axis=0)
    cosine = float(up @ felt / max(np.linalg.norm(up) * np.linalg.norm(felt), 1e-9))
    apart = math.acos(min(max(cosine, -1.0), 1.0))
    if apart > MAX_DISAGREEMENT:
        raise UserError(
            f"{path}: imu_quat and imu_acc disagree by {math.degrees(apart):.0f} degrees about which way is up: "
            "is w of the quaternion where it should be, and is imu_acc +9.81 upwards at rest?"
        )


def up_in_base(quat: np.ndarray) -> np.ndarray:
    """Return the vertical unit vector in the base frame. Shape (T, 4), w x y z -> (T, 3)."""
    w, x, y, z = quat.T
    return np.stack((2.0 * (x * z - w * y), 2.0 * (y * z + w * x), 1.0 - 2.0 * (x * x + y * y)), axis=-1)


def write_log(path: Path, log: RobotLog) -> None:
    """Write a log, whole or not at all."""
    given = [(names, getattr(log, field)) for field, names in COLUMNS.items() if getattr(log, field) is not None]
    table = np.column_stack([values for _, values in given])
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([name for names, _ in given for name in names])
        writer.writerows([f"{value:.9g}" for value in row] for row in table)


def collect(rows: Iterable[Mapping[str, Any]]) -> RobotLog:
    """Build a log from rows, each a mapping from the fields of `RobotLog` to their values."""
    rows = list(rows)
    if not rows:
        raise UserError("nothing was logged")
    return RobotLog(**{name: np.array([row[name] for row in rows], np.float64) for name in rows[0]})
