"""The scene at one moment, as plain data, and the screens that show it."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from legged_gym.viewer.primitives import Color, Layers


@dataclass(frozen=True, eq=False)
class Shape:
    """A part of a robot's surface, fixed to one of its bodies."""

    body: int
    kind: str
    """box, sphere, capsule, cylinder, ellipsoid or mesh."""
    size: np.ndarray
    """Half sides or half axes of box and ellipsoid, radius of a sphere, radius and half length along z of capsule and
    cylinder [m]. Shape (3,)."""
    position: np.ndarray
    """Position in the body's frame [m]. Shape (3,)."""
    quat_wxyz: np.ndarray
    """Rotation shape -> body. Shape (4,)."""
    color: Color
    vertices: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    """Vertices of a mesh [m]. Shape (V, 3)."""
    faces: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=int))
    """Triangles of a mesh, counter-clockwise from outside. Shape (T, 3)."""


class Body(Protocol):
    """A robot's looks, and the places of its parts."""

    @property
    def shapes(self) -> list[Shape]:
        """All parts."""

    def places(self, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the bodies of a robot.

        Args:
            pose: As in `View.poses`. Shape (7 + J,).

        Returns:
            Positions [m, world] (B, 3) and rotations body -> world, w x y z (B, 4).
        """


@dataclass(frozen=True, eq=False)
class Ground:
    """The part of the ground around the robot."""

    vertices: np.ndarray
    """[m, world]. Shape (V, 3)."""
    faces: np.ndarray
    """Triangles, counter-clockwise from above. Shape (T, 3)."""


@dataclass(frozen=True)
class Readings:
    """The panels' numbers about the robot that is shown."""

    time: float = 0.0
    """Time since its episode began [s]."""
    command: tuple[float, ...] = (0.0, 0.0, 0.0)
    """v_x, v_y [m/s] and w_z [rad/s], heading frame."""
    velocity: tuple[float, ...] = (0.0, 0.0, 0.0)
    """Its measured and smoothed velocity, in the same units and frame."""
    clock: float = 0.0
    """Phase of the gait, 0 to 1 [cycles]."""
    contact: tuple[bool, ...] = (False, False)
    """Whether the left and the right foot touch the ground."""
    asked_contact: tuple[bool, ...] = (False, False)
    """Whether the clock asks them to."""
    rewards: dict[str, float] = field(default_factory=dict)
    """Each term of the reward, weighted and smoothed [1/s]."""
    falls: int = 0
    """Falls of this robot since it has been shown."""
    standing: bool = False
    """Whether the command is to stand."""


@dataclass(frozen=True, eq=False)
class View:
    """One picture."""

    poses: np.ndarray
    """Base position [m], its rotation x y z w, and joint angles [rad] of the robots; the first one is in the middle of
    the picture, the others are ghosts. Shape (R, 7 + J)."""
    layers: Layers = field(default_factory=dict)
    readings: Readings = field(default_factory=Readings)
    ground: Ground | None = None
    """The ground, if another part of it is in view than before; else None."""


class ViewerClosed(KeyboardInterrupt):
    """The user closed the window; ends a run as Ctrl-C does."""


class Screen(Protocol):
    """A place where pictures are shown."""

    @property
    def watched(self) -> bool:
        """Whether somebody looks, so that pictures are worth taking."""

    @property
    def is_open(self) -> bool:
        """Whether the user has not closed it yet."""

    def show(self, view: View) -> None:
        """Show a picture."""

    def close(self) -> None:
        """Close it."""
