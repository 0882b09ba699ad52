"""Results of an evaluation as a table and as JSON."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from legged_gym.evaluation.metrics import Result
from legged_gym.evaluation.rows import (
    DEPLOYED_ERRORS,
    DEPLOYED_SURVIVAL,
    GATE,
    GATE_SURVIVAL,
    STAND,
    Row,
    passes_walking_gate,
)
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
    ("touchdown_speed", "landing", "5.2f"),
    ("foot_force", "force", "5.0f"),
    ("other_contacts", "others", "6.3f"),
    ("legs_touch", "legs", "6.3f"),
    ("distance", "distance", "5.2f"),
    ("drift", "drift", "6.3f"),
    ("turned", "turned", "6.3f"),
)
"""Field, heading and format of the table's columns."""
TEACHER_COLUMNS = (
    ("dcm_error", "DCM err", "5.4f"),
    ("dcm_error_steady", "steady", "5.4f"),
    ("dcm_error_without_offset", "no offset", "5.4f"),
)
"""Further columns of the teacher."""
UNITS = (
    "rmse, bias in m/s and rad/s; torque: rms [N m]; power: largest in a physics step, mean of robots [W]; slip [m/s]; "
    "height [m]\n"
    "landing: median downward speed of feet that land [m/s]; force: median over stances of the largest on a foot [N]\n"
    "others: share of steps in which something but a foot touches; legs: share in which the legs touch each other\n"
    "distance made good [m]; drift [m] and turned [rad]: away from the start, at zero command"
)
TEACHER_UNITS = (
    "DCM err: rms DCM offset error at touchdown; steady: of steps without a new command; no offset: of all steps, had "
    "the learned offset not been applied, to first order [m]"
)
_WIDTH = 16


Column = tuple[str, str, str]


def columns(agent: str, rows: Sequence[Row]) -> list[Column]:
    """Choose the columns that some of the rows fill in, for an agent of this name."""
    empty = set() if any(row.lane for row in rows) else {"distance"}
    empty |= set() if any(row.box == STAND for row in rows) else {"drift", "turned"}
    chosen = (*COLUMNS, *TEACHER_COLUMNS) if agent == "teacher" else COLUMNS
    return [column for column in chosen if column[0] not in empty]


def header(columns: Sequence[Column]) -> str:
    """Return the table's first line."""
    return f"{'row':<{_WIDTH}}" + "".join(f"{heading:>10}" for _, heading, _ in columns)


def units(agent: str) -> str:
    """Say what the table's columns are, for an agent of this name."""
    return f"{UNITS}\n{TEACHER_UNITS}" if agent == "teacher" else UNITS


def line(columns: Sequence[Column], name: str, row: Result) -> str:
    """Return a row of the table; a dash where nothing could be measured."""
    cells = ("-" if row.get(field) is None else format(row[field], form) for field, _, form in columns)
    return f"{name:<{_WIDTH}}" + "".join(f"{cell:>10}" for cell in cells)


def explanations(rows: Sequence[Row]) -> list[str]:
    """Say what each row is, a line each."""
    return [f"{row.name:<{_WIDTH}}{row.duration:5.0f} s  {row.meaning}" for row in rows]


def gate_line(track: Result) -> str:
    """Say whether the `track` row passes the walking gate."""
    limits = ", ".join(f"{name} <= {limit:.2f}" for name, limit in GATE.items())
    verdict = "passed" if passes_walking_gate(track) else "not passed"
    return f"walking gate (track: survival >= {GATE_SURVIVAL}, {limits}): {verdict}"


def verdict(results: dict[str, Result]) -> list[str]:
    """Say what a table comes to: the walking gate if `track` was walked, and the rows of the deployed list that failed.

    Args:
        results: By row name, as deployed.
    """
    lines = [gate_line(results["track"])] if "track" in results else []
    failed = [text for name in DEPLOYED_SURVIVAL if name in results for text in _shortfalls(name, results[name])]
    walked = [name for name in DEPLOYED_SURVIVAL if name in results]
    missing = len(DEPLOYED_SURVIVAL) - len(walked)
    of = f"{len(walked)} of {len(DEPLOYED_SURVIVAL)} rows of the deployed suite walked"
    if failed:
        return [*lines, f"not fit to be deployed ({of}): {'; '.join(failed)}"]
    if missing:
        return [*lines, f"nothing failed, but only {of}"] if walked else lines
    return [*lines, f"fit to be deployed: all {len(walked)} rows of the deployed suite passed"]


def _shortfalls(name: str, row: Result) -> list[str]:
    """Say what a row of the deployed list lacks."""
    survival, wanted = row["survival"] or 0.0, DEPLOYED_SURVIVAL[name]
    texts = [f"{name} {survival:.2f} < {wanted:.2f}"] if survival < wanted else []
    for field, limit in DEPLOYED_ERRORS.items() if name == "track" else ():
        error = row[field]
        if error is None or error > limit:
            texts.append(f"{name} {field} {'-' if error is None else format(error, '.3f')} > {limit:.2f}")
    return texts


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


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises:
        UserError: It is not readable.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
