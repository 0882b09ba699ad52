"""Lanes for measurements: each has one kind of obstacle of one size, and is walked along +x from a flat start."""

from collections.abc import Callable
from functools import partial

import numpy as np

from legged_gym.terrain.profiles import TREAD, random_cells

LANE_START = 0.75
"""Distance from the near end of the lane to the robots' start [m]."""
FLAT_LENGTH = 1.5
"""Length of the flat ground at the near end [m]."""

Lane = Callable[[np.ndarray, np.ndarray, np.random.Generator], np.ndarray]


def rough(height: float, along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Cells of 20 cm with random heights from 0 to `height` [m].

    Args:
        height: Largest height of a cell [m].
        along: Distance from the end of the flat start [m], negative on it. Shape (n, 1).
        across: Position across the lane [m]. Shape (1, m).
        rng: Source of the draws.

    Returns:
        Heights [m]. Shape (n, m).
    """
    return np.where(along >= 0.0, random_cells(along, across, height, rng), 0.0)


def slope(degrees: float, along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """An inclined plane upwards; see `rough`."""
    return np.tan(np.deg2rad(degrees)) * np.maximum(along, 0.0) + 0.0 * across


def stairs(rise: float, along: np.ndarray, across: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Steps of height `rise` [m], downwards if negative; see `rough`."""
    return rise * np.maximum(np.floor(along / TREAD + 1e-6) + 1.0, 0.0) + 0.0 * across


LANES: dict[str, Lane] = {
    **{f"rough_{cm}": partial(rough, cm / 100) for cm in (2, 4, 6, 8)},
    **{f"slope_{degrees}": partial(slope, degrees) for degrees in (10, 20)},
    **{f"stairs_up_{cm}": partial(stairs, cm / 100) for cm in (5, 8, 10, 13)},
    **{f"stairs_down_{cm}": partial(stairs, -cm / 100) for cm in (5, 8, 10, 13)},
    # As high as robots train on, and higher. Lanes lie side by side in this order, so a new one goes to the end.
    **{f"stairs_up_{cm}": partial(stairs, cm / 100) for cm in (15, 17)},
}
"""All lanes by name: heights and steps in centimetres, slopes in degrees."""
