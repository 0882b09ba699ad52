"""Places of runs on disk, and the search for a run.

`logs/<experiment_name>/<robot>/<YYYY-MM-DD_HH-MM-SS>_<run_name>/`; without a run name the last underscore goes too.
Runs of earlier versions are named `<MonDD_HH-MM-SS>_<run_name>`, without a year, and are read like any other.
"""

import contextlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from legged_gym import LEGGED_GYM_ROOT_DIR, resources_dir
from legged_gym.utils.checkpoint_names import checkpoints, iteration
from legged_gym.utils.errors import UserError

_NEWEST = (None, "", -1, "-1")
"""Values that stand for the newest run, or the last checkpoint."""
_SAME_TIME = 5.0
"""Checkpoints written within so many seconds of each other [s] were copied together: their times say nothing."""
_CLOCK_ERROR = 60.0
"""Largest time ahead of this machine's clock that is not taken for an error [s]."""
_MAX_LISTED = 8
_OF_ITS_WEIGHTS = shutil.ignore_patterns(
    *("model_*", "simulation_*", "events.*", "trace.csv"),
    *("exported", "*.onnx", "evaluate.json", "training.json"),
)
"""What a run's folder holds of its weights alone, also one that came with the package."""
CONFIG_FILES = ("env_cfg.json", "train_cfg.json")
"""A run without these cannot be resumed; it is the newest only if no other run has them."""
# Not strptime("%b"): the names must not change with the locale.
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_NAME = re.compile(r"(\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d)")
_NAME_WITHOUT_YEAR = re.compile(rf"({'|'.join(_MONTHS)})(\d\d_\d\d-\d\d-\d\d)")
_TIME_FORMAT = "%Y-%m-%d_%H-%M-%S"


def logs_root() -> Path:
    """Returns `logs/` of the repository; of the working directory when the package is installed elsewhere."""
    is_repository = (LEGGED_GYM_ROOT_DIR / "setup.py").is_file()
    return (LEGGED_GYM_ROOT_DIR if is_repository else Path.cwd()) / "logs"


def policies_dir() -> Path:
    """Returns the folder of the policies that come with the package: `<robot>/<name>/`, each a small run."""
    return resources_dir() / "policies"


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
        parent: `logs/<experiment_name>/<robot>`; made if needed.
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
        path = parent / "_".join(filter(None, (now.strftime(_TIME_FORMAT), run_name)))
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
    if (not name and not may_be_empty) or name in (".", "..") or re.search(r"[/\\]", name) or not name.isprintable():
        raise UserError(f"{option}: got '{name}', expected printable characters without slashes")


def remove_if_empty(run: Path | None) -> None:
    """Removes a run's directory, and the two above it, as far as nothing is in them."""
    with contextlib.suppress(OSError):
        for path in (run, *run.parents[:2]) if run else ():
            path.rmdir()


@contextlib.contextmanager
def new_run_beside(run: Path, suffix: str) -> Iterator[Path]:
    """Makes `<run><suffix>` for other weights of a run, and removes it again if the body fails.

    It holds what the run's folder holds, without its checkpoints, curves, exported files and judgements.

    Raises:
        UserError: There is such a folder, or it cannot be written.
    """
    folder = run.with_name(run.name + suffix)
    if folder.exists() or folder.is_symlink():
        raise UserError(f"{folder}: is there already; move it away to do it again")
    try:
        try:
            shutil.copytree(run, make_folder(folder), ignore=_OF_ITS_WEIGHTS, dirs_exist_ok=True)
        except shutil.Error as error:
            raise UserError(f"{folder}: cannot be written ({error.args[0][0][2]})") from None
        yield folder
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def runs_by_time(parent: Path) -> list[Path]:
    """Lists the runs that have a checkpoint, the newest last.

    The time of a run is that of its last checkpoint. Runs copied or unpacked together have checkpoints of one time;
    then the time in their names decides.

    Args:
        parent: `logs/<experiment_name>/<robot>`.

    Returns:
        Run directories.
    """
    candidates = [path for path in parent.iterdir() if path.is_dir()] if parent.is_dir() else []
    times = {run: _saved_at(run) for run in candidates if checkpoints(run)}
    runs = sorted(times, key=lambda run: (times[run], run.name))
    copied = [run for run in runs if times[run] >= times[runs[-1]] - _SAME_TIME]
    return runs[: len(runs) - len(copied)] + sorted(copied, key=_started_at)


def _saved_at(run: Path) -> float:
    """Returns when a run was last saved, by the clock of then [s since 1970]."""
    return max(path.stat().st_mtime for path in checkpoints(run).values())


def _started_at(run: Path) -> tuple[datetime, str]:
    """Returns the time in a run's name, the earliest one if there is none; then the name.

    Without a year in it, it is the latest such time that is not after the last checkpoint.
    """
    time_ = datetime.min
    with contextlib.suppress(ValueError):  # 31 February
        if match := _NAME.match(run.name):
            time_ = datetime.strptime(match[1], _TIME_FORMAT)
        elif match := _NAME_WITHOUT_YEAR.match(run.name):
            time_ = _with_year(f"{_MONTHS.index(match[1]) + 1:02}-{match[2]}", _saved_at(run))
    return time_, run.name


def _with_year(text: str, before: float) -> datetime:
    """Reads `MM-DD_HH-MM-SS` in the latest year in which that is not after a time [s since 1970]."""
    latest = datetime.fromtimestamp(before + _CLOCK_ERROR)
    for year in range(latest.year, latest.year - 9, -1):  # 29 February comes after eight years at the latest
        with contextlib.suppress(ValueError):
            time_ = datetime.strptime(f"{year}-{text}", _TIME_FORMAT)
            if time_ <= latest:
                return time_
    raise ValueError(text)


def newest_run(parent: Path) -> Path:
    """Returns the run to resume if none is named: the newest by time, or the run that resumed that.

    If a clock has been set back, times mislead. So a run that resumed another one counts as newer whatever the times.
    If the newest time lies in the future, the run with the highest iteration is taken, with a warning.

    Args:
        parent: `logs/<experiment_name>/<robot>`.

    Raises:
        UserError: There is none.
    """
    runs = runs_by_time(parent)
    if not runs:
        raise UserError(f"no run with a checkpoint in {parent}: train one first, or give --load_run=PATH")
    runs = [run for run in runs if all((run / name).is_file() for name in CONFIG_FILES)] or runs
    ahead = [run for run in runs if _saved_at(run) > time.time() + _CLOCK_ERROR]
    if ahead:
        newest = max(runs, key=lambda run: (max(checkpoints(run)), runs.index(run)))
        print(
            f"warning: checkpoints in {ahead[-1]} are dated in the future: was the clock set back? Taking "
            f"{newest.name}, the run in {parent} with the highest iteration; --load_run chooses another",
            file=sys.stderr,
        )
        return newest
    return _last_of_chain(runs[-1], runs)


def _last_of_chain(run: Path, runs: list[Path]) -> Path:
    """Follows the runs that went on from `run` to the last one."""
    sources = {successor: _resumed_from(successor) for successor in runs}
    seen = {run}
    while found := [r for r in runs if sources[r] == run.resolve() and r not in seen]:
        run = found[-1]
        seen.add(run)
    return run


def _resumed_from(run: Path) -> Path | None:
    """Returns the folder of the run that a run went on from, as its config says."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        runner = json.loads((run / "train_cfg.json").read_text())["runner"]
        return Path(runner["load_run"]).resolve() if runner["resume"] else None
    return None


def is_path(load_run: str) -> bool:
    """Tells a path of a run or a checkpoint from a run's bare name."""
    separators = tuple(filter(None, (os.sep, os.altsep)))
    is_relative = load_run in (".", "..") or load_run.startswith("~") or load_run.endswith(".pt")
    return is_relative or any(separator in load_run for separator in separators)


def find_checkpoint(parent: Path, load_run: str | int | None = -1, checkpoint: str | int | None = -1) -> Path:
    """Finds a checkpoint.

    Args:
        parent: `logs/<experiment_name>/<robot>`.
        load_run: Name of a run, a path to one, or a path to a checkpoint in one; -1, as number or text, or None for the
            newest, see `newest_run`.
        checkpoint: Iteration; -1, as number or text, or None for the last one.

    Returns:
        The file.

    Raises:
        UserError: The run or the checkpoint is not there; the text lists those that are.
    """
    run = newest_run(parent) if load_run in _NEWEST else _named_run(parent, str(load_run))
    if run.is_file():
        if checkpoint not in _NEWEST and str(checkpoint) != str(iteration(run)):
            raise UserError(
                f"--load_run names the checkpoint {run.name} and --checkpoint {checkpoint}: give one of them"
            )
        iteration(run)  # only a checkpoint by its name can be gone on from
        return run
    found = checkpoints(run)
    if not found:
        below = runs_by_time(run)
        hint = f"; it holds runs, name one of them: {_listed([r.name for r in below])}" if below else ""
        raise UserError(f"no checkpoint (model_<iteration>.pt) in {run}{hint}")
    if checkpoint in _NEWEST:
        return found[max(found)]
    if not str(checkpoint).isdigit() or int(str(checkpoint)) not in found:
        raise UserError(f"no checkpoint {checkpoint} in {run}; there are: {_listed([str(i) for i in found])}")
    return found[int(str(checkpoint))]


def _named_run(parent: Path, name: str) -> Path:
    """Returns the run of that name, or what is at that path: a run, or a checkpoint."""
    if not is_path(name):
        run = parent / name
        if not run.is_dir():
            raise UserError(
                f"no run '{name}' in {parent}; there are: {_listed([r.name for r in runs_by_time(parent)])}"
            )
        return run
    run = Path(name).expanduser().resolve()
    if not run.exists():
        raise UserError(f"--load_run: there is nothing at {run}")
    return run


def shipped_checkpoint(name: str, robot: str) -> Path:
    """Returns the checkpoint of a policy that comes with the package.

    Raises:
        UserError: There is none; the text lists those that are.
    """
    root = policies_dir()
    found = checkpoints(root / robot / name)
    if not found:
        there = sorted(str(path.relative_to(root)) for path in root.glob("*/*") if checkpoints(path))
        listed = ", ".join(there) or "none"
        raise UserError(f"no pretrained policy for robot {robot} by the name {name}; there are: {listed}")
    return found[max(found)]


def _listed(names: list[str]) -> str:
    """Joins names, the newest first, cut to a readable number."""
    more = len(names) - _MAX_LISTED
    return (", ".join(names[::-1][:_MAX_LISTED]) or "none") + (f" and {more} older" if more > 0 else "")
