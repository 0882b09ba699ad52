"""Logs as CSV: what is written is read, headers and units of others are translated, and bad files are named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from legged_gym.deployment.robot_log import COLUMNS, RobotLog, collect, read_columns, read_log, write_log
from legged_gym.utils.errors import UserError


def numbered(rows: int = 20, dt: float = 0.002) -> RobotLog:
    """A log in which every cell is another number."""
    widths = {name: len(names) for name, names in COLUMNS.items()}
    values = {}
    for k, (name, width) in enumerate(widths.items()):
        values[name] = 0.01 * k + 0.001 * np.arange(rows * width).reshape(rows, width) / width
    values["time"] = dt * np.arange(rows)
    values["quat"] = np.tile([0.8, 0.0, 0.6, 0.0], (rows, 1))
    values["acceleration"] = np.tile([-9.4, 0.0, 2.7], (rows, 1))  # the base points its nose down
    return RobotLog(**values)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    log, file = numbered(), tmp_path / "log.csv"
    write_log(file, log)
    again = read_log(file)
    for name, value in vars(log).items():
        np.testing.assert_allclose(getattr(again, name), value, rtol=1e-8, err_msg=name)
    header = file.read_text().splitlines()[0].split(",")
    assert header[:3] == ["time", "q_abad_L", "q_hip_L"] and len(header) == len(set(header)) == 42
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_optional_columns_may_lack_but_not_halfway(tmp_path: Path) -> None:
    file = tmp_path / "log.csv"
    write_log(file, replace(numbered(), velocity=None, contact=None, acceleration=None, command=None))
    again = read_log(file)
    assert again.command is None and again.contact is None and again.acceleration is None
    write_log(file, numbered())
    file.write_text(file.read_text().replace("imu_acc_y", "imu_acc_why"))
    with pytest.raises(UserError, match="has no column imu_acc_y; did you mean imu_acc_why"):
        read_log(file)


def test_headers_and_units_of_others(tmp_path: Path) -> None:
    log, file, columns = numbered(), tmp_path / "log.csv", tmp_path / "columns.yaml"
    nanoseconds = replace(log, time=1e9 * log.time + 5e9, joint_pos=np.degrees(log.joint_pos))
    write_log(file, nanoseconds)
    file.write_text(file.read_text().replace("time,", "stamp,").replace("q_hip_R", "motor_4", 1))
    mapping = {"time": {"column": "stamp", "scale": 1e-9, "offset": -5.0}}
    degrees = {name: {"column": name, "scale": float(np.pi / 180.0)} for name in COLUMNS["joint_pos"]}
    degrees["q_hip_R"]["column"] = "motor_4"
    columns.write_text(yaml.safe_dump(mapping | degrees))
    again = read_log(file, read_columns(columns))
    np.testing.assert_allclose(again.time, log.time, atol=1e-7)
    np.testing.assert_allclose(again.joint_pos, log.joint_pos, rtol=1e-6)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("q_hip: x", "no column is named q_hip; did you mean q_hip_"),
        ("time: 3", "time: expected a header, or"),
        ("time: {column: stamp, factor: 2}", "time: expected a header, or"),
        ("- time", "expected lines like"),
        ("time: [", "cannot be read"),
    ],
)
def test_bad_translations_are_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "columns.yaml").write_text(text)
    with pytest.raises(UserError, match=message):
        read_columns(tmp_path / "columns.yaml")


def spoil(log: RobotLog, name: str, row: int, column: int, value: float) -> RobotLog:
    values = getattr(log, name).copy()
    values.reshape(len(log.time), -1)[row, column] = value
    return replace(log, **{name: values})


@pytest.mark.parametrize(
    ("name", "row", "column", "value", "message"),
    [
        ("joint_vel", 3, 1, np.nan, "line 5, column dq_hip_L: not finite"),
        ("torque", 0, 5, np.inf, "line 2, column torque_knee_R: not finite"),
        ("joint_pos", 3, 1, 45.0, "q_abad_L and its kind reach 45: is it in rad"),
        ("body_rates", 3, 1, 900.0, "is it in rad/s"),
        ("quat", 4, 0, 3.0, "line 6: imu_quat has length"),
        ("time", 4, 0, 0.001, "line 6: time does not grow"),
    ],
)
def test_what_no_robot_does_is_named(
    tmp_path: Path, name: str, row: int, column: int, value: float, message: str
) -> None:
    write_log(tmp_path / "log.csv", spoil(numbered(), name, row, column, value))
    with pytest.raises(UserError, match=message):
        read_log(tmp_path / "log.csv")


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda text: text.replace("0.002,", "now,", 1), "line 3, column time: 'now' is no number"),
        (lambda text: text.replace("\n", ",7\n", 2).replace(",7", "", 1), "line 2 has 43 cells, the header has 42"),
        (lambda text: text.splitlines()[0] + "\n", "has 0 rows"),
        (lambda text: text.replace("target_knee_L", "goal", 1), "has no column target_knee_L"),
    ],
)
def test_broken_files_are_named(tmp_path: Path, edit: object, message: str) -> None:
    file = tmp_path / "log.csv"
    write_log(file, numbered())
    file.write_text(edit(file.read_text()))  # type: ignore[operator]
    with pytest.raises(UserError, match=message):
        read_log(file)
    with pytest.raises(UserError, match="cannot be read"):
        read_log(tmp_path / "nothing.csv")


def test_milliseconds_are_noticed(tmp_path: Path) -> None:
    write_log(tmp_path / "log.csv", numbered(dt=2.0))
    with pytest.raises(UserError, match="rows 2 s apart: is time in seconds"):
        read_log(tmp_path / "log.csv")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quat": [0.0, 0.6, 0.0, 0.8]}, "disagree by .* degrees about which way is up: is w of the quaternion"),
        ({"acceleration": [9.4, 0.0, -2.7]}, "disagree by 180 degrees|disagree by 179 degrees"),
        ({"acceleration": [-0.96, 0.0, 0.28]}, "imu_acc is mostly 1: it must be in m/s.2 and contain gravity"),
    ],
)
def test_an_imu_that_contradicts_itself_is_noticed(
    tmp_path: Path, change: dict[str, list[float]], message: str
) -> None:
    values = {name: np.tile(row, (20, 1)) for name, row in change.items()}
    write_log(tmp_path / "log.csv", replace(numbered(), **values))
    with pytest.raises(UserError, match=message):
        read_log(tmp_path / "log.csv")


def test_a_gap_in_time_parts_a_log() -> None:
    log = numbered()
    later = replace(log, time=log.time + 0.5 * (np.arange(20) >= 8))
    assert later.pieces() == [slice(0, 8), slice(8, 20)] and log.pieces() == [slice(0, 20)]


def test_the_policy_begins_where_targets_leave_zero() -> None:
    log = numbered()
    still = np.where(np.arange(20)[:, None] < 7, 0.0, log.target)
    assert replace(log, target=still).walking_from() == 7
    assert replace(log, target=0.0 * still).walking_from() == 0


def test_nothing_logged_is_said() -> None:
    with pytest.raises(UserError, match="nothing was logged"):
        collect([])
