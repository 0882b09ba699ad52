"""Builds the map from the configuration."""

import numpy as np

from legged_gym.terrain.config import LANES_PROFILE, MIXED_PROFILE, TerrainCfg
from legged_gym.terrain.lanes import FLAT_LENGTH, LANE_START, LANES
from legged_gym.terrain.profiles import PROFILES, Tile
from legged_gym.terrain.terrain import Terrain


def make_terrain(cfg: TerrainCfg) -> Terrain | None:
    """Build the map; the same configuration gives the same map.

    Args:
        cfg: The configuration.

    Returns:
        The map, or None for a plane.
    """
    if cfg.is_plane:
        return None
    rows, cols = cfg.grid
    border, n = cfg.border_cells, cfg.tile_cells
    heights = np.zeros((rows * n + 2 * border, cols * n + 2 * border), np.float32)
    inside = heights[border : border + rows * n, border : border + cols * n]
    types = tuple(LANES) if cfg.profile == LANES_PROFILE else column_types(cfg)
    levels = np.linspace(*cfg.difficulty_range, rows)
    for row in range(rows):
        for col in range(cols):
            tile = _lane(cfg, col) if cfg.profile == LANES_PROFILE else _tile(cfg, types, row, col, levels[row])
            inside[row * n : (row + 1) * n, col * n : (col + 1) * n] = tile
    heights /= cfg.vertical_scale
    np.round(heights, out=heights)
    heights *= cfg.vertical_scale
    return Terrain(
        mesh_type=cfg.mesh_type,
        heights=heights,
        horizontal_scale=cfg.horizontal_scale,
        vertical_scale=cfg.vertical_scale,
        slope_threshold=cfg.slope_threshold,
        origins=_origins(cfg, heights),
        types=types,
        levels=levels,
    )


def column_types(cfg: TerrainCfg) -> tuple[str, ...]:
    """Profile of each column. In the profile `mixed` the columns follow the proportions, as far as whole columns can,
    and columns of one profile are neighbours.
    """
    if cfg.profile != MIXED_PROFILE:
        return (cfg.profile,) * cfg.num_cols
    shares = np.array([getattr(cfg.proportions, name) for name in PROFILES])
    ends = np.cumsum(shares) / shares.sum()
    middles = (np.arange(cfg.num_cols) + 0.5) / cfg.num_cols
    names = list(PROFILES)
    return tuple(names[k] for k in np.searchsorted(ends, middles))


def severity(cfg: TerrainCfg, profile: str, difficulty: float) -> float:
    """Measure of a profile at a difficulty from 0 to 1, in the profile's unit; 0 for flat ground."""
    low, high = getattr(cfg.severity, profile, (0.0, 0.0))
    return low + (high - low) * difficulty


def _samples(cfg: TerrainCfg) -> np.ndarray:
    """Positions of a tile's samples along one axis, from its middle [m]. Shape (n,)."""
    return (np.arange(cfg.tile_cells) + 0.5) * cfg.horizontal_scale - 0.5 * cfg.tile_size


def _tile(cfg: TerrainCfg, types: tuple[str, ...], row: int, col: int, difficulty: float) -> np.ndarray:
    """Heights of one tile [m]. A profile's first column rises from the platform, the next one falls, and so on."""
    at = _samples(cfg)
    tile = Tile(
        x=at[:, None],
        y=at[None, :],
        size=cfg.tile_size,
        platform=cfg.platform_size,
        rng=np.random.default_rng((cfg.seed, row, col)),
        uphill=(col - types.index(types[col])) % 2 == 0,
    )
    return PROFILES[types[col]](tile, severity(cfg, types[col], difficulty))


def _lane(cfg: TerrainCfg, col: int) -> np.ndarray:
    at = _samples(cfg)
    along = at[:, None] + 0.5 * cfg.tile_size - FLAT_LENGTH
    return list(LANES.values())[col](along, at[None, :], np.random.default_rng((cfg.seed, col)))


def _origins(cfg: TerrainCfg, heights: np.ndarray) -> np.ndarray:
    """Start positions of robots: the middle of the tiles, or the near end of the lanes. Shape (rows, columns, 3)."""
    rows, cols = cfg.grid
    start = LANE_START / cfg.tile_size if cfg.profile == LANES_PROFILE else 0.5
    x = (np.arange(rows) + start - 0.5 * rows) * cfg.tile_size
    y = (np.arange(cols) + 0.5 - 0.5 * cols) * cfg.tile_size
    x, y = np.meshgrid(x, y, indexing="ij")
    i, j = (
        np.floor(p / cfg.horizontal_scale + 0.5 * n).astype(int) for p, n in zip((x, y), heights.shape, strict=True)
    )
    return np.stack((x, y, heights[i, j]), axis=-1).astype(np.float32)
