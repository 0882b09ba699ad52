"""Configuration of the ground."""

from dataclasses import dataclass, field, fields

from legged_gym.terrain.lanes import LANES
from legged_gym.terrain.profiles import PROFILES, TREAD
from legged_gym.utils.config import Config, ConfigError, Range, bounded, check_ranges

LANES_PROFILE = "lanes"
"""The evaluation's map, with one lane for each row."""
MIXED_PROFILE = "mixed"
MAX_SAMPLES = 100_000_000
"""Largest number of heights in a map: 400 MB."""


@dataclass
class TerrainProportionsCfg(Config):
    """Share of the columns for each profile in the profile `mixed`; only the ratios of the shares count."""

    flat: float = bounded(0.1, ge=0)
    """Level ground."""
    noise: float = bounded(0.15, ge=0)
    """Bumps of random height."""
    smooth_slope: float = bounded(0.1, ge=0)
    """A slope up or down."""
    rough_slope: float = bounded(0.1, ge=0)
    """The same with bumps on it."""
    stairs_up: float = bounded(0.25, ge=0)
    """Steps that rise from the middle."""
    stairs_down: float = bounded(0.2, ge=0)
    """Steps that sink from the middle."""
    blocks: float = bounded(0.1, ge=0)
    """Blocks of random height."""
    stepping_stones: float = bounded(0.0, ge=0)
    """Stones with gaps between them."""

    def validate(self) -> None:
        """Check that at least one share is not zero."""
        if not any(getattr(self, f.name) for f in fields(self)):
            raise ConfigError("TerrainProportionsCfg: all shares are 0; at least one must be positive")


@dataclass
class TerrainSeverityCfg(Config):
    """Severity of each profile: its measure at difficulty 0 and at difficulty 1."""

    noise: Range = bounded((0.0, 0.12), ge=0)
    """Heights of the cells lie between 0 and this [m]; the cells are 20 cm wide."""
    smooth_slope: Range = bounded((0.0, 27.0), ge=0, le=60)
    """Inclination [degrees]."""
    rough_slope: Range = bounded((0.0, 22.0), ge=0, le=60)
    """Inclination [degrees]; the cells on it are up to 2 mm high per degree."""
    stairs_up: Range = bounded((0.02, 0.15), ge=0)
    """Height of a step [m]; treads are 30 cm."""
    stairs_down: Range = bounded((0.02, 0.15), ge=0)
    """Height of a step [m]."""
    blocks: Range = bounded((0.02, 0.15), ge=0)
    """Largest height of the blocks and depth of the pits [m]."""
    stepping_stones: Range = bounded((0.02, 0.25), ge=0)
    """Width of the gaps between the stones [m]."""

    def validate(self) -> None:
        """Check that ranges are ordered."""
        check_ranges(self, *(f.name for f in fields(self)))


@dataclass
class TerrainCfg(Config):
    """The ground: a plane, or square tiles in rows (levels of difficulty) and columns (types)."""

    mesh_type: str = bounded("plane", choices=("plane", "heightfield", "trimesh"))
    """Kind of ground. A trimesh has vertical faces if the engine collides with meshes. The MuJoCo engines use a height
    field instead, in which a riser is one cell wide. A trimesh of the profile `flat` is a plane: see `is_plane`."""
    static_friction: float = bounded(0.6, ge=0)
    """Friction coefficient between robot and ground where it is not randomised."""
    profile: str = bounded(MIXED_PROFILE, choices=(*PROFILES, MIXED_PROFILE, LANES_PROFILE))
    """Shape of the tiles: one for all, `mixed`, or the `lanes` of the evaluation, which are walked along +x."""
    proportions: TerrainProportionsCfg = field(default_factory=TerrainProportionsCfg)
    severity: TerrainSeverityCfg = field(default_factory=TerrainSeverityCfg)
    difficulty_range: Range = bounded((0.0, 1.0), ge=0, le=1)
    """Difficulty of the first row and of the last one."""
    curriculum: bool = True
    """Robots move to a harder row when they walk most of the commanded distance, and to an easier one when they walk
    less than half of it. Without the curriculum they are spread over all rows."""
    max_init_terrain_level: int = bounded(1, ge=0)
    """Highest row in which robots start with the curriculum."""
    num_rows: int = bounded(10, ge=1)
    """Number of levels."""
    num_cols: int = bounded(20, ge=1)
    """Number of columns, which the profiles share."""
    tile_size: float = bounded(8.0, gt=0, le=1000)
    """Side of a tile [m]."""
    platform_size: float = bounded(2.0, gt=0)
    """Side of the flat place in the middle of a tile, where robots start [m]."""
    border_size: float = bounded(4.0, ge=1, le=1000)
    """Width of the flat border around the tiles [m]; an episode ends 1 m before the end of the ground."""
    spawn_spread: float = bounded(0.3, ge=0)
    """Largest distance of a start from the middle of the platform, along x and along y [m]."""
    horizontal_scale: float = bounded(0.025, ge=0.001, le=0.1)
    """Width of a cell of the height field [m]. A riser that is no higher than this is a ramp to a foot."""
    vertical_scale: float = bounded(0.005, ge=0.0001, le=1)
    """Heights are multiples of this [m]."""
    slope_threshold: float = bounded(1.0, gt=0)
    """Rise over run from which a trimesh has a vertical face."""
    seed: int = bounded(1, ge=0)
    """Seed of the map."""
    measure_heights: bool = True
    """Show the critic the heights around the robot; not on a plane."""
    measured_points_x: tuple[float, ...] = tuple(round(0.1 * k, 1) for k in range(-6, 7))
    """Positions of these heights ahead of the base [m]."""
    measured_points_y: tuple[float, ...] = tuple(round(0.1 * k, 1) for k in range(-4, 5))
    """Positions of these heights to the left of the base [m]."""

    @property
    def is_plane(self) -> bool:
        """Whether engines get the plane z = 0 and no map: a flat mesh has all its triangles in it, and costs more."""
        return self.mesh_type == "plane" or (self.mesh_type == "trimesh" and self.profile == "flat")

    @property
    def tile_cells(self) -> int:
        """Cells along a tile's side."""
        return round(self.tile_size / self.horizontal_scale)

    @property
    def border_cells(self) -> int:
        """Cells across the border."""
        return round(self.border_size / self.horizontal_scale)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tiles, or of the lanes."""
        return (1, len(LANES)) if self.profile == LANES_PROFILE else (self.num_rows, self.num_cols)

    def validate(self) -> None:
        """Check values that depend on each other."""
        check_ranges(self, "difficulty_range")
        if abs(self.tile_cells * self.horizontal_scale - self.tile_size) > 1e-6:
            raise ConfigError(
                f"TerrainCfg.tile_size: {self.tile_size} m is not a whole number of cells of {self.horizontal_scale} m"
            )
        if self.tile_size < self.platform_size + 4.0 * TREAD:
            raise ConfigError(
                f"TerrainCfg.platform_size: {self.platform_size} m leaves too little of a tile of {self.tile_size} m"
            )
        if 2.0 * self.spawn_spread > self.platform_size:
            raise ConfigError(f"TerrainCfg.spawn_spread: {self.spawn_spread} m is beyond the platform")
        if self.max_init_terrain_level >= self.num_rows:
            raise ConfigError(
                f"TerrainCfg.max_init_terrain_level: {self.max_init_terrain_level} is not below num_rows, "
                f"{self.num_rows}"
            )
        if not (self.measured_points_x and self.measured_points_y):
            raise ConfigError("TerrainCfg.measured_points_x and _y need a value each; see measure_heights")
        samples = [n * self.tile_cells + 2 * self.border_cells for n in self.grid]
        if samples[0] * samples[1] > MAX_SAMPLES:
            raise ConfigError(
                f"TerrainCfg: {samples[0]} x {samples[1]} heights are more than {MAX_SAMPLES:,}: fewer tiles or larger "
                "horizontal_scale"
            )
