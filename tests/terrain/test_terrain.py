"""Maps are what their configuration says: shapes, levels, seeds, and a mesh of the same surface."""

import pickle
from typing import Any

import numpy as np
import pytest

from legged_gym.terrain.build import column_types, make_terrain, severity
from legged_gym.terrain.config import TerrainCfg, TerrainProportionsCfg, TerrainSeverityCfg
from legged_gym.terrain.lanes import LANES
from legged_gym.terrain.mesh import triangulate
from legged_gym.terrain.profiles import GAP_DEPTH, PROFILES, TREAD
from legged_gym.terrain.terrain import Terrain
from legged_gym.utils.config import ConfigError


def build(**settings: Any) -> Terrain:
    small = {"mesh_type": "heightfield", "num_rows": 3, "num_cols": 2, "border_size": 1.0, "max_init_terrain_level": 0}
    small |= {"horizontal_scale": 0.05}
    terrain = make_terrain(TerrainCfg(**(small | settings)))
    assert terrain is not None
    return terrain


def tile(terrain: Terrain, row: int, col: int, size: float = 8.0) -> np.ndarray:
    """Heights of one tile."""
    n = round(size / terrain.horizontal_scale)
    rows = len(terrain.origins)
    border = (terrain.heights.shape[0] - rows * n) // 2
    return terrain.heights[border + row * n : border + (row + 1) * n, border + col * n : border + (col + 1) * n]


def risers(line: np.ndarray) -> np.ndarray:
    """Changes of height along a line of samples."""
    changes = np.diff(line)
    return changes[np.abs(changes) > 1e-6]


def test_a_plane_needs_no_map() -> None:
    assert make_terrain(TerrainCfg()) is None
    assert make_terrain(TerrainCfg(mesh_type="trimesh", profile="flat")) is None
    assert make_terrain(TerrainCfg(mesh_type="plane", profile="mixed")) is None
    assert not build(profile="flat").heights.any()  # a field is a field, however level


@pytest.mark.parametrize("profile", PROFILES)
def test_profile_grows_with_the_level(profile: str) -> None:
    terrain = build(profile=profile)
    spans = [np.ptp(tile(terrain, row, 0)) for row in range(3)]
    if profile == "flat":
        assert spans == [0.0, 0.0, 0.0]
    elif profile == "stepping_stones":  # the gaps grow wider, not deeper
        gaps = [(tile(terrain, row, 0) < 0.0).mean() for row in range(3)]
        assert gaps[0] < gaps[1] < gaps[2] < 0.6
        assert spans == pytest.approx([GAP_DEPTH] * 3)
    else:
        assert spans[0] < spans[1] < spans[2]
    assert terrain.types == (profile, profile)


@pytest.mark.parametrize(("profile", "sign"), [("stairs_up", 1.0), ("stairs_down", -1.0)])
def test_stairs_have_the_height_and_the_treads_they_should(profile: str, sign: float) -> None:
    """Ten equal steps on each of the four sides, from the platform outwards, back to height 0 at the edge."""
    heights = tile(build(profile=profile, severity=TerrainSeverityCfg(**{profile: (0.05, 0.15)})), 1, 0)
    n = len(heights)
    for line in (heights[n // 2 :, n // 2], heights[: n // 2, n // 2][::-1], heights[n // 2, n // 2 :]):
        np.testing.assert_allclose(risers(line), [sign * 0.1] * 10, atol=1e-6)
        steps = np.flatnonzero(np.abs(np.diff(line)) > 1e-6)
        assert set(np.diff(steps)) == {round(TREAD / 0.05)}
        assert line[-1] == 0.0


def test_slopes_have_the_inclination_they_should_and_alternate() -> None:
    terrain = build(profile="smooth_slope", severity=TerrainSeverityCfg(smooth_slope=(0.0, 20.0)), vertical_scale=1e-4)
    rises = []
    for col in (0, 1):
        line = tile(terrain, 2, col)[80:, 80]
        inclination = np.degrees(np.arctan(np.diff(line) / 0.05))
        rises.append(np.median(inclination[22:]))
        assert np.abs(inclination[:18]).max() == 0.0  # the platform
    np.testing.assert_allclose(rises, [20.0, -20.0], atol=0.2)


def test_noise_is_made_of_cells() -> None:
    """20 cm wide, between 0 and the asked height, all heights about equally often."""
    heights = tile(build(profile="noise", severity=TerrainSeverityCfg(noise=(0.08, 0.08))), 0, 0)
    cells = heights.reshape(40, 4, 40, 4).transpose(0, 2, 1, 3).reshape(1600, 16)
    assert np.ptp(cells, axis=1).max() == 0.0
    assert cells.min() >= 0.0 and cells.max() <= 0.0801
    assert np.histogram(cells[:, 0], bins=4, range=(0.0, 0.0801))[0].min() > 300


def test_robots_start_on_level_ground() -> None:
    terrain = build(profile="mixed", num_cols=20, num_rows=2)
    for col, kind in enumerate(terrain.types):
        x, y, z = terrain.origins[1, col]
        around = terrain.height(*np.meshgrid(x + np.linspace(-0.9, 0.9, 9), y + np.linspace(-0.9, 0.9, 9)))
        assert np.ptp(around) == 0.0 or kind == "noise"
        assert z == pytest.approx(float(terrain.height(x, y)), abs=1e-6) or kind == "noise"


def test_columns_follow_the_proportions() -> None:
    shares = dict.fromkeys(PROFILES, 0.0) | {"noise": 1.0, "stairs_up": 2.0, "blocks": 1.0}
    cfg = TerrainCfg(num_cols=8, proportions=TerrainProportionsCfg(**shares))
    assert column_types(cfg) == ("noise",) * 2 + ("stairs_up",) * 4 + ("blocks",) * 2
    assert set(column_types(TerrainCfg())) == set(PROFILES) - {"stepping_stones"}


def test_difficulty_runs_from_the_first_row_to_the_last() -> None:
    terrain = build(profile="stairs_up", difficulty_range=(0.5, 1.0))
    np.testing.assert_allclose(terrain.levels, [0.5, 0.75, 1.0])
    assert severity(TerrainCfg(), "stairs_up", 0.5) == pytest.approx(0.085)
    np.testing.assert_allclose(risers(tile(terrain, 0, 0)[80:, 80]), 0.085, atol=1e-6)


def test_the_seed_makes_the_map() -> None:
    maps = [build(profile="blocks", seed=seed).heights for seed in (1, 1, 2)]
    assert np.array_equal(maps[0], maps[1])
    assert not np.array_equal(maps[0], maps[2])
    assert not np.array_equal(tile(build(profile="blocks"), 2, 0), tile(build(profile="blocks"), 2, 1))


def test_heights_are_multiples_of_the_vertical_scale() -> None:
    terrain = build(profile="rough_slope", vertical_scale=0.02)
    np.testing.assert_allclose(np.round(terrain.heights / 0.02) * 0.02, terrain.heights, atol=1e-6)


def test_lanes_hold_what_their_names_say() -> None:
    terrain = build(profile="lanes")
    assert terrain.types == tuple(LANES) and terrain.origins.shape == (1, len(LANES), 3)
    for col, name in enumerate(LANES):
        kind, size = name.rsplit("_", 1)
        x, y, _ = terrain.origins[0, col]
        line = terrain.height(x + np.arange(0.0, 6.0, 0.05), np.full(120, y))
        assert np.ptp(line[:14]) == 0.0
        if kind == "slope":
            assert np.degrees(np.arctan((line[100] - line[20]) / 4.0)) == pytest.approx(float(size), abs=0.2)
        elif kind == "rough":
            assert 0.7 * float(size) / 100 < np.ptp(line) <= float(size) / 100 + 1e-6
        else:
            rise = float(size) / 100 * (1.0 if kind == "stairs_up" else -1.0)
            steps = np.diff(terrain.height(x + np.arange(0.55, 6.0, TREAD), np.full(19, y)))
            np.testing.assert_allclose(risers(np.r_[0.0, np.cumsum(steps)]), rise, atol=1e-6)


def test_height_is_that_of_the_triangles() -> None:
    """Exact at samples and on the diagonal, linear in each triangle, held beyond the end."""
    terrain = build(profile="blocks", num_rows=1)
    h = terrain.heights
    i, j = 101, 203
    x0, y0 = ((k - 0.5 * (n - 1)) * 0.05 for k, n in zip((i, j), h.shape, strict=True))
    corners = h[i, j], h[i + 1, j], h[i + 1, j + 1], h[i, j + 1]
    for (u, v), weights in {
        (0.0, 0.0): (1, 0, 0, 0),
        (0.5, 0.5): (0.5, 0, 0.5, 0),
        (0.75, 0.25): (0.25, 0.5, 0.25, 0),
        (0.25, 0.75): (0.25, 0, 0.25, 0.5),
    }.items():
        expected = sum(w * c for w, c in zip(weights, corners, strict=True))
        assert terrain.height(x0 + 0.05 * u, y0 + 0.05 * v) == pytest.approx(expected, abs=1e-6)
    assert terrain.height(1e3, -1e3) == h[-1, 0]


def test_mesh_covers_the_ground_once_and_faces_up() -> None:
    terrain = build(profile="blocks", num_rows=1, num_cols=1)
    vertices, triangles = terrain.vertices, terrain.triangles
    assert vertices.dtype == np.float32 and triangles.dtype == np.uint32
    a, b, c = (vertices[triangles[:, k]].astype(float) for k in range(3))
    area = 0.5 * np.cross(b - a, c - a)[:, 2]
    assert area.min() > -1e-6
    assert area.sum() == pytest.approx(4.0 * np.prod(terrain.half_size), rel=1e-5)


def test_mesh_is_the_height_field_where_nothing_is_steep() -> None:
    terrain = build(profile="smooth_slope", num_rows=1, difficulty_range=(1.0, 1.0))
    centres = terrain.vertices[terrain.triangles].mean(axis=1)
    np.testing.assert_allclose(centres[:, 2], terrain.height(centres[:, 0], centres[:, 1]), atol=1e-5)


def inclinations(vertices: np.ndarray, triangles: np.ndarray) -> np.ndarray:
    """Rise over run of the triangles that do not lie flat, degenerate ones left out."""
    a, b, c = (vertices[triangles[:, k]].astype(float) for k in range(3))
    normal = np.cross(b - a, c - a)
    real = np.linalg.norm(normal, axis=1) > 1e-7
    run = np.linalg.norm(normal[real, :2], axis=1)
    steep = run > 1e-7
    return run[steep] / np.maximum(np.abs(normal[real, 2][steep]), 1e-9)


@pytest.mark.parametrize(("threshold", "vertical"), [(1.0, True), (3.0, False)])
def test_steep_faces_stand_upright(threshold: float, vertical: bool) -> None:
    """A riser of 10 cm over one cell of 5 cm has slope 2: upright, or as it is, by the threshold; corners too."""
    heights = np.zeros((9, 9))
    heights[3:6, 3:6] = 0.1
    slopes = inclinations(*triangulate(heights, 0.05, threshold))
    assert len(slopes) > 0
    assert (slopes > 1e3).all() if vertical else (slopes < 3.0).all()


def test_it_travels_to_another_process() -> None:
    terrain = build()
    copy = pickle.loads(pickle.dumps(terrain))
    assert np.array_equal(copy.heights, terrain.heights) and copy.types == terrain.types
    assert np.array_equal(copy.triangles, terrain.triangles)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mesh_type": "moon"}, "expected one of plane, heightfield, trimesh"),
        ({"profile": "dunes"}, "expected one of flat, noise"),
        ({"horizontal_scale": 0.03}, "8.0 m is not a whole number of cells of 0.03 m"),
        ({"horizontal_scale": 0.001}, "more than 100,000,000"),
        ({"horizontal_scale": 1e-309}, ">= 0.001 and <= 0.1"),
        ({"vertical_scale": 1e38}, ">= 0.0001 and <= 1"),
        ({"tile_size": 1e308}, "tile_size: got"),
        ({"border_size": 1e30}, ">= 1 and <= 1000"),
        ({"platform_size": 7.5}, "leaves too little of a tile"),
        ({"spawn_spread": 1.5}, "beyond the platform"),
        ({"max_init_terrain_level": 10}, "not below num_rows, 10"),
        ({"difficulty_range": (0.8, 0.2)}, "low 0.8 is above high 0.2"),
        ({"measured_points_x": ()}, "need a value each"),
    ],
)
def test_impossible_maps_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TerrainCfg(**settings)


def test_impossible_sections_are_refused() -> None:
    with pytest.raises(ConfigError, match="at least one must be positive"):
        TerrainProportionsCfg(**dict.fromkeys(PROFILES, 0.0))
    with pytest.raises(ConfigError, match="is above high"):
        TerrainSeverityCfg(stairs_up=(0.2, 0.1))
