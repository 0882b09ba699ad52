"""Results of an evaluation as a table and as JSON."""

import json
import os
from pathlib import Path
from typing import Any

from legged_gym.evaluation.suites import GATE, GATE_SURVIVAL, Result, passes_walking_gate
from legged_gym.utils.errors import UserError

COLUMNS = (
    ("survival", "survival", "5.3f"),
    ("rmse_vx", "rmse vx", "5.3f"),
    ("rmse_vy", "rmse vy", "5.3f"),
    ("rmse_wz", "rmse wz", "5.3f"),
    ("bias_vx", "bias vx", "+6.3f"),
    ("bias_vy", "bias vy", "+6.3f"),
    ("bias_wz", "bias wz", "+6.3f"),
    ("mean_abs_daction", "|daction|", "5.3f"),
    ("torque_rms", "torque", "5.1f"),
    ("peak_power", "power", "5.0f"),
    ("foot_slip", "slip", "5.3f"),
    ("base_height", "height", "5.3f"),
    ("step_rate", "steps/s", "5.2f"),
    ("distance", "distance", "5.2f"),
)
"""Field, heading and format of the table's columns."""
TEACHER_COLUMNS = (
    ("dcm_error", "DCM err", "5.4f"),
    ("dcm_error_steady", "steady", "5.4f"),
    ("dcm_error_without_offset", "no offset", "5.4f"),
)
"""Further columns of the teacher."""
UNITS = (
    "rmse, bias in m/s and rad/s; torque: rms [N m]; power: peak, mean over robots [W]; slip [m/s]; "
    "height, distance made good [m]"
)
TEACHER_UNITS = (
    "DCM err: rms DCM offset error at touchdown; steady: of steps without a new command; no offset: of all steps, had "
    "the learned offset not been applied, to first order [m]"
)
_WIDTH = 16


def header(agent: str) -> str:
    """Return the table's first line, for an agent of this name."""
    columns = (*COLUMNS, *TEACHER_COLUMNS) if agent == "teacher" else COLUMNS
    return f"{'row':<{_WIDTH}}" + "".join(f"{heading:>10}" for _, heading, _ in columns)


def units(agent: str) -> str:
    """Say what the table's columns are, for an agent of this name."""
    return f"{UNITS}\n{TEACHER_UNITS}" if agent == "teacher" else UNITS


def line(name: str, row: Result) -> str:
    """Return a row of the table; a dash where nothing could be measured."""
    columns = (*COLUMNS, *TEACHER_COLUMNS) if "dcm_error" in row else COLUMNS
    cells = ("-" if row.get(field) is None else format(row[field], form) for field, _, form in columns)
    return f"{name:<{_WIDTH}}" + "".join(f"{cell:>10}" for cell in cells)


def gate_line(track: Result) -> str:
    """Say whether the `track` row passes the walking gate."""
    limits = ", ".join(f"{name} <= {limit:.2f}" for name, limit in GATE.items())
    verdict = "passed" if passes_walking_gate(track) else "not passed"
    return f"walking gate (track: survival >= {GATE_SURVIVAL}, {limits}): {verdict}"


def check_writable(path: Path) -> None:
    """Raise before the work is done if its result cannot be written.

    Raises:
        UserError: The folder is not there or not writable, or the path is a folder.
    """
    if path.is_dir():
        raise UserError(f"{path}: is a folder, expected a file name")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise UserError(f"{path}: cannot be written")


def write_json(data: dict[str, Any], path: Path) -> None:
    """Write a result as JSON, whole or not at all."""
    temporary = path.with_name(f".{path.name}.tmp")
    temporary.write_text(json.dumps(data, indent=2, allow_nan=False) + "\n")
    temporary.replace(path)
