"""Shapes of a tile, by name: small functions `(tile, severity) -> heights`. The severity says how hard the shape is.

Robots start on a platform in the middle. Slopes and stairs surround it on all four sides, so that every way leads over
them, and come back to height 0 at the tile's edge.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

CELL = 0.2
"""Width of the cells of rough ground [m]."""
TREAD = 0.3
"""Depth of a step of the stairs [m]."""
ROUGHNESS_PER_DEGREE = 0.002
"""Largest height of the cells of a rough slope, per inclination [m/degree]."""
NUM_BLOCKS = 40
BLOCK_SIDES = (0.4, 1.2)
"""Shortest and longest side of a block [m]."""
STONE = 0.6
"""Side of a stepping stone [m]."""
GAP_DEPTH = 0.25
"""Depth of the gaps between stepping stones [m]."""


@dataclass(frozen=True)
class Tile:
    """The square that a profile fills."""

    x: np.ndarray
    """Position of the samples along x, from the tile's middle [m]. Shape (n, 1)."""
    y: np.ndarray
    """Position of the samples along y, from the tile's middle [m]. Shape (1, n)."""
    size: float
    """Side of the tile [m]."""
    platform: float
    """Side of the flat place in the middle [m]."""
    rng: np.random.Generator
    uphill: bool
    """Whether slopes rise from the platform outwards; else they fall."""

    @property
    def from_edge(self) -> np.ndarray:
        """Distance of each sample from the tile's edge, capped at the platform's distance [m]. Shape (n, n)."""
        distance = 0.5 * self.size - np.maximum(np.abs(self.x), np.abs(self.y))
        return np.clip(distance, 0.0, 0.5 * (self.size - self.platform))

    @property
    def on_platform(self) -> np.ndarray:
        """Whether a sample is on the platform. Shape (n, n), bool."""
        return np.maximum(np.abs(self.x), np.abs(self.y)) <= 0.5 * self.platform


def random_cells(x: np.ndarray, y: np.ndarray, height: float, rng: np.random.Generator) -> np.ndarray:
    """Square cells with heights drawn uniformly between 0 and `height` [m].

    Args:
        x: Positions [m]. Shape (n, 1).
        y: Positions [m]. Shape (1, m).
        height: Largest height [m].
        rng: Source of the draws.

    Returns:
        Heights [m]. Shape (n, m).
    """
    rows, cols = (np.floor((p - p.min()) / CELL + 1e-6).astype(int) for p in (x, y))
    heights = height * rng.random((rows.max() + 1, cols.max() + 1))
    return heights[rows, cols]


def flat(tile: Tile, severity: float) -> np.ndarray:
    """Level ground."""
    return np.zeros(np.broadcast_shapes(tile.x.shape, tile.y.shape))


def noise(tile: Tile, severity: float) -> np.ndarray:
    """Cells of random height up to `severity` [m], the platform too."""
    return random_cells(tile.x, tile.y, severity, tile.rng)


def smooth_slope(tile: Tile, severity: float) -> np.ndarray:
    """A pyramid, upside down if uphill, with sides inclined by `severity` [degrees]."""
    return (-1.0 if tile.uphill else 1.0) * np.tan(np.deg2rad(severity)) * tile.from_edge


def rough_slope(tile: Tile, severity: float) -> np.ndarray:
    """A smooth slope with random cells on it."""
    cells = random_cells(tile.x, tile.y, ROUGHNESS_PER_DEGREE * severity, tile.rng)
    return smooth_slope(tile, severity) + np.where(tile.on_platform, 0.0, cells)


def stairs_up(tile: Tile, severity: float) -> np.ndarray:
    """Steps of height `severity` [m] up from the platform on all sides."""
    return -severity * np.floor(tile.from_edge / TREAD + 1e-6)


def stairs_down(tile: Tile, severity: float) -> np.ndarray:
    """Steps of height `severity` [m] down from the platform on all sides."""
    return -stairs_up(tile, severity)


def blocks(tile: Tile, severity: float) -> np.ndarray:
    """Rectangles raised or sunk by up to `severity` [m], which may overlap."""
    heights = flat(tile, severity)
    half = 0.5 * tile.size
    for _ in range(NUM_BLOCKS):
        side_x, side_y = tile.rng.uniform(*BLOCK_SIDES, 2)
        x, y = tile.rng.uniform(-half, half - side_x), tile.rng.uniform(-half, half - side_y)
        inside = (tile.x >= x) & (tile.x < x + side_x) & (tile.y >= y) & (tile.y < y + side_y)
        heights[inside] = severity * tile.rng.choice((-1.0, -0.5, 0.5, 1.0))
    return np.where(tile.on_platform, 0.0, heights)


def stepping_stones(tile: Tile, severity: float) -> np.ndarray:
    """Square stones with gaps of width `severity` [m] between them."""
    in_gap = [np.mod(p + 0.5 * STONE, STONE + severity) >= STONE for p in (tile.x, tile.y)]
    return np.where((in_gap[0] | in_gap[1]) & ~tile.on_platform, -GAP_DEPTH, 0.0)


PROFILES: dict[str, Callable[[Tile, float], np.ndarray]] = {
    f.__name__: f for f in (flat, noise, smooth_slope, rough_slope, stairs_up, stairs_down, blocks, stepping_stones)
}
"""All profiles by name."""
