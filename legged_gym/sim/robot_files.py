"""Finds a robot's folder, which says everything about it, from a name or a path.

    <name>/urdf/robot.urdf   links, joints, masses and shapes
    <name>/robot.yaml        facts that a URDF cannot hold: motors, and which link is which where names are others
    <name>/teacher.yaml      values of the config that suit this robot, by their options' names

Only the URDF must be there. The package's robots are such folders in resources/robots; a user's own may lie anywhere.
"""

from __future__ import annotations

import functools
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from legged_gym import resources_dir
from legged_gym.utils.errors import UserError

DEFAULT_ROBOT_TYPE = "PF_TRON1A"
URDF_FOLDER = "urdf"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The same in C, ten times as fast, where PyYAML was built with it."""


@dataclass(frozen=True)
class RobotFiles:
    """Places of a robot's files."""

    folder: Path
    """Holds robot.yaml and teacher.yaml, if there are any."""
    urdf: Path

    @classmethod
    def of(cls, urdf: str | Path) -> RobotFiles:
        """Return the files of a URDF: those of its folder, or of the one above if its folder is called `urdf`."""
        path = Path(urdf).expanduser().resolve()
        folder = path.parent.parent if path.parent.name == URDF_FOLDER else path.parent
        return cls(folder, path)

    @property
    def name(self) -> str:
        """Name of the robot and of the folder of its runs: the name of its own folder.

        A URDF of another name is appended, so that two files in a folder are two robots.
        """
        name, stem = self.folder.name, self.urdf.stem
        return name if stem in ("robot", name) else f"{name}_{stem}"

    @property
    def reference(self) -> str:
        """Text that finds the robot from anywhere, to be saved with a run: a name of the package, or a full path."""
        return self.name if self.folder.parent == robots_dir().resolve() else str(self.urdf)

    def facts(self) -> dict[str, Any]:
        """Read robot.yaml.

        Raises:
            UserError: It is no YAML, or no mapping.
        """
        return _read_mapping(self.folder / "robot.yaml")

    def tuning(self) -> dict[str, str]:
        """Read teacher.yaml: values as a user would type them, by option, such as `env.rewards.base_height_target`.

        Raises:
            UserError: It is no YAML, or no mapping.
        """
        return {str(option): str(value) for option, value in _read_mapping(self.folder / "teacher.yaml").items()}


def robots_dir() -> Path:
    """Return the folder with one sub-folder per ROBOT_TYPE, of the repository or of an installed wheel."""
    return resources_dir() / "robots"


def robot_types() -> list[str]:
    """Return the names of the robots that come with the package, sorted."""
    return sorted(path.parents[1].name for path in robots_dir().glob(f"*/{URDF_FOLDER}/robot.urdf"))


@functools.cache
def _say_default() -> None:
    """Say, once per process, which robot is used when none was asked for."""
    print(f"ROBOT_TYPE is not set: using {DEFAULT_ROBOT_TYPE} (known: {', '.join(robot_types())})")


def find_robot(robot: str | Path | None = None, urdf: str | Path | None = None) -> RobotFiles:
    """Find a robot.

    Args:
        robot: One of `robot_types()`, the folder of another robot, or a URDF; None reads the environment variable
            ROBOT_TYPE, and falls back to PF_TRON1A with one printed line if that is unset or empty.
        urdf: A URDF or a robot's folder; overrides `robot`.

    Returns:
        Its files; the URDF exists.

    Raises:
        UserError: There is no such robot.
    """
    asked = str(urdf or robot or os.environ.get("ROBOT_TYPE") or "")
    if not asked:
        _say_default()
        asked = DEFAULT_ROBOT_TYPE
    if asked in robot_types():
        return RobotFiles.of(robots_dir() / asked / URDF_FOLDER / "robot.urdf")
    path = Path(asked).expanduser().resolve()
    if path.is_dir():
        return RobotFiles.of(_urdf_in(path))
    if path.is_file():
        return RobotFiles.of(path)
    if asked != path.name or path.suffix:
        raise UserError(f"no such {'URDF file' if path.suffix else 'folder of a robot'}: {path}")
    known = ", ".join(robot_types())
    raise UserError(f"unknown ROBOT_TYPE {asked!r}, known: {known}; or the path of a robot's folder or URDF")


def robot_urdf(robot: str | Path | None = None, urdf: str | Path | None = None) -> Path:
    """Return the URDF of a robot; see `find_robot`."""
    return find_robot(robot, urdf).urdf


def _urdf_in(folder: Path) -> Path:
    """The URDF of a robot's folder: urdf/robot.urdf, or else the only one there."""
    usual = folder / URDF_FOLDER / "robot.urdf"
    if usual.is_file():
        return usual
    found = sorted([*folder.glob("*.urdf"), *(folder / URDF_FOLDER).glob("*.urdf")])
    if len(found) == 1:
        return found[0]
    there = f"it has {', '.join(str(path.relative_to(folder)) for path in found)}" if found else "it has no URDF"
    raise UserError(f"{folder}: a robot's folder has urdf/robot.urdf, or one URDF of another name; {there}")


def _read_mapping(file: Path) -> dict[str, Any]:
    """Read a YAML file that holds names and values; empty if the file is not there."""
    if not file.is_file():
        return {}
    try:
        content = yaml.load(file.read_text(), _LOADER)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{file}: is no readable YAML ({' '.join(str(error).split())[:200]})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise UserError(f"{file}: holds {type(content).__name__}, expected names and values")
    return content
