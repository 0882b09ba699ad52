"""The environment on terrain: what it knows of the ground, where robots start, and how they move through the levels."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from legged_gym.envs.base.ground import AHEAD, HeightMap, TiledGround
from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.sim.sim_state import Placement, SimState
from legged_gym.terrain.build import make_terrain
from legged_gym.terrain.config import TerrainCfg
from legged_gym.terrain.profiles import PROFILES
from legged_gym.utils.math import rotate_yaw
from tests.envs.making import CLEAN, MakeEnv

SMALL: dict[str, Any] = {
    "terrain.mesh_type": "trimesh",
    "terrain.profile": "mixed",
    "terrain.num_rows": 3,
    "terrain.num_cols": 8,
    "terrain.border_size": 2.0,
    "terrain.horizontal_scale": 0.05,
    **{f"terrain.proportions.{name}": 1.0 for name in PROFILES},
}
"""A column of each profile."""
SPREAD = SMALL | {"terrain.curriculum": False}
"""Robots on all levels."""


def on_the_map(env: LeggedRobot, points_w: torch.Tensor) -> torch.Tensor:
    """Height of the map under points (..., 2 or 3)."""
    terrain = env.sim.options.terrain
    assert terrain is not None
    return torch.as_tensor(terrain.height(points_w[..., 0].numpy(), points_w[..., 1].numpy())).float()


def term(env: LeggedRobot, group: str, name: str) -> torch.Tensor:
    """One term of an observation group, as it is now."""
    terms = env.observation_terms[group]
    start = sum(width for other, width in terms[: [t[0] for t in terms].index(name)])
    return env.get_observations()[group][:, start : start + dict(terms)[name]]


# -- heights -----------------------------------------------------------------------------------------------------------


def test_device_lookup_is_the_maps() -> None:
    """Everywhere, on samples, beyond the end; and a robot that is nowhere finds ground, too."""
    terrain = make_terrain(
        TerrainCfg(mesh_type="trimesh", profile="blocks", num_rows=2, num_cols=2, horizontal_scale=0.05)
    )
    assert terrain is not None
    lookup = HeightMap(terrain, torch.device("cpu"))
    points = 30.0 * torch.rand(2000, 4, 2) - 15.0
    points[:500] = (points[:500] / 0.025).round() * 0.025  # corners, middles of edges and of cells
    expected = torch.as_tensor(terrain.height(points[..., 0].double().numpy(), points[..., 1].double().numpy())).float()
    torch.testing.assert_close(lookup.height(*points.unbind(-1)), expected, rtol=0.0, atol=2e-4)
    assert expected.unique().numel() > 100
    lost = torch.tensor([[torch.nan, 1.0], [torch.inf, -torch.inf]])
    assert lookup.height(*lost.unbind(-1)).isfinite().all()


def test_heights_count_from_the_ground(make_env: MakeEnv) -> None:
    """Base and feet are as high as on a plane wherever the robots start, and the height rewards agree."""
    flat, hilly = make_env(24, CLEAN), make_env(24, CLEAN, SPREAD, {"terrain.profile": "stairs_down"})
    for env in (flat, hilly):
        env.step(torch.zeros(24, 6))
    assert hilly.state.root_pos_w[:, 2].std() > 0.3, "all robots are equally high"
    torch.testing.assert_close(hilly.state.base_height, flat.state.base_height, rtol=0.0, atol=1e-3)
    torch.testing.assert_close(hilly.state.feet_height, flat.state.feet_height, rtol=0.0, atol=1e-3)
    feet = on_the_map(hilly, hilly.state.feet_pos_w)
    torch.testing.assert_close(hilly.ground.under_feet, feet, rtol=0.0, atol=1e-4)


def test_the_critic_sees_the_ground_around_the_robot(make_env: MakeEnv) -> None:
    """13 x 9 points in the heading frame, over the mean under the base; the actor's inputs are those on a plane."""
    env = make_env(24, SPREAD)
    env.step(torch.zeros(24, 6))
    cfg = env.cfg.terrain
    points = torch.cartesian_prod(torch.tensor(cfg.measured_points_x), torch.tensor(cfg.measured_points_y))
    assert points.shape == (117, 2)
    around = env.state.root_pos_w[:, None, :2] + rotate_yaw(env.state.yaw.unsqueeze(1), points)
    expected = on_the_map(env, around) - env.ground.under_base.unsqueeze(-1)
    torch.testing.assert_close(term(env, "critic", "ground_around"), 5.0 * expected.clamp(-1.0, 1.0), rtol=0, atol=2e-3)
    plane = make_env(2)
    blind = make_env(8, SPREAD, {"terrain.measure_heights": False})
    assert plane.observation_terms == blind.observation_terms
    for group in ("policy", "command", "history"):
        assert env.get_observations()[group].shape[-1] == plane.get_observations()[group].shape[-1]
    assert "ground_around" not in dict(plane.observation_terms["critic"])


def test_the_teacher_sees_the_ground(make_env: MakeEnv) -> None:
    """Under the feet and at four points ahead, in the world's heights."""
    env = make_env(24, SPREAD, {"terrain.platform_size": 0.7, "terrain.spawn_spread": 0.3})
    env.step(torch.zeros(24, 6))
    ahead = torch.tensor([(x, 0.0) for x in AHEAD])
    points = env.state.root_pos_w[:, None, :2] + rotate_yaw(env.state.yaw.unsqueeze(1), ahead)
    torch.testing.assert_close(term(env, "teacher", "ground_ahead"), on_the_map(env, points), rtol=0, atol=2e-4)
    feet = on_the_map(env, env.state.feet_pos_w)
    torch.testing.assert_close(term(env, "teacher", "feet_ground_height"), feet, rtol=0.0, atol=2e-4)
    assert (term(env, "teacher", "ground_ahead").std(-1) > 0.01).any()


# -- where robots start and where it ends ------------------------------------------------------------------------------


def test_robots_start_on_their_tiles_with_nothing_inside_the_ground(make_env: MakeEnv) -> None:
    env = make_env(96, SPREAD)
    ground = env.ground
    assert isinstance(ground, TiledGround)
    assert ground.types.bincount().tolist() == [12] * 8
    assert ground.levels.bincount().tolist() == [32] * 3
    terrain = env.sim.options.terrain
    assert terrain is not None
    middles = torch.as_tensor(terrain.origins)[ground.levels, ground.types, :2]
    away = env.state.root_pos_w[:, :2] - middles
    assert away.abs().max() <= 0.3 and away.std() > 0.1
    assert env.state.feet_height.min() > -0.001
    assert env.state.feet_height.amin(-1).max() < 0.13  # over the highest cell of rough ground


def test_the_end_of_the_map_is_a_time_out(make_env: MakeEnv) -> None:
    env = make_env(4, CLEAN, SMALL)
    env.step(torch.zeros(4, 6))
    half_x, half_y = env.sim.options.terrain.half_size  # type: ignore[union-attr]
    pos = env.state.root_pos_w.clone()
    pos[0, 0], pos[1, 1], pos[2, 0] = half_x - 0.9, -half_y + 0.9, half_x - 1.3
    pos[:3, 2] = env.state.root_pos_w[:3, 2].max() + 1.0
    s = env.state
    still = torch.zeros(4, 3)
    there = replace(Placement.of(s), root_pos_w=pos, root_lin_vel_w=still, root_ang_vel_w=still)
    env.sim.reset(torch.ones(4, dtype=torch.bool), there)
    _, _, done, extras = env.step(torch.zeros(4, 6))
    assert done.tolist() == [True, True, False, False]
    assert extras["time_outs"].tolist() == [True, True, False, False]
    assert not env.episodes.fell.any()


# -- levels ------------------------------------------------------------------------------------------------------------


def ground_of(num_envs: int, **settings: Any) -> TiledGround:
    cfg = TerrainCfg(
        **(
            {
                "mesh_type": "heightfield",
                "profile": "flat",
                "num_rows": 4,
                "num_cols": 1,
                "tile_size": 4.0,
                "horizontal_scale": 0.1,
            }
            | settings
        )
    )
    terrain = make_terrain(cfg)
    assert terrain is not None
    return TiledGround(cfg, terrain, num_envs, 2, 0.02, torch.device("cpu"))


def walk(ground: TiledGround, command: float, speed: torch.Tensor, seconds: float) -> None:
    """Walk straight on from the origin, heading along +y."""
    n = len(speed)
    state = SimState(**{name: torch.zeros(n, 4) for name in SimState.__dataclass_fields__})
    half = 0.5**0.5
    state.root_quat_xyzw = torch.tensor([0.0, 0.0, half, half]).expand(n, 4)
    state.root_pos_w = torch.zeros(n, 3)
    state.root_lin_vel_w = torch.stack((torch.zeros(n), speed, torch.zeros(n)), dim=-1)
    commands = torch.tensor([command, 0.0, 0.3]).expand(n, 3)
    for _ in range(round(seconds / 0.02)):
        state.root_pos_w = state.root_pos_w + 0.02 * state.root_lin_vel_w
        ground.add_progress(state, commands)


def test_levels_follow_the_distance_walked() -> None:
    """At a command of 0.5 m/s for 20 s: up from 80 %, down below 50 %, else not; only robots whose episode is over."""
    ground = ground_of(6)
    ground.levels.fill_(2)
    speeds = torch.tensor([0.5, 0.42, 0.38, 0.27, 0.22, 0.5])
    walk(ground, 0.5, speeds, 20.0)
    mask = torch.tensor([True] * 5 + [False])
    ground.finish(mask, torch.zeros(6, dtype=torch.bool))
    assert ground.levels.tolist() == [3, 3, 2, 2, 1, 2]


def test_who_lasts_need_not_leave_the_tile() -> None:
    """Tiles of 4 m: 1.2 m from the start are enough for a whole episode, 2 m for one that ends in a fall."""
    for speed, fell, level in ((0.11, False, 2), (0.13, False, 3), (0.13, True, 2), (0.21, True, 3)):
        ground = ground_of(1)
        ground.levels.fill_(2)
        walk(ground, speed, torch.tensor([speed]), 10.0)
        ground.finish(torch.tensor([True]), torch.tensor([fell]))
        assert ground.levels.tolist() == [level]


def test_a_fall_counts_on_the_platform_only() -> None:
    """Tiles of 4 m: who falls within 1 m of the start moves back, from 2 m on he is through, in between he stays."""
    for seconds, level in ((1.0, 2), (1.8, 1), (3.0, 2), (5.0, 3)):
        ground = ground_of(1)
        ground.levels.fill_(2)
        walk(ground, 0.6, torch.tensor([0.5]), seconds)
        ground.finish(torch.tensor([True]), torch.tensor([True]))
        assert ground.levels.tolist() == [level]


def test_who_stands_or_stays_on_the_platform_stays_on_the_level() -> None:
    ground = ground_of(2)
    ground.levels.fill_(2)
    walk(ground, 0.0, torch.tensor([0.0, 0.1]), 20.0)
    ground.finish(torch.ones(2, dtype=torch.bool), torch.tensor([False, True]))
    assert ground.levels.tolist() == [2, 2]
    short = ground_of(1)
    walk(short, 0.3, torch.tensor([0.3]), 3.2)  # all that was asked, but within the platform
    before = short.levels.tolist()
    short.finish(torch.tensor([True]), torch.tensor([False]))
    assert short.levels.tolist() == before


def test_the_ends_of_the_levels() -> None:
    """Below the first there is none; who is through with the last one starts anywhere."""
    ground = ground_of(400)
    ground.levels.fill_(3)
    ground.levels[:50] = 0
    walk(ground, 0.5, torch.where(torch.arange(400) < 50, 0.0, 0.5), 20.0)
    everyone = torch.ones(400, dtype=torch.bool)
    ground.finish(everyone, ~everyone)
    assert ground.levels[:50].unique().tolist() == [0]
    assert ground.levels[50:].bincount(minlength=4).min() > 50


def test_without_the_curriculum_levels_stay() -> None:
    ground = ground_of(8, curriculum=False)
    assert ground.levels.tolist() == [0, 1, 2, 3] * 2
    walk(ground, 0.5, torch.full((8,), 0.5), 20.0)
    ground.finish(torch.ones(8, dtype=torch.bool), torch.zeros(8, dtype=torch.bool))
    assert ground.levels.tolist() == [0, 1, 2, 3] * 2


def test_levels_change_where_robots_start(make_env: MakeEnv) -> None:
    """Robots that do nothing but should walk fall back to the first row, and start there."""
    settings = {"env.episode_length_s": 4.0, "commands.standing_share": 0.0}
    settings |= {"terrain.mesh_type": "heightfield", "terrain.profile": "flat"}
    env = make_env(4, CLEAN, SMALL, settings, {"init_state.pos": (0.0, 0.0, 30.0)})
    assert isinstance(env.ground, TiledGround)
    env.ground.levels.fill_(2)
    env.reset()
    env.commands.set(torch.tensor([0.8, 0.0, 0.0]).expand(4, 3), torch.ones(4, dtype=torch.bool))
    before = env.state.root_pos_w[:, 0].clone()
    for _ in range(200):
        env.step(torch.zeros(4, 6))
    assert env.ground.levels.tolist() == [1] * 4
    torch.testing.assert_close(before - env.state.root_pos_w[:, 0], torch.full((4,), 8.0), rtol=0.0, atol=0.7)


def test_levels_are_logged_by_type(make_env: MakeEnv) -> None:
    env = make_env(16, SMALL)
    env.ground.levels.copy_(env.ground.types % 3)  # type: ignore[attr-defined]
    log = env.episode_log()
    by_type = {name: log[f"terrain_level_{name}"] for name in PROFILES}
    assert by_type == {name: float(k % 3) for k, name in enumerate(PROFILES)}
    assert log["terrain_level"] == pytest.approx(sum(by_type.values()) / 8)
    assert not [name for name in make_env(2).episode_log() if "terrain" in name]


def test_levels_are_part_of_the_state() -> None:
    """Also for another number of robots, fewer rows, and of a run on a plane, which has none."""
    old = ground_of(4, num_cols=2)
    old.levels.copy_(torch.tensor([0, 1, 2, 3]))
    state = {name: value.clone() for name, value in old.state_dict().items()}
    for new, expected in (
        (ground_of(4, num_cols=2), [0, 1, 2, 3]),
        (ground_of(8, num_cols=2), [0, 0, 1, 1, 2, 2, 3, 3]),
        (ground_of(2, num_cols=2), [0, 2]),
        (ground_of(4, num_cols=2, num_rows=2), [0, 1, 1, 1]),
    ):
        new.load_state_dict(state)
        assert new.levels.tolist() == expected
    fresh = ground_of(4, num_cols=2)
    fresh.load_state_dict({})
    assert fresh.levels.tolist() == [0, 1, 0, 1]


def test_a_checkpoint_takes_the_levels_along(make_env: MakeEnv) -> None:
    env, other, plane = make_env(8, SMALL), make_env(8, SMALL), make_env(8)
    env.ground.levels.fill_(2)  # type: ignore[attr-defined]
    other.load_state_dict(env.state_dict())
    assert other.ground.levels.tolist() == [2] * 8  # type: ignore[attr-defined]
    plane.load_state_dict(env.state_dict())
    env.load_state_dict(plane.state_dict())
    assert env.ground.levels.tolist() == [2] * 8  # type: ignore[attr-defined]
