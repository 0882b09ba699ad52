"""Files of measured figures, with their command, commit and machine: the pages and the README quote these only.

    {"title": ..., "section": ..., "command": ..., "commit": ..., "hardware": ..., "date": "2026-11-28",
     "seeds": [0], "spread": "standard error of 256 robots", "note": ...,
     "columns": {"survival": {"unit": "", "digits": 2}},
     "figures": {"push_1.0": {"survival": {"value": 0.93, "spread": 0.02}}}}

A figure is a `value`, with a `spread` where there is one; or a range from `low` to `high`; or an open bound, `above`.
"""

import argparse
import datetime
import math
import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from legged_gym.evaluation.report import read_json, write_json
from legged_gym.options import cli
from legged_gym.utils import machine
from legged_gym.utils.errors import UserError
from legged_gym.utils.package_version import package_version

Figure = dict[str, float]
NEEDED = ("title", "section", "command", "commit", "hardware", "date", "seeds", "spread", "columns", "figures")
"""Fields of a file."""
_KINDS = ({"value"}, {"value", "spread"}, {"low", "high"}, {"above"})


def save(
    path: Path,
    title: str,
    section: str,
    columns: Mapping[str, tuple[str, int]],
    figures: Mapping[str, Mapping[str, Figure]],
    spread: str,
    seeds: Sequence[int] = (),
    hardware: str | None = None,
    note: str = "",
) -> None:
    """Write a file of figures, with this process's command, the commit, the machine and the date.

    Args:
        path: The file; what was there is replaced.
        title: What was measured, in a line.
        section: Section of the results page.
        columns: Column -> unit ("" for none) and digits after the point.
        figures: Row -> column -> figure; a row may leave columns out.
        spread: Meaning of the spreads, "" if there are none.
        seeds: Seeds of all random numbers.
        hardware: Its description; None for this machine's cores.
        note: Further facts for the reader.

    Raises:
        UserError: The file cannot be written.
    """
    content = {
        "title": title,
        "section": section,
        "command": shlex.join(["python", _script(Path(sys.argv[0])), *_without_result(sys.argv[1:])]),
        "commit": commit(),
        "hardware": hardware or this_machine(),
        "date": datetime.date.today().isoformat(),
        "seeds": list(seeds),
        "spread": spread,
        "note": note,
        "columns": {name: {"unit": unit, "digits": digits} for name, (unit, digits) in columns.items()},
        "figures": {row: dict(cells) for row, cells in figures.items()},
    }
    check(content, path)
    write_json(content, path)


def commit() -> str:
    """Return the commit of the package, marked if files differ from it; or its version, outside a repository."""
    folder = Path(__file__).parent
    try:
        head, changes = (
            subprocess.run(
                ["git", "-C", str(folder), *words], capture_output=True, text=True, check=True
            ).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", str(folder.parent)])
        )
    except (OSError, subprocess.CalledProcessError):
        return f"none; package {package_version()}"
    return f"{head} with changes" if changes else head


def _script(path: Path) -> str:
    """Return the script's path from the repository's root, or its name."""
    root = Path(__file__).resolve().parents[2]
    path = path.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else path.name


def _without_result(words: Sequence[str]) -> list[str]:
    """Leave out the option `--result`."""
    kept = [word for i, word in enumerate(words) if word != "--result" and words[i - 1 : i] != ["--result"]]
    return [word for word in kept if not word.startswith("--result=")]


def this_machine() -> str:
    """Describe the processor as the pages do: cores that may be used, and how busy they are with other work."""
    busy = psutil.getloadavg()[0] - 1.0  # this process is one of those that run
    shared = f", shared (load {busy:.1f} of others)" if busy > 0.5 else ""
    return f"{machine.usable_cores()} CPU cores{shared}"


def load(path: Path) -> dict[str, Any]:
    """Read a file of figures.

    Raises:
        UserError: The file is no file of figures.
    """
    content = read_json(path)
    check(content, path)
    return content


def check(content: Mapping[str, Any], path: Path) -> None:
    """Raise unless this is the content of a file of figures.

    Raises:
        UserError: Something is missing or wrong; the text says what.
    """
    missing = [name for name in NEEDED if name not in content]
    if missing:
        raise UserError(f"{path}: no {missing[0]}; a file of figures has {', '.join(NEEDED)}")
    for name in ("title", "command", "commit", "hardware", "date"):
        if not content[name]:
            raise UserError(f"{path}: {name} is empty")
    for row, cells in content["figures"].items():
        for column, figure in cells.items():
            if column not in content["columns"]:
                raise UserError(f"{path}: {row}: {column} is no column, expected one of {list(content['columns'])}")
            if set(figure) not in _KINDS or not all(math.isfinite(number) for number in figure.values()):
                raise UserError(
                    f"{path}: {row}: {column}: got {figure}, expected value (and spread), or low and high, or above"
                )
            if "spread" in figure and not content["spread"]:
                raise UserError(f"{path}: {row}: {column} has a spread, and the file does not say what that is")


def shown(content: Mapping[str, Any], row: str, column: str) -> str:
    """Return a figure as the pages print it, without its unit.

    Raises:
        KeyError: There is none.
    """
    figure, digits = content["figures"][row][column], content["columns"][column]["digits"]
    number = {name: f"{value:z,.{digits}f}" for name, value in figure.items()}
    if "above" in number:
        return f"> {number['above']}"
    if "low" in number:
        return f"{number['low']} to {number['high']}"
    return f"{number['value']} ± {number['spread']}" if "spread" in number else number["value"]


ROW_COLUMNS = {
    **{"survival": ("", 2), "fell": ("", 2)},
    **{"rmse_vx": ("m/s", 3), "rmse_vy": ("m/s", 3), "rmse_wz": ("rad/s", 3)},
}
"""Columns of a suite's rows, as `save` takes them."""


def of_rows(rows: Mapping[str, Mapping[str, Any]], robots: int) -> dict[str, dict[str, Figure]]:
    """Return the figures of a suite's rows.

    Args:
        rows: Row -> its result, as the judges return it.
        robots: Robots of each row.
    """
    figures = {}
    for name, row in rows.items():
        errors = {column: {"value": float(row[column])} for column in ROW_COLUMNS if row.get(column) is not None}
        figures[name] = errors | {"survival": survival(float(row["survival"]), robots)}
    return figures


def gpu_name(device: str) -> str | None:
    """Name the GPU for `save`, or None for this machine's cores."""
    if not device.startswith("cuda"):
        return None
    import torch  # the second judge needs none

    return str(torch.cuda.get_device_name(device))


def add_option(parser: argparse.ArgumentParser) -> None:
    """Let a script take `--result=FILE`."""
    text = "write the figures here, with commit, command and machine, for docs/results.md"
    parser.add_argument("--result", type=cli.path, metavar="FILE", help=text)


def survival(share: float, robots: int) -> Figure:
    """Return a share of robots with its standard error, that of Wilson's score: not 0 where all or none survive."""
    spread = math.sqrt(share * (1.0 - share) / robots + 0.25 / robots**2) / (1.0 + 1.0 / robots)
    return {"value": share, "spread": spread}
