"""The map: heights on a grid, divided into tiles, and the same surface as a triangle mesh."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from legged_gym.terrain.mesh import triangulate

EDGE_MARGIN = 1.0
"""Distance from the end of the ground at which an episode ends [m]."""


@dataclass(frozen=True, eq=False)
class Terrain:
    """Ground around the world's origin, as plain data: simulators collide with it, and environments look up heights.

    Sample (i, j) stands at x = (i - (nx - 1) / 2) * horizontal_scale, y likewise with j, and the ground between four
    samples is two triangles, cut from (i, j) to (i + 1, j + 1).
    """

    mesh_type: str
    """`heightfield` or `trimesh`: the choice for an engine that has both."""
    heights: np.ndarray
    """[m], multiples of `vertical_scale`, float32. Shape (nx, ny)."""
    horizontal_scale: float
    """Width of a cell [m]."""
    vertical_scale: float
    """Heights are multiples of this [m]."""
    slope_threshold: float
    """Rise over run from which the triangle mesh has a vertical face."""
    origins: np.ndarray
    """Start of robots on each tile: x, y and the height there [m], float32. Shape (rows, columns, 3)."""
    types: tuple[str, ...]
    """Profile of each column."""
    levels: np.ndarray
    """Difficulty of each row, 0 to 1. Shape (rows,)."""

    @property
    def half_size(self) -> tuple[float, float]:
        """Distance from the middle to the last samples along x and y [m]."""
        nx, ny = self.heights.shape
        return 0.5 * (nx - 1) * self.horizontal_scale, 0.5 * (ny - 1) * self.horizontal_scale

    @cached_property
    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (V, 3) [m, world], float32, and triangles (T, 3), uint32, counter-clockwise from above.

        Steep faces are vertical: vertices at the foot of a face steeper than `slope_threshold` stand under its top.
        """
        return triangulate(self.heights, self.horizontal_scale, self.slope_threshold)

    @property
    def vertices(self) -> np.ndarray:
        """Vertices of `mesh`."""
        return self.mesh[0]

    @property
    def triangles(self) -> np.ndarray:
        """Triangles of `mesh`."""
        return self.mesh[1]

    def height(self, x: float | np.ndarray, y: float | np.ndarray) -> np.ndarray:
        """Height of the ground [m]; beyond its end, that of the nearest sample.

        Args:
            x: Positions [m], any shape.
            y: Positions [m], the same shape.
        """
        nx, ny = self.heights.shape
        u = np.clip(np.asarray(x) / self.horizontal_scale + 0.5 * (nx - 1), 0.0, nx - 1.0)
        v = np.clip(np.asarray(y) / self.horizontal_scale + 0.5 * (ny - 1), 0.0, ny - 1.0)
        i, j = np.minimum(u.astype(int), nx - 2), np.minimum(v.astype(int), ny - 2)
        u, v = u - i, v - j
        near, far = self.heights[i, j], self.heights[i + 1, j + 1]
        corner = np.where(u > v, self.heights[i + 1, j], self.heights[i, j + 1])
        return near + np.maximum(u, v) * (corner - near) + np.minimum(u, v) * (far - corner)
