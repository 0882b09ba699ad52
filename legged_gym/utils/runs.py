"""Where runs lie on disk, and which one is meant.

`logs/<experiment_name>/<ROBOT_TYPE>/<MonDD_HH-MM-SS>_<run_name>/`; without a run name the last underscore goes too.
"""

import contextlib
import os
import re
import shlex
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.utils.errors import UserError

# Not strftime("%b"): the name must not change with the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RUN_NAME = re.compile(rf"({'|'.join(_MONTHS)})(\d\d)_(\d\d)-(\d\d)-(\d\d)")
_CHECKPOINT_NAME = re.compile(r"model_(\d+)\.pt")
_SAME_TIME = 5.0
"""Checkpoints written within so many seconds of each other [s] were copied together: their times say nothing."""
_YEAR = timedelta(days=366)
_MAX_LISTED = 8
CONFIG_FILES = ("env_cfg.json", "train_cfg.json")
"""Without these, a run is taken for the newest only if no other one has them: it cannot be gone on with."""
COMMAND_FILE = "command.txt"
"""In a run's directory: the command lines that trained it, one of each part if it was resumed."""


def logs_root() -> Path:
    """Returns `logs/` of the repository; of the working directory when the package is installed elsewhere."""
    is_repository = (LEGGED_GYM_ROOT_DIR / "setup.py").is_file()
    return (LEGGED_GYM_ROOT_DIR if is_repository else Path.cwd()) / "logs"


def make_folder(folder: Path) -> Path:
    """Makes a folder, and those above it, unless it is there; returns it.

    Raises:
        UserError: It cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{folder}: cannot be made ({error.strerror})") from None
    return folder


def new_run_dir(parent: Path, run_name: str, now: datetime | None = None) -> Path:
    """Makes the directory of a new run; a second run within the same second gets the next free second.

    Args:
        parent: `logs/<experiment_name>/<ROBOT_TYPE>`; made if needed.
        run_name: Added to the time; may be empty.
        now: The time in the name; now if None.

    Returns:
        The new, empty directory.

    Raises:
        UserError: It cannot be made.
    """
    make_folder(parent)
    now = now or datetime.now()
    while True:
        stamp = f"{_MONTHS[now.month - 1]}{now:%d_%H-%M-%S}"
        path = parent / (f"{stamp}_{run_name}" if run_name else stamp)
        try:
            path.mkdir()
            return path
        except FileExistsError:
            now += timedelta(seconds=1)
        except OSError as error:
            raise UserError(f"{path}: cannot be made ({error.strerror})") from None


def check_name(option: str, name: str, *, may_be_empty: bool = False) -> None:
    """Raises when a name cannot be a directory of its own.

    Raises:
        UserError: The name is empty, or leads elsewhere.
    """
    if (not name and not may_be_empty) or name in (".", "..") or re.search(r"[/\\\x00-\x1f]", name):
        raise UserError(f"{option}: got '{name}', expected a name without slashes")


def checkpoints(run: Path) -> dict[int, Path]:
    """Returns the checkpoints of a run by iteration, in order of iteration."""
    if not run.is_dir():
        return {}
    found = ((_CHECKPOINT_NAME.fullmatch(path.name), path) for path in run.iterdir())
    return dict(sorted((int(match[1]), path) for match, path in found if match))


def iteration(checkpoint: Path) -> int:
    """Returns the iteration in a checkpoint's name, `model_<iteration>.pt`."""
    match = _CHECKPOINT_NAME.fullmatch(checkpoint.name)
    if match is None:
        raise UserError(f"{checkpoint}: is not named model_<iteration>.pt")
    return int(match[1])


def note_command(run: Path, argv: Sequence[str], resumed: Path | None = None) -> None:
    """Writes down what trains a run.

    Args:
        run: The run's directory.
        argv: The command line.
        resumed: Directory of the run that it goes on with, whose commands come first.
    """
    before = resumed / COMMAND_FILE if resumed is not None else None
    robot = os.environ.get("ROBOT_TYPE")
    line = (f"ROBOT_TYPE={robot} " if robot else "") + shlex.join(argv)
    lines = before.read_text() if before is not None and before.is_file() else ""
    (run / COMMAND_FILE).write_text(f"{lines}{line}\n")


def remove_if_empty(run: Path | None) -> None:
    """Removes a run's directory, and the two above it, as far as nothing is in them."""
    with contextlib.suppress(OSError):
        for path in (run, *run.parents[:2]) if run else ():
            path.rmdir()


def runs_by_time(parent: Path) -> list[Path]:
    """Lists the runs that have a checkpoint, the newest last.

    The time of a run is that of its newest checkpoint. Runs copied or unpacked together have checkpoints of one time;
    then the time in their names decides. The names' alphabet would not do: Dec comes before Nov.

    Args:
        parent: `logs/<experiment_name>/<ROBOT_TYPE>`.

    Returns:
        Run directories.
    """
    candidates = [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    times = {run: max(p.stat().st_mtime for p in found.values()) for run in candidates if (found := checkpoints(run))}
    runs = sorted(times, key=lambda run: (times[run], run.name))
    copied = [run for run in runs if times[run] >= times[runs[-1]] - _SAME_TIME]
    return runs[: len(runs) - len(copied)] + _by_name(copied)


def _by_name(runs: list[Path]) -> list[Path]:
    """Sorts runs by the time in their names, the newest last; names without a time come first.

    The names hold no year, so the times lie on a circle; the longest stretch without a run is where the circle opens.
    """
    dated = sorted((time, run) for run in runs if (time := _time_of_name(run.name)))
    undated = [run for run in runs if not _time_of_name(run.name)]
    if not dated:
        return undated
    gaps = [(dated[i][0] - dated[i - 1][0] + (_YEAR if i == 0 else timedelta())) for i in range(len(dated))]
    first = gaps.index(max(gaps))
    return undated + [run for _, run in dated[first:] + dated[:first]]


def _time_of_name(name: str) -> datetime | None:
    """Reads the time at the start of a run's name, in a leap year; None if there is none."""
    match = _RUN_NAME.match(name)
    if match is None:
        return None
    day, hour, minute, second = map(int, match.groups()[1:])
    try:
        return datetime(2000, _MONTHS.index(match[1]) + 1, day, hour, minute, second)
    except ValueError:
        return None


def is_path(load_run: str | int | None) -> bool:
    """Tells a path of a run from its bare name: a path has a slash."""
    return len(Path(str(load_run)).parts) > 1


def find_checkpoint(parent: Path, load_run: str | int | None = -1, checkpoint: str | int | None = -1) -> Path:
    """Finds the checkpoint that is meant.

    Args:
        parent: `logs/<experiment_name>/<ROBOT_TYPE>`.
        load_run: Name of a run, or a path to one; -1, as number or text, or None for the newest by time.
        checkpoint: Iteration; -1, as number or text, or None for the last one.

    Returns:
        The file.

    Raises:
        UserError: The run or the checkpoint is not there; lists what is.
    """
    if load_run in (None, "", -1, "-1"):
        runs = runs_by_time(parent)
        if not runs:
            raise UserError(f"no run with a checkpoint in {parent}: train one first, or give --load_run=PATH")
        complete = [run for run in runs if all((run / name).is_file() for name in CONFIG_FILES)]
        run = (complete or runs)[-1]
    else:
        run = _named_run(parent, str(load_run))
    found = checkpoints(run)
    if not found:
        raise UserError(f"no checkpoint (model_<iteration>.pt) in {run}")
    if checkpoint in (None, "", -1, "-1"):
        return found[max(found)]
    if not str(checkpoint).isdigit() or int(str(checkpoint)) not in found:
        raise UserError(f"no checkpoint {checkpoint} in {run}; there are: {_listed([str(i) for i in found])}")
    return found[int(str(checkpoint))]


def _named_run(parent: Path, name: str) -> Path:
    """Returns the run of that name, or at that path."""
    run = Path(name).expanduser().resolve() if is_path(name) else parent / name
    if not run.is_dir():
        raise UserError(f"no run '{name}' in {parent}; there are: {_listed([r.name for r in runs_by_time(parent)])}")
    return run


def _listed(names: list[str]) -> str:
    """Joins names, the newest first, cut to a readable number."""
    more = len(names) - _MAX_LISTED
    return (", ".join(names[::-1][:_MAX_LISTED]) or "none") + (f" and {more} older" if more > 0 else "")
