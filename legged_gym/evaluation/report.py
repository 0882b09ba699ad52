"""Results of an evaluation as a table and as JSON."""

import json
import math
import os
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from legged_gym.evaluation.metrics import ENDINGS, Result
from legged_gym.evaluation.plots import VELOCITY_UNITS
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
from legged_gym.utils.files import replacing

COLUMNS = (
    ("survival", "survival", "5.3f"),
    ("fell", "fell", "5.3f"),
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
ERRORS = ("rmse_vx", "rmse_vy", "rmse_wz")
"""The columns of tracking."""
UNITS: tuple[tuple[tuple[str, ...], str], ...] = (
    (("survival",), "survival: share of the robots that end the row upright on their feet; fell: that fell"),
    ((*ERRORS, "bias_vx"), "rmse, bias: of the velocity against the command, in m/s and rad/s"),
    (("mean_abs_daction",), "|daction|: mean change of an action from step to step"),
    (("torque_rms", "peak_power"), "torque: rms [N m]; power: largest in a physics step, mean of robots [W]"),
    (
        ("foot_slip", "base_height", "step_rate"),
        "slip of feet on the ground [m/s]; height of the base [m]; steps per s",
    ),
    (("touchdown_speed",), "landing: median downward speed of feet that land [m/s]"),
    (("foot_force",), "force: median over stances of the largest on a foot [N]"),
    (("other_contacts",), "others: share of steps in which something but a foot touches"),
    (("legs_touch",), "legs: share of steps in which the legs touch each other"),
    (("distance",), "distance made good [m]"),
    (("drift", "turned"), "drift [m] and turned [rad]: away from the start, at zero command"),
    (("dcm_error",), "DCM err: rms DCM offset error at touchdown [m]"),
    (("dcm_error_steady",), "steady: the same, for steps without a new command [m]"),
    (
        ("dcm_error_without_offset",),
        "no offset: the same, for all steps, estimated to first order without the learned offset [m]",
    ),
)
"""Columns -> their meaning."""
NO_VERDICT = "no verdict: a verdict needs whole rows of the deployed suite, walked as deployed (--suite=deployed)"
_WIDTH = 16
_WIDEST = 120
"""Characters of a line, if there is no terminal."""


Column = tuple[str, str, str]


def all_columns(agent: str) -> list[Column]:
    """Return every column that a row of an agent of this name may fill in."""
    return [*COLUMNS, *(TEACHER_COLUMNS if agent == "teacher" else ())]


def columns(agent: str, rows: Sequence[Row]) -> list[Column]:
    """Choose the columns that some of the rows fill in, for an agent of this name."""
    empty = set() if any(row.lane for row in rows) else {"distance"}
    empty |= set() if any(row.box == STAND for row in rows) else {"drift", "turned"}
    return [column for column in all_columns(agent) if column[0] not in empty]


def filled(columns: Sequence[Column], results: Iterable[Result]) -> list[Column]:
    """Leave out the columns that no result fills in."""
    known = {name for result in results for name, value in result.items() if value is not None}
    return [column for column in columns if column[0] in known]


def table(agent: str, results: dict[str, Result], width: int | None = None) -> str:
    """Return results as a table without empty columns, with the columns' meanings below.

    Args:
        agent: Name of the agent.
        results: By row.
        width: Widest line; more columns go below each other. None for the terminal's.
    """
    chosen = filled(all_columns(agent), results.values())
    width = width or shutil.get_terminal_size((_WIDEST, 24)).columns
    at_once = max(1, (width - _WIDTH) // 10)
    blocks = []
    for first in range(0, len(chosen), at_once):
        block = chosen[first : first + at_once]
        blocks.append("\n".join([header(block), *(line(block, name, row) for name, row in results.items())]))
    return "\n\n".join([*blocks, units(agent, chosen)])


def row_line(name: str, row: Result) -> str:
    """Return a line about a row's result, for printing as soon as it is there."""
    text = f"{name:<{_WIDTH}}survival {row['survival'] or 0.0:.3f}"
    errors = [row.get(field) for field in ERRORS]
    shown = (f"{error:.3f} {unit}" for error, unit in zip(errors, VELOCITY_UNITS, strict=True) if error is not None)
    return f"{text}  off by {', '.join(shown)}" if None not in errors else text


def header(columns: Sequence[Column]) -> str:
    """Return the table's first line."""
    return f"{'row':<{_WIDTH}}" + "".join(f"{heading:>10}" for _, heading, _ in columns)


def units(agent: str, columns: Sequence[Column] | None = None) -> str:
    """Return the meanings of the columns, for an agent of this name; of all that it may have if none are given."""
    shown = {name for name, _, _ in (all_columns(agent) if columns is None else columns)}
    return "\n".join(text for fields, text in UNITS if not shown.isdisjoint(fields))


def line(columns: Sequence[Column], name: str, row: Result) -> str:
    """Return a row of the table; a dash where nothing could be measured."""
    cells = ("-" if row.get(field) is None else format(row[field], form) for field, _, form in columns)
    return f"{name:<{_WIDTH}}" + "".join(f"{cell:>10}" for cell in cells)


def endings(results: dict[str, Result]) -> list[str]:
    """Say how robots failed that did not fall, a line for each row that has any.

    Args:
        results: By row; one that was broken off says nothing.
    """
    lines = []
    for name, row in results.items():
        lacks = [f"{share:.3f} {meaning}" for field, meaning in _ENDINGS if (share := row.get(field))]
        if lacks:
            standing = 1.0 - (row["fell"] or 0.0) - (row["survival"] or 0.0)
            lines.append(f"{name:<{_WIDTH}}{standing:.3f} stood, but did not end upright: {', '.join(lacks)}")
    return lines


_ENDINGS = tuple(zip(ENDINGS, ("low", "tilted", "touching with more than feet"), strict=True))
"""Fields of results, and their meaning."""


def explanations(rows: Sequence[Row]) -> list[str]:
    """Return a line for each row: its meaning, and the survival it requires for deployment."""
    wanted = {name: f"; deployed: survival >= {least:g}" for name, least in DEPLOYED_SURVIVAL.items()}
    return [f"{row.name:<{_WIDTH}}{row.duration:5.0f} s  {row.meaning}{wanted.get(row.name, '')}" for row in rows]


def gate_line(track: Result) -> str:
    """Say whether the `track` row passes the walking gate."""
    limits = ", ".join(f"{name} <= {limit:.2f}" for name, limit in GATE.items())
    verdict = "passed" if passes_walking_gate(track) else "not passed"
    return f"walking gate (track: survival >= {GATE_SURVIVAL}, {limits}): {verdict}"


def verdict(results: dict[str, Result]) -> list[str]:
    """Return the verdict on a table: the walking gate if `track` was walked, and the failed rows of the deployed list.

    At least one line: if no row decides, it says so.

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
        return [*lines, f"nothing failed, but only {of}"] if walked else [NO_VERDICT]
    return [*lines, f"fit to be deployed: all {len(walked)} rows of the deployed suite passed"]


def _shortfalls(name: str, row: Result) -> list[str]:
    """Return the figures of a row that fail the deployed list's requirements, rounded to the side that fails."""
    survival, texts = row["survival"] or 0.0, []
    if is_short(name, "survival", survival):
        texts.append(f"{name} {math.floor(1e3 * survival) / 1e3:.3f} < {DEPLOYED_SURVIVAL[name]:.2f}")
    for field, limit in DEPLOYED_ERRORS.items():
        error = row.get(field)
        if is_short(name, field, error):
            shown = "-" if error is None else f"{math.ceil(1e3 * error) / 1e3:.3f}"
            texts.append(f"{name} {field} {shown} > {limit:.2f}")
    return texts


def is_short(row: str, field: str, value: float | None) -> bool:
    """Tell whether a figure of a row fails the deployed list's requirement, as unknown figures do."""
    if field == "survival":
        return (value or 0.0) < DEPLOYED_SURVIVAL.get(row, 0.0)
    if row != "track" or field not in DEPLOYED_ERRORS:
        return False
    return value is None or value > DEPLOYED_ERRORS[field]


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
    write_text(json.dumps(data, indent=2, allow_nan=False) + "\n", path)


def write_text(text: str, path: Path) -> Path:
    """Write a text, whole or not at all; returns where."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return path


def read_json(path: Path) -> Any:
    """Read a JSON file of ours.

    Raises:
        UserError: It is not readable.
    """
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
