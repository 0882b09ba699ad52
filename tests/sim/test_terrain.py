"""Terrain, on every simulator backend: robots stand on what `Terrain.height` says, wherever they are."""

import dataclasses
import inspect
from collections.abc import Callable
from typing import Any

import mujoco
import numpy as np
import pytest
import torch

from legged_gym.sim.mujoco.scene import Scene
from legged_gym.sim.mujoco.spec import build_spec
from legged_gym.sim.mujoco.terrain import HeightField
from legged_gym.sim.mujoco.treads import Treads
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.sim_options import SimOptions
from legged_gym.sim.sim_state import SimState
from legged_gym.sim.simulator import Simulator
from legged_gym.terrain.build import make_terrain
from legged_gym.terrain.config import TerrainCfg
from legged_gym.terrain.terrain import Terrain
from tests.sim.conformance.bench import BACKENDS, Bench, Idle, Reference, make_bench, names

PENETRATION = 0.004
"""How deep a foot sinks into the ground under a robot's weight, and how far the solver lets it float [m]."""
ROUNDED = 0.02
"""A foot that touches the edge of a step with its side is lower than over the edge itself, at most its radius [m]."""


def terrain_of(**settings: Any) -> Terrain:
    small = {"mesh_type": "heightfield", "num_rows": 2, "num_cols": 2, "border_size": 2.0, "max_init_terrain_level": 0}
    small |= {"horizontal_scale": 0.05}
    terrain = make_terrain(TerrainCfg(**(small | settings)))
    assert terrain is not None
    return terrain


def make(bench: Bench, terrain: Terrain | None, num_envs: int) -> Simulator:
    return bench.make(num_envs, dataclasses.replace(SimOptions(num_threads=1), terrain=terrain))


def heights(terrain: Terrain, pos_w: torch.Tensor) -> torch.Tensor:
    """Height of the ground under points. Shape (..., 3) -> (...)."""
    assert pos_w.isfinite().all()
    x, y = pos_w[..., 0].cpu().numpy(), pos_w[..., 1].cpu().numpy()
    return torch.as_tensor(terrain.height(x, y), dtype=torch.float32)


def stand(bench: Bench, sim: Simulator, terrain: Terrain, xy: torch.Tensor, gap: float = 0.001) -> torch.Tensor:
    """Put robots upright on the ground, which must be level under them; returns the bases' positions (N, 3)."""
    z = heights(terrain, torch.nn.functional.pad(xy, (0, 1))) + bench.robot.zero_pose_height + gap
    pos = torch.cat((xy, z.unsqueeze(-1)), dim=-1).to(sim.device)
    bench.place(sim, pos=pos)
    return pos


def feet_gap(bench: Bench, terrain: Terrain, feet_pos_w: torch.Tensor) -> torch.Tensor:
    """Height of the feet over the ground under them [m]. Shape (N, 2)."""
    return feet_pos_w[..., 2].cpu() - bench.robot.foot_radius - heights(terrain, feet_pos_w)


def test_robots_stand_on_the_ground_wherever_they_are(bench: Bench) -> None:
    """On the platforms of four tiles, high and low, and again after all of them have changed places."""
    terrain = terrain_of(profile="stairs_down")
    sim = make(bench, terrain, 4)
    tiles = torch.as_tensor(terrain.origins.reshape(4, 3))
    for order in ([0, 1, 2, 3], [3, 2, 1, 0]):
        assert len(set(np.round(tiles[order, 2].tolist(), 2))) == 2
        stand(bench, sim, terrain, tiles[order, :2])
        state = bench.step(sim, times=6)
        gap = feet_gap(bench, terrain, state.feet_pos_w)
        assert gap.abs().max() < PENETRATION
        carried = state.contact_force_w[..., 2].sum(-1)
        assert (carried > 0.5 * 9.81 * bench.robot.total_mass).all()


def test_slopes_are_as_steep_as_they_say(bench: Bench) -> None:
    """On a side of 20 degrees a foot touches at its height over the slope, and is pushed along the slope's normal.

    Without friction the latter is not exact: a foot feels the edges of the cells beside the one it stands on.
    """
    terrain = terrain_of(profile="smooth_slope", difficulty_range=(20 / 27, 20 / 27), vertical_scale=1e-4)
    sim = make(bench, terrain, 2)
    sim.set_parameter("friction", torch.zeros(2, 2, device=sim.device))
    start = torch.as_tensor(terrain.origins[0, :, :2]) + torch.tensor([2.5, 0.0])
    stand(bench, sim, terrain, start, gap=0.005)
    force = torch.zeros(2, 3)
    touched = 0
    for _ in range(8):
        state = bench.step(sim)
        gap = feet_gap(bench, terrain, state.feet_pos_w)
        slope = np.cos(np.deg2rad(20.0))
        clear = (gap + bench.robot.foot_radius) * slope - bench.robot.foot_radius
        on_feet = state.contact_force_w[:, [bench.robot.body_names.index(f) for f in bench.robot.foot_names]].cpu()
        loaded = on_feet[..., 2] > 20.0
        touched += int(loaded.sum())
        assert clear[loaded].abs().max() < PENETRATION if loaded.any() else True
        force += on_feet.sum(1)
    assert touched >= 8
    uphill = torch.tensor([1.0, -1.0])  # the first column rises outwards, the second one falls
    angle = torch.atan2(-force[:, 0] * uphill, force[:, 2])
    torch.testing.assert_close(angle, torch.full((2,), float(np.deg2rad(20.0))), rtol=0.0, atol=0.1)


def test_level_ground_is_a_plane(bench: Bench) -> None:
    """Where all is level, a landing robot moves as on the plane z = 0."""
    terrain = terrain_of(profile="flat")
    xy = torch.tensor([[0.3, -0.2], [-3.1, 5.03]])
    states = []
    for ground in (None, terrain):
        sim = make(bench, ground, 2)
        stand(bench, sim, terrain, xy, gap=0.02)
        states.append(bench.step(sim, times=10))
    torch.testing.assert_close(states[0].root_pos_w, states[1].root_pos_w, rtol=0.0, atol=2e-3)
    torch.testing.assert_close(states[0].feet_pos_w, states[1].feet_pos_w, rtol=0.0, atol=2e-3)
    assert states[1].contact_force_w[..., 2].sum() > 100.0


def test_feet_that_stamp_are_not_swallowed(bench: Bench) -> None:
    """A foot that comes down at 3 m/s stays on the ground, where no cell holds it, and comes off again."""
    terrain = terrain_of(profile="flat", num_rows=1, num_cols=1)
    sim = make(bench, terrain, 6)
    shift = torch.linspace(0.0, 0.06, 6).unsqueeze(-1) * torch.tensor([1.0, 0.7])
    pos = stand(bench, sim, terrain, shift, gap=0.03)
    bench.place(sim, pos=pos, lin_vel=(0.3, 0.0, -3.0))
    deepest = min(float(feet_gap(bench, terrain, bench.step(sim).feet_pos_w).min()) for _ in range(6))
    assert -0.6 * bench.robot.foot_radius < deepest < -0.0005
    sim.push(bench.everyone(sim), torch.tensor([0.0, 0.0, 6.0], device=sim.device).expand(6, 3))
    assert feet_gap(bench, terrain, bench.step(sim, times=4).feet_pos_w).min() > 0.05


def test_a_riser_stops_a_foot(bench: Bench) -> None:
    """Robots that fly at a step of 15 cm, feet first, are stopped by it, not lifted onto it, and sink into nothing.

    On the way the other one leaves the ground that was under it at first: more than 1.5 m in half a second.
    """
    terrain = terrain_of(profile="stairs_up", difficulty_range=(1.0, 1.0), num_rows=1, num_cols=1)
    sim = make(bench, terrain, 2)
    pos = stand(bench, sim, terrain, torch.tensor([[0.55, 0.0], [0.0, 0.5]]), gap=0.03)
    free = pos.clone()
    free[1, 2] += 2.5  # the second robot flies above all steps
    bench.place(sim, pos=free, lin_vel=torch.tensor([[3.0, 0.0, 0.5], [3.0, 0.0, 2.0]], device=sim.device))
    lowest, slowest, farthest = np.inf, np.inf, -np.inf
    for k in range(25):
        state = bench.step(sim)
        lowest = min(lowest, float(feet_gap(bench, terrain, state.feet_pos_w)[0].min()))
        if k < 10:
            slowest = min(slowest, float(state.feet_lin_vel_w[0, :, 0].max()))
            farthest = max(farthest, float(state.feet_pos_w[0, :, 0].max()))
    assert lowest > -ROUNDED
    assert slowest < 0.5
    riser = 1.0 + 0.5 * terrain.horizontal_scale - bench.robot.foot_radius  # at its upper edge, where a foot stops
    assert riser - terrain.horizontal_scale < farthest < riser + PENETRATION
    assert state.feet_pos_w[1, :, 0].mean() > 1.45


def shin_axes(bench: Bench, state: SimState, points: int = 40) -> np.ndarray:
    """Points on the middle lines of the shins [m, world], by plain MuJoCo's kinematics. Shape (N, 2, points, 3)."""
    reference = Reference(bench.robot)
    axes = np.empty((len(state.joint_pos), 2, points, 3))
    for row in range(len(axes)):
        reference.load(state, row)
        for side, name in enumerate("LR"):
            geom = reference.model.geom(f"knee_{name}_collision").id
            along = reference.data.geom_xmat[geom].reshape(3, 3)[:, 2]
            half = reference.model.geom_size[geom, 1]
            axes[row, side] = reference.data.geom_xpos[geom] + np.linspace(-half, half, points)[:, None] * along
    return axes


def distances(terrain: Terrain, axes: np.ndarray) -> np.ndarray:
    """Distance of shins to the ground, negative inside [m]: to samples of the surface around. Shape (N, 2)."""
    radius, reach = 0.015, np.linspace(-0.03, 0.03, 25)
    dx, dy = (offset.ravel() for offset in np.meshgrid(reach, reach))
    x, y = axes[..., 0, None] + dx, axes[..., 1, None] + dy  # (N, 2, points, samples)
    height = terrain.height(x.ravel(), y.ravel()).reshape(x.shape)
    away = np.sqrt(dx**2 + dy**2 + (axes[..., 2, None] - height) ** 2).min(-1)
    inside = axes[..., 2] < terrain.height(axes[..., 0].ravel(), axes[..., 1].ravel()).reshape(axes.shape[:-1])
    return (np.where(inside, -away, away) - radius).min(-1)


def test_shins_touch_the_stairs_when_geometry_says_so(bench: Bench) -> None:
    """Robots that come down on stairs with bent legs: a shin feels the edges of the steps where they are, to 3 mm.

    It is what keeps the engines together on stairs: each of them collides its own way.
    """
    if bench.name.startswith("isaacgym"):
        pytest.skip("its triangle mesh has vertical faces, a height field does not")
    if bench.backend.process:
        pytest.skip("slow, and bit for bit what it is in this process")
    terrain = terrain_of(
        profile="stairs_down", difficulty_range=(0.5, 0.5), num_rows=1, num_cols=1, horizontal_scale=0.025
    )
    n, draw = 60, torch.Generator().manual_seed(0)
    xy = torch.tensor([1.3, 0.0]) + (2.0 * torch.rand(n, 2, generator=draw) - 1.0) * torch.tensor([1.0, 0.6])
    bent = torch.rand(n, 6, generator=draw) * torch.tensor([0.2, 0.8, 0.5, -0.2, -0.8, -0.5])
    bent += torch.tensor([0.0, -0.4, 0.0, 0.0, 0.4, 0.0])
    z = heights(terrain, torch.nn.functional.pad(xy, (0, 1))) + bench.robot.zero_pose_height + 0.03
    sim = bench.make(n, dataclasses.replace(SimOptions(decimation=1, num_threads=1), terrain=terrain))
    bench.place(sim, pos=torch.cat((xy, z.unsqueeze(-1)), -1), lin_vel=(0.6, 0.0, -1.5), q=bent)
    shins = names(bench, "knee")
    clear, deep, missed = 0, 0, 0
    for _ in range(24):
        before = bench.snapshot(sim)
        state = bench.step(sim, bent)
        assert state.joint_pos.isfinite().all()
        touches = (state.contact_force_w[:, shins].norm(dim=-1) > 0.0).cpu().numpy()
        gap = distances(terrain, shin_axes(bench, before))
        free = (state.peak_leg_force == 0.0).cpu().numpy()[:, None] & np.ones_like(touches)
        assert not touches[free & (gap > 0.003)].any(), "a shin feels ground that is not there"
        clear += int((free & (gap > 0.003) & (gap < 0.02)).sum())
        deep += int((free & (gap < -0.003) & (gap > -0.012)).sum())
        missed += int((free & (gap < -0.003) & (gap > -0.012) & ~touches).sum())
    assert clear > 50 and deep > 20, "no shin gets near the stairs: nothing is tested"
    assert missed < 0.1 * deep, f"{missed} of {deep} shins in the ground feel nothing"  # some are on their way out


def test_the_field_is_cut_as_the_map_is() -> None:
    """Rays onto MuJoCo's field, whole or a part of it that moves, hit the height that the map tells."""
    terrain = terrain_of(profile="blocks", difficulty_range=(1.0, 1.0))
    draw = np.random.default_rng(0)
    for extent, middle in ((None, (0.0, 0.0)), (3.2, (2.9, -4.1)), (3.2, (9.0, 9.0)), (3.2, (-1e3, 2.0))):
        field = HeightField(terrain, "ground", extent)
        spec = mujoco.MjSpec()
        spec.add_material(name="ground")
        field.add_to(spec)
        model = spec.compile()
        data = mujoco.MjData(model)
        at = field.place(model, *middle)
        mujoco.mj_forward(model, data)
        reach = 1.5 if extent else 9.0
        assert all(abs(a) <= h + 1e-6 for a, h in zip(at, terrain.half_size, strict=True))
        if extent and abs(middle[0]) < 5.0:
            np.testing.assert_allclose(at, middle, atol=0.03)
        for x, y in np.array(at) + draw.uniform(-reach, reach, (40, 2)):
            geom = np.zeros(1, np.int32)
            distance = mujoco.mj_ray(model, data, np.array([x, y, 5.0]), np.array([0.0, 0.0, -1.0]), None, 1, -1, geom)
            assert 5.0 - distance == pytest.approx(float(terrain.height(x, y)), abs=1e-5)


def feet_on_ground(robot: RobotModel, terrain: Terrain, feet: np.ndarray) -> list[mujoco.MjData]:
    """MuJoCo's contacts of left feet at (N, 3) with what treads show of a terrain.

    Treads must show all of these places, and are taken to another place and back.
    """
    field, ground = HeightField(terrain, "ground"), Treads(terrain, robot, 0.02)
    spec = build_spec(robot, SimOptions(self_collisions=False), field=field)
    ground.add_to(spec)
    model = spec.compile()
    field.place(model)
    ground.attach([model])
    foot, still, found = model.geom("foot_L_collision").id, torch.zeros(1, 2, 3), []
    for place in torch.as_tensor(feet, dtype=torch.float32):
        for step in (1.3, 0.0):
            ground.follow((place + step).expand(1, 2, 3), still)
        assert model.geom_conaffinity[foot] == 2
        data = mujoco.MjData(model)
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        data.geom_xpos[[i for i in range(model.ngeom) if model.geom_conaffinity[i]], 2] = 1e3
        data.geom_xpos[foot] = place.numpy()
        mujoco.mj_collision(model, data)
        found.append(data)
    return found


@pytest.mark.parametrize("cell", [0.025, 0.05])
@pytest.mark.parametrize("profile", ["noise", "stairs_up", "stairs_down"])
def test_treads_are_the_ground_with_vertical_risers(pf_tron1a: RobotModel, profile: str, cell: float) -> None:
    """The nearest of a foot's contacts is as far as the ground is, where each cell is level: as high as its lowest
    corner, or as the higher one of two that are lower than those between them.
    """
    terrain = terrain_of(profile=profile, difficulty_range=(1.0, 1.0), horizontal_scale=cell)
    radius, draw = pf_tron1a.foot_radius, np.random.default_rng(0)
    h = terrain.heights
    a, b, c, d = h[:-1, :-1], h[1:, :-1], h[:-1, 1:], h[1:, 1:]  # the corners of each cell
    lowest = ((a <= b) & (a <= c), (b < a) & (b <= d), (c < a) & (c <= d), (d < b) & (d < c))
    level = np.where(lowest, (a, b, c, d), -np.inf).max(0)
    grid = np.linspace(-0.06, 0.06, 121)
    dx, dy = (d.ravel() for d in np.meshgrid(grid, grid))

    def height(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        i, j = (np.floor(p / cell + 0.5 * (n - 1)).astype(int) for p, n in zip((x, y), h.shape, strict=True))
        return level[i, j]

    xy = draw.uniform(-5.0, 5.0, (80, 2))
    feet = np.column_stack((xy, height(*xy.T) + draw.uniform(0.005, 0.05, 80)))
    touching = 0
    for foot, data in zip(feet, feet_on_ground(pf_tron1a, terrain, feet), strict=True):
        x, y = foot[0] + dx, foot[1] + dy
        ground = height(x, y)  # the nearest point of each column, which may be on the side of it
        nearest = np.sqrt(dx**2 + dy**2 + np.maximum(foot[2] - ground, 0.0) ** 2).min()
        dist = min(data.contact.dist, default=0.0)
        assert dist == pytest.approx(min(nearest - radius, 0.0), abs=1.5e-3)
        assert data.ncon <= 4
        touching += data.ncon > 0
    assert 30 < touching < 75


def test_feet_leave_treads_where_the_ground_is_not_simple(pf_tron1a: RobotModel) -> None:
    """On a slope, at two risers in a row, when they are too fast to know where they get, and when they are nowhere."""
    slope = terrain_of(profile="smooth_slope", difficulty_range=(1.0, 1.0))
    blocks = terrain_of(profile="noise", difficulty_range=(1.0, 1.0), horizontal_scale=0.1)
    flat = terrain_of(profile="flat")
    places = {"level": (flat, (1.0, 1.0), 0.0), "fast": (flat, (1.0, 1.0), 9.0), "nowhere": (flat, (np.nan, 1.0), 0.0)}
    places |= {"slope": (slope, (6.0, 4.0), 0.0), "cells": (blocks, (1.0, 1.0), 0.0)}
    seen = {}
    for name, (terrain, xy, speed) in places.items():
        treads = Treads(terrain, pf_tron1a, 0.02)
        spec = build_spec(pf_tron1a, field=HeightField(terrain, "ground"))
        treads.add_to(spec)
        model = spec.compile()
        treads.attach([model])
        vel = torch.tensor([speed, 0.0, 0.0]) if name != "nowhere" else torch.full((3,), torch.nan)
        treads.follow(torch.tensor([*xy, 1.0]).expand(1, 2, 3), vel.expand(1, 2, 3))
        seen[name] = [int(model.geom(foot).conaffinity[0]) for foot in ("foot_L_collision", "foot_R_collision")]
    assert seen.pop("level") == [2, 4]
    assert all(bits == [1, 1] for bits in seen.values()), seen


def test_the_drawn_ground_follows_the_robot(pf_tron1a: RobotModel) -> None:
    """It moves once the robot is far from its middle, and is the map's where it is drawn, to the cells left out."""
    terrain = terrain_of(profile="stairs_up", num_rows=4, num_cols=4, horizontal_scale=0.025)
    scene = Scene(pf_tron1a, terrain)
    data, pose = mujoco.MjData(scene.model), np.array([11.0, -10.0, 1.0, 0.0, 0.0, 0.0, 1.0, *(0.0,) * 6])
    changes = []
    for x in (11.0, 11.5, 14.0, -9.0):
        pose[0] = x
        changes.append(scene.show(data, pose))
        mujoco.mj_forward(scene.model, data)
        down = np.array([0.0, 0.0, -1.0])
        for dx, dy in ((0.6, 0.0), (0.0, 1.23), (-1.1, 0.4)):
            here, geom = np.array([x + dx, dy - 10.0, 5.0]), np.zeros(1, np.int32)
            distance = mujoco.mj_ray(scene.model, data, here, down, None, 1, int(data.body("base_Link").id), geom)
            nearby = terrain.height(
                *np.meshgrid(here[0] + np.linspace(-0.1, 0.1, 9), here[1] + np.linspace(-0.1, 0.1, 9))
            )
            assert nearby.min() - 1e-3 <= 5.0 - distance <= nearby.max() + 1e-3
    assert changes == [True, False, True, True]


def test_warp_has_room_for_robots_that_lie_on_rough_ground() -> None:
    """Contacts that are lost would be counted: none are, but for those that the engine never makes room for."""
    pytest.importorskip("mujoco_warp")
    bench = make_bench("mujoco_warp")
    terrain = terrain_of(profile="noise", num_rows=1, num_cols=1, difficulty_range=(1.0, 1.0))
    sim = make(bench, terrain, 6)
    pos = torch.tensor([[0.0, 0.0, 0.35]]) + 0.3 * torch.arange(6.0).unsqueeze(-1) * torch.tensor([1.0, 0.7, 0.0])
    lying = (0.5**0.5, 0.0, 0.0, 0.5**0.5)
    bench.place(sim, pos=pos, quat=lying, ang_vel=(0.0, 0.0, 2.0))
    for k in range(20):
        bench.step(sim, 0.6 * torch.sin(torch.arange(36.0).view(6, 6) + k))
    assert (sim.state.contact_force_w[..., 2].sum(-1) > 20.0).any(), "nobody lies on the ground"
    assert set(sim.overflow_counts()) <= {"HFIELD"}
    sim.close()


def contacts_of_feet(robot: RobotModel, terrain: Terrain, feet: np.ndarray) -> list[list[tuple[float, np.ndarray]]]:
    """Distance and normal of MuJoCo Warp's contacts of left feet at (N, 3) with a terrain."""
    backend = pytest.importorskip("legged_gym.sim.mujoco_warp.simulator")
    sim = backend.MujocoWarpSimulator(robot, len(feet), SimOptions(terrain=terrain), "cpu")
    foot = sim._model.geom("foot_L_collision").id
    places = np.full((len(feet), sim._model.ngeom, 3), 1e3, np.float32)
    places[:, foot] = feet
    sim._data.geom_xpos.assign(places)
    sim._data.nacon.zero_()
    sim._engine.callback.contactfilter(sim._engine, sim._data)
    contact, count = sim._data.contact, int(sim._data.nacon.numpy()[0])
    found: list[list[tuple[float, np.ndarray]]] = [[] for _ in feet]
    for k in range(count):
        assert contact.geom.numpy()[k].tolist() == [sim._model.geom("ground").id, foot]
        found[contact.worldid.numpy()[k]].append((float(contact.dist.numpy()[k]), contact.frame.numpy()[k, 0]))
    sim.close()
    return found


def test_warp_contacts_are_the_nearest_ground(pf_tron1a: RobotModel) -> None:
    """As far as a search through a thousand points around the foot finds out, on cells higher than a foot."""
    terrain = terrain_of(profile="noise", difficulty_range=(1.0, 1.0), horizontal_scale=0.025)
    radius, draw = pf_tron1a.foot_radius, np.random.default_rng(0)
    xy = draw.uniform(-4.0, 4.0, (150, 2))
    feet = np.column_stack((xy, terrain.height(*xy.T) + draw.uniform(-0.005, 0.05, 150)))
    grid = np.linspace(-0.05, 0.05, 101)
    dx, dy = (d.ravel() for d in np.meshgrid(grid, grid))
    touching = 0
    for foot, contacts in zip(feet, contacts_of_feet(pf_tron1a, terrain, feet), strict=True):
        ground = np.column_stack((foot[0] + dx, foot[1] + dy, terrain.height(foot[0] + dx, foot[1] + dy)))
        sign = np.sign(foot[2] - float(terrain.height(foot[0], foot[1])))
        expected = sign * np.linalg.norm(ground - foot, axis=1).min() - radius
        nearest = min([distance for distance, _ in contacts], default=0.0)
        assert nearest == pytest.approx(min(expected, 0.0), abs=1.5e-3)
        touching += bool(contacts)
        for distance, normal in contacts:
            assert normal[2] > -0.01
            assert distance >= nearest - 1e-6
    assert 50 < touching < 140


def test_warp_feet_touch_level_ground_once_and_a_corner_twice(pf_tron1a: RobotModel) -> None:
    """However deep they are, and wherever between the cells: cells are no bodies of their own."""
    level = terrain_of(profile="flat", horizontal_scale=0.025)
    depths, places = np.linspace(0.001, 0.04, 14), np.linspace(0.0, 0.04, 14)
    feet = np.column_stack((places, 0.7 * places, pf_tron1a.foot_radius - depths))
    for depth, contacts in zip(depths, contacts_of_feet(pf_tron1a, level, feet), strict=True):
        assert len(contacts) == 1
        assert contacts[0][0] == pytest.approx(-depth, abs=1e-5)
        np.testing.assert_allclose(contacts[0][1], [0.0, 0.0, 1.0], atol=1e-3)
    stairs = terrain_of(profile="stairs_up", difficulty_range=(1.0, 1.0), horizontal_scale=0.025)
    foot = np.array([0.9875 - 0.0254, 0.0, pf_tron1a.foot_radius - 0.002])  # 2 mm deep in the riser, and in the tread
    feet = stairs.origins[0, 0] + foot + np.array([[0.0], [0.002], [0.004]]) * [1.0, 3.0, 0.0]
    for contacts in contacts_of_feet(pf_tron1a, stairs, feet):
        normals = np.array(sorted((normal.tolist() for _, normal in contacts), key=lambda n: n[2]))
        assert len(contacts) == 2
        assert normals[1] == pytest.approx([0.0, 0.0, 1.0], abs=1e-3)
        assert normals[0][0] < -0.9


CHECKS = [
    value
    for name, value in list(globals().items())
    if name.startswith("test_") and list(inspect.signature(value).parameters) == ["bench"]
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_an_idle_backend_fails(check: Callable[..., None]) -> None:
    """Every test above is red for a backend that does nothing."""
    with pytest.raises(AssertionError):
        check(Bench("idle", BACKENDS["mujoco"], Idle))
