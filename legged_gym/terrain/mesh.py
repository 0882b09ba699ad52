"""Turns a grid of heights into a triangle mesh with vertical faces."""

import numpy as np


def triangulate(heights: np.ndarray, horizontal_scale: float, slope_threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Make the mesh.

    On a grid a riser leans over one cell. If that is too steep, the sample at its foot moves under its top: the lower
    ground ends there, and the face is vertical. A sample in a ditch one cell wide stays where it is.

    Args:
        heights: Heights [m]. Shape (nx, ny).
        horizontal_scale: Width of a cell [m].
        slope_threshold: Rise over run from which a face is vertical.

    Returns:
        Vertices (nx * ny, 3) [m], float32, around the origin, and triangles (2 (nx - 1) (ny - 1), 3), uint32,
        counter-clockwise from above.
    """
    nx, ny = heights.shape
    move_x, move_y = _moves(heights, slope_threshold * horizontal_scale)
    x = (np.arange(nx)[:, None] - 0.5 * (nx - 1) + move_x) * horizontal_scale
    y = (np.arange(ny)[None, :] - 0.5 * (ny - 1) + move_y) * horizontal_scale
    vertices = np.stack((x, y, heights), axis=-1).reshape(-1, 3).astype(np.float32)
    return vertices, _grid_triangles(nx, ny)


def _moves(heights: np.ndarray, limit: float) -> tuple[np.ndarray, np.ndarray]:
    """Cells by which each sample moves along x and y towards a neighbour that is higher by more than `limit` [m].

    A neighbour along the grid decides; if none is that high, a neighbour across the corner does.
    """
    padded = np.pad(heights, 1, mode="edge")
    nx, ny = heights.shape

    def is_top(i: int, j: int) -> np.ndarray:
        return padded[1 + i : 1 + i + nx, 1 + j : 1 + j + ny] - heights > limit

    straight_x, straight_y = (is_top(1, 0) * 1 - is_top(-1, 0) * 1), (is_top(0, 1) * 1 - is_top(0, -1) * 1)
    free = ~(is_top(1, 0) | is_top(-1, 0) | is_top(0, 1) | is_top(0, -1))
    corners = {(i, j): free & is_top(i, j) for i in (-1, 1) for j in (-1, 1)}
    across_x = (corners[1, 1] | corners[1, -1]) * 1 - (corners[-1, 1] | corners[-1, -1]) * 1
    across_y = (corners[1, 1] | corners[-1, 1]) * 1 - (corners[1, -1] | corners[-1, -1]) * 1
    return straight_x + across_x, straight_y + across_y


def _grid_triangles(nx: int, ny: int) -> np.ndarray:
    """Two triangles for each cell, cut from its sample (i, j) to (i + 1, j + 1). Shape (2 (nx - 1) (ny - 1), 3)."""
    index = np.arange(nx * ny, dtype=np.uint32).reshape(nx, ny)
    near, far = index[:-1, :-1], index[1:, 1:]
    along_x, along_y = index[1:, :-1], index[:-1, 1:]
    return np.stack((near, along_x, far, near, far, along_y), axis=-1).reshape(-1, 3)
