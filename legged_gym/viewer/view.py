"""What there is to see at one moment, as plain data, and the screens that show it."""

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from legged_gym.viewer.primitives import Color, Layers


@dataclass(frozen=True, eq=False)
class Shape:
    """A part of a robot's outside, fixed to one of its bodies."""

    body: int
    kind: str
    """box, sphere, capsule, cylinder, ellipsoid or mesh."""
    size: np.ndarray
    """Half sides or half axes of box and ellipsoid, radius of a sphere, radius and half length along z of capsule and
    cylinder [m]. Shape (3,)."""
    position: np.ndarray
    """In the body's frame [m]. Shape (3,)."""
    quat_wxyz: np.ndarray
    """Shape -> body. Shape (4,)."""
    color: Color
    vertices: np.ndarray = field(default_factory=lambda: np.zeros((0, 3)))
    """Of a mesh [m]. Shape (V, 3)."""
    faces: np.ndarray = field(default_factory=lambda: np.zeros((0, 3), dtype=int))
    """Of a mesh, counter-clockwise from outside. Shape (T, 3)."""


class Body(Protocol):
    """What a robot looks like, and where its parts are."""

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
    """Counter-clockwise from above. Shape (T, 3)."""


@dataclass(frozen=True)
class Readings:
    """What the panels say about the robot that is shown."""

    time: float = 0.0
    """Since its episode began [s]."""
    command: tuple[float, ...] = (0.0, 0.0, 0.0)
    """v_x, v_y [m/s] and w_z [rad/s], heading frame."""
    velocity: tuple[float, ...] = (0.0, 0.0, 0.0)
    """The same, as measured and smoothed."""
    clock: float = 0.0
    """Of the gait, 0 to 1 [cycles]."""
    contact: tuple[bool, ...] = (False, False)
    """Left and right foot touch the ground."""
    asked_contact: tuple[bool, ...] = (False, False)
    """Whether the clock asks for it."""
    rewards: dict[str, float] = field(default_factory=dict)
    """Each term of the reward, weighed and smoothed [1/s]."""
    falls: int = 0
    """Of this robot since it is shown."""
    standing: bool = False
    """The command is to stand."""


@dataclass(frozen=True, eq=False)
class View:
    """One picture."""

    poses: np.ndarray
    """Base position [m], its rotation x y z w, and joint angles [rad] of the robots; the first one is in the middle of
    the picture, the others are ghosts. Shape (R, 7 + J)."""
    layers: Layers = field(default_factory=dict)
    readings: Readings = field(default_factory=Readings)
    ground: Ground | None = None
    """Another part of the ground than before; None if nothing has changed."""


class ViewerClosed(KeyboardInterrupt):
    """The user closed the window; ends a run as Ctrl-C does."""


class Screen(Protocol):
    """Something to look at."""

    @property
    def watched(self) -> bool:
        """Somebody looks: there is a reason to take pictures."""

    @property
    def is_open(self) -> bool:
        """The user has not closed it."""

    def show(self, view: View) -> None:
        """Show a picture."""

    def close(self) -> None:
        """Close it."""
