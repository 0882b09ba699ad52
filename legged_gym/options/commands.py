"""Command lines to be shown or saved, ready for pasting."""

import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from legged_gym import LEGGED_GYM_ROOT_DIR
from legged_gym.options.spec import RunSpec
from legged_gym.utils.checkpoint_names import checkpoints
from legged_gym.utils.files import replacing
from legged_gym.utils.package_version import package_version

FILE = "command.txt"
"""In a run's directory: the command lines that trained it, one of each part if it was resumed, and of which code."""
RECORD = "training.json"
"""In a shipped policy's directory: the same as `commands`, and more."""
_SCRIPTS = Path(__file__).parents[1] / "scripts"


def command(script: str, options: Sequence[str]) -> str:
    """Returns a command for this shell, in this working directory.

    Args:
        script: Name of a script without its suffix.
        options: Its arguments, unquoted.
    """
    return shlex.join([from_here(Path(sys.executable)), from_here(_SCRIPTS / f"{script}.py"), *options])


def note_command(run: Path, script: str, spec: RunSpec) -> None:
    """Saves the command that made a run, for any machine with the package, after those of the runs it resumes.

    Args:
        run: The run's directory.
        script: Name of the script that runs.
        spec: Its command line, and the run that it goes on from.
    """
    robot = os.environ.get("ROBOT_TYPE")
    line = f"ROBOT_TYPE={shlex.quote(robot)} " if robot else ""
    line += shlex.join(["python", "-m", "legged_gym", script, *spec.argv])
    lines = "" if spec.run is None else _noted(spec.run)
    with replacing(run / FILE) as temporary:
        temporary.write_text(f"{lines}{line}  # {revision()}\n", encoding="utf-8", errors="surrogateescape")


def _noted(run: Path) -> str:
    """Returns the lines that a run noted, or those of the record that came with a shipped policy."""
    with contextlib.suppress(OSError):
        return (run / FILE).read_text(encoding="utf-8", errors="surrogateescape")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        record = json.loads((run / RECORD).read_text(encoding="utf-8"))
        return "".join(f"{command}\n" for command in record["commands"])
    return ""


def revision() -> str:
    """Returns the version of this code: `revision 1a2b3c4`, `revision 1a2b3c4-dirty` if files differ, or a version.

    A copy of the sources that is neither a repository nor installed has no version.
    """
    if (LEGGED_GYM_ROOT_DIR / ".git").exists():
        git = ["git", "-C", str(LEGGED_GYM_ROOT_DIR), "describe", "--always", "--dirty", "--exclude=*"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            return (
                f"revision {subprocess.run(git, capture_output=True, text=True, check=True, timeout=10).stdout.strip()}"
            )
    return f"version {package_version()}"


def task_options(spec: RunSpec) -> list[str]:
    """Returns the options that bring in a spec's task."""
    return [f"--task={spec.task}", *(f"--import={name}" for name in spec.imports)]


def robot_options(spec: RunSpec) -> list[str]:
    """Returns the options that name a spec's robot."""
    return [f"--robot={spec.env_cfg.asset.robot_type}"]


def commands_for(spec: RunSpec, run: Path, scripts: Sequence[str] = ("play", "evaluate")) -> str:
    """Returns the commands that play and evaluate a run, one a line.

    Args:
        spec: The run's spec.
        run: Its directory.
        scripts: Scripts to give commands of.
    """
    last = max(checkpoints(run), default=-1)
    # The run is given by its path: its own config then says which robot and experiment it is of.
    options = [*task_options(spec), f"--load_run={from_here(run)}", f"--checkpoint={last}"]
    return "\n".join(f"{script + ':':<10}{command(script, options)}" for script in scripts)


def from_here(path: Path) -> str:
    """Returns a path relative to the working directory if it lies below, else in full."""
    path = Path(os.path.abspath(path))
    if not path.is_relative_to(Path.cwd()):
        return str(path)
    relative = path.relative_to(Path.cwd())
    # A bare name would be taken for one in logs/.
    return str(relative) if len(relative.parts) > 1 else os.path.join(os.curdir, relative)
