"""Shapes of the overlays: a few primitives in the world that a web page, a window and a film can all draw."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

Color = tuple[float, float, float]
"""Red, green and blue, 0 to 1."""


@dataclass(frozen=True, eq=False)
class Arrow:
    """An arrow."""

    start: np.ndarray
    """[m, world]. Shape (3,)."""
    end: np.ndarray
    """[m, world]. Shape (3,)."""
    color: Color
    radius: float = 0.012
    """Radius of the shaft [m]."""


@dataclass(frozen=True, eq=False)
class Ball:
    """A ball."""

    center: np.ndarray
    """[m, world]. Shape (3,)."""
    radius: float
    """[m]"""
    color: Color
    opacity: float = 1.0


@dataclass(frozen=True, eq=False)
class Path:
    """A line through points."""

    points: np.ndarray
    """[m, world]. Shape (K, 3)."""
    color: Color
    radius: float = 0.006
    """Half the width of the line [m]."""


Primitive = Arrow | Ball | Path
Layers = Mapping[str, Sequence[Primitive]]
"""Primitives by the name of their layer, which is switched on and off as a whole."""


def moved(primitive: Primitive, by: np.ndarray) -> Primitive:
    """Return a primitive that is moved by `by` (3,) [m]."""
    if isinstance(primitive, Arrow):
        return replace(primitive, start=primitive.start + by, end=primitive.end + by)
    if isinstance(primitive, Ball):
        return replace(primitive, center=primitive.center + by)
    return replace(primitive, points=primitive.points + by)
