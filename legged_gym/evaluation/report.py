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
UNITS = (
    "rmse, bias in m/s and rad/s; torque: rms [N m]; power: peak, mean over robots [W]; slip [m/s]; "
    "height, distance made good [m]"
)
_WIDTH = 16


def header() -> str:
    """Return the table's first line."""
    return f"{'row':<{_WIDTH}}" + "".join(f"{heading:>10}" for _, heading, _ in COLUMNS)


def line(name: str, row: Result) -> str:
    """Return a row of the table; a dash where nothing could be measured."""
    cells = ("-" if row.get(field) is None else format(row[field], form) for field, _, form in COLUMNS)
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
