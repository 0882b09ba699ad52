"""Every field of the environment's config does something: a change of it changes the built object or what it does."""

import dataclasses
import functools
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.sim.robot_model import robot_urdf
from legged_gym.terrain.profiles import PROFILES
from legged_gym.terrain.terrain import Terrain
from legged_gym.utils.config import Config, ConfigError, set_by_path
from tests.envs.making import CLEAN, build

Settings = dict[str, Any]

BASE: Settings = {
    "curriculum.initial": 0.9,
    "env.episode_length_s": 0.16,
    "commands.resampling_time": 0.06,
    "commands.standing_share": 0.4,
    "domain_rand.push_interval_s": 0.06,
    "domain_rand.shove_interval_s": 0.06,
    "domain_rand.trip_interval_s": 0.06,
    "terrain.static_friction": 0.5,
}
"""Commands, pushes and time-outs all happen within the twelve steps of a fingerprint."""
STEPS = 12
PLAIN = CLEAN | {"env.episode_length_s": 0.5}
TERRAIN: Settings = {
    "terrain.mesh_type": "trimesh",
    "terrain.profile": "mixed",
    "terrain.num_rows": 3,
    "terrain.num_cols": 16,
    "terrain.tile_size": 6.0,
    "terrain.border_size": 1.0,
    "terrain.max_init_terrain_level": 0,
    "terrain.horizontal_scale": 0.1,
    **{f"terrain.proportions.{name}": 0.125 for name in PROFILES},
}
"""A small map with two columns of each profile."""
LANDING = PLAIN | {"asset.terminate_after_contacts_on": ("foot",)}

PROBES: dict[str, Any | tuple[Any, Settings]] = {
    "seed": 2,
    "env.num_envs": 5,
    "env.episode_length_s": 0.1,
    "env.history_length": 4,
    "terrain.static_friction": (0.9, {"domain_rand.randomize_friction": False}),
    **{
        f"terrain.{name}": (value, TERRAIN)
        for name, value in {
            "mesh_type": "heightfield",
            "profile": "noise",
            "curriculum": False,
            "difficulty_range": (0.1, 0.9),
            "max_init_terrain_level": 1,
            "num_rows": 2,
            "num_cols": 17,
            "tile_size": 8.0,
            "platform_size": 3.0,
            "border_size": 2.0,
            "spawn_spread": 0.1,
            "horizontal_scale": 0.05,
            "vertical_scale": 0.01,
            "slope_threshold": 0.5,
            "seed": 2,
            "measure_heights": False,
            "measured_points_x": (0.0, 0.1),
            "measured_points_y": (0.0, 0.1),
        }.items()
    },
    **{f"terrain.proportions.{name}": (1.0, TERRAIN) for name in PROFILES},
    **{f"terrain.severity.{name}": ((0.1, 0.2), TERRAIN) for name in PROFILES if name != "flat"},
    "commands.resampling_time": 0.1,
    "commands.standing_share": 0.9,
    "commands.straight_share": (0.6, {"commands.reversing_share": 0.0}),
    "commands.reversing_share": (0.6, {"commands.reversing_time": 0.04, "commands.resampling_time": 0.2}),
    "commands.reversing_time": (0.04, {"commands.reversing_share": 0.6, "commands.resampling_time": 0.2}),
    "commands.reversing_lin_vel": (1.0, {"commands.reversing_share": 0.6}),
    "gait.nominal_share": 1.0,
    "init_state.pos": (0.1, 0.0, 0.02),
    "init_state.yaw": (0.0, 1.0),
    "init_state.lin_vel": (-0.1, 0.5),
    "init_state.ang_vel": (-0.1, 0.5),
    "init_state.joint_pos": (-0.05, 0.1),
    "init_state.default_joint_angles": (0.05,) * 6,
    "control.stiffness": 50.0,
    "control.damping": 3.0,
    "control.action_delay": (0.005, {"domain_rand.randomize_action_delay": False}),
    "control.clamp_targets": (False, {"normalization.clip_actions": 50.0, "control.action_scale": 3.0}),
    "control.motor_curve": (False, {"control.action_scale": 3.0}),
    "asset.self_collisions": (False, {"init_state.default_joint_angles": (-0.3, 0.0, 0.0, 0.3, 0.0, 0.0)}),
    "gait.nominal.offset": 0.45,
    "gait.nominal.duration": 0.55,
    "control.action_scale": 0.3,
    "control.decimation": 5,
    "asset.robot_type": "PF_P441A",
    "asset.file": str(robot_urdf("PF_P441B")),
    "asset.penalize_contacts_on": ("foot",),
    "asset.terminate_after_contacts_on": ("foot",),
    "termination.contact_force": (1e5, LANDING),
    "termination.max_tilt": (0.001, PLAIN | {"termination.tilt_time": 0.0}),
    "termination.tilt_time": (0.1, PLAIN | {"termination.max_tilt": 0.001}),
    "termination.max_speed": (0.001, PLAIN),
    "curriculum.enabled": False,
    "curriculum.initial": 0.3,
    "curriculum.pace": 0.5,
    "curriculum.fall_rate_up": (0.02, 0.2),
    "curriculum.fall_rate_down": (0.2, 0.2),
    "domain_rand.off_level_ground": (0.5, TERRAIN),
    "domain_rand.friction_range": (0.3, 1.6),
    "domain_rand.added_mass_range": (0.0, 4.0),
    "domain_rand.base_com_range": (0.02, 0.01, 0.02),
    "domain_rand.link_mass_range": (0.9, 1.1),
    "domain_rand.link_inertia_range": (0.9, 1.1),
    "domain_rand.stiffness_range": (0.9, 1.1),
    "domain_rand.damping_range": (0.9, 1.1),
    "domain_rand.strength_range": (0.9, 1.1),
    "domain_rand.default_pose_range": (-0.02, 0.02),
    "domain_rand.foot_friction_range": (0.7, 1.0),
    "domain_rand.contact_time_constant_range": (0.012, 0.03),
    "domain_rand.armature_range": (0.01, 0.02),
    "domain_rand.action_delay_range": (0.005, 0.01),
    "domain_rand.observation_delay_range": (0.005, 0.01),
    "domain_rand.imu_tilt_range": (-0.01, 0.01),
    "domain_rand.gyro_bias_range": (-0.02, 0.02),
    "domain_rand.push_interval_s": 0.1,
    "domain_rand.max_push_vel_xy": 1.0,
    "domain_rand.shove_interval_s": 0.1,
    "domain_rand.shove_duration_range": (0.1, 0.2),
    "domain_rand.trip_interval_s": 0.1,
    "domain_rand.trip_duration_range": (0.1, 0.2),
    "rewards.terms": ("tests.envs.own_terms:torques",),
    "observations.policy": ("tests.envs.own_terms:feet_height",),
    "observations.critic": ("tests.envs.own_terms:feet_height",),
    "events.reset": ("tests.envs.own_terms:stand",),
    "events.step": ("tests.envs.own_terms:pull_down",),
    "rewards.only_positive_rewards": True,
    "rewards.gait_when_standing": False,
    "rewards.recovery_time": 0.0,
    "rewards.capture_reach": (0.01, {"rewards.scales.v_stab": -1.0}),
    "rewards.gait_force_sigma": 1e5,
    "rewards.about_landing_threshold": (0.12, {"init_state.pos": (0.0, 0.0, 0.09)}),
    "rewards.min_feet_distance": 0.5,
    "rewards.soft_dof_pos_limit": 0.1,
    "normalization.clip_observations": 0.5,
    "normalization.clip_actions": 0.5,
    "noise.noise_level": 0.5,
    "sim.dt": 0.006,
    "sim.num_threads": 2,
    "sim.armature": 0.02,
    "sim.joint_damping": 0.1,
}
"""For each field another value, and settings in which it shows where the base is not enough."""

REFUSED = {"terrain.mesh_type": "moon", "terrain.profile": "dunes", "sim.backend": "bullet"}
"""Names: an unknown one is refused."""


def leaves(cfg: Config, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of every field that is no section."""
    for field in dataclasses.fields(cfg):  # type: ignore[arg-type]
        value = getattr(cfg, field.name)
        if isinstance(value, Config):
            yield from leaves(value, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}", value


def probe(path: str, value: Any) -> tuple[Any, Settings]:
    """Another value for a field: by hand, or by rule for switches, scales and sizes."""
    if path in PROBES:
        given = PROBES[path]
        return given if isinstance(given, tuple) and len(given) == 2 and isinstance(given[1], dict) else (given, {})
    if isinstance(value, bool):
        return not value, {}
    if isinstance(value, float):
        return 1.5 * value + (0.25 if value == 0.0 else 0.0), {}
    low, high = value  # a range: from its middle up
    return (0.5 * (low + high) + 0.01, high + 0.02), {}


def terrain_seen(terrain: Terrain | None) -> list[Any]:
    """What a simulator is given of the ground."""
    if terrain is None:
        return []
    return [terrain.mesh_type, zlib.crc32(terrain.heights.tobytes()), zlib.crc32(terrain.vertices.tobytes())]


def fingerprint(env: LeggedRobot) -> tuple[Any, ...]:
    """All that can be seen of an environment in a few steps with given actions."""
    draw = torch.Generator().manual_seed(5)
    seen: list[Any] = [env.num_envs, env.dt, env.max_episode_length, getattr(env.sim, "num_threads", None)]
    seen += terrain_seen(env.sim.options.terrain)
    seen += [(term.__name__, scale) for term, scale in env.rewards.terms]
    for k in range(STEPS):
        actions = torch.randn(1, 6, generator=draw).expand(env.num_envs, 6)
        observations, reward, done, extras = env.step(actions)
        seen += [*observations.values(), reward, done, extras["time_outs"]]
        if k % 4 == 3:
            env.update_curriculum((0.13, 0.0, 0.25)[k // 4], 24)
            seen += [env.curriculum.difficulty.item(), *env.sim.parameters.values()]
    return tuple(x.tolist() if isinstance(x, torch.Tensor) else x for x in [*seen, *env.episode_log().values()])


def fingerprint_of(settings: Settings) -> tuple[Any, ...]:
    env = build(3, BASE, settings)
    result = fingerprint(env)
    env.sim.close()
    return result


@functools.cache
def base_fingerprint(settings: tuple[tuple[str, Any], ...]) -> tuple[Any, ...]:
    """The fingerprint of unchanged settings; they must be repeatable, or every field would seem live."""
    result = fingerprint_of(dict(settings))
    assert result == fingerprint_of(dict(settings)), "the fingerprint is not repeatable"
    return result


TESTED_WITH_THE_SIMULATOR = ("sim.process.", "sim.isaacgym.")
"""Sections that say nothing to the simulator that this machine takes: tests/sim/process, tests/sim/isaacgym."""
ALL = {path: value for path, value in leaves(PointFootFlatCfg()) if not path.startswith(TESTED_WITH_THE_SIMULATOR)}


@pytest.mark.parametrize("path", sorted(set(ALL) - {"sim.backend"}))
def test_field_is_live(path: str) -> None:
    start = BASE | {"asset.robot_type": "PF_TRON1A"}
    value, settings = probe(path, start.get(path, ALL[path]))
    assert value != (start | settings).get(path, ALL[path])
    same = fingerprint_of(settings | {path: value}) == base_fingerprint(tuple(settings.items()))
    assert not same, f"{path} = {value} changes nothing"


@pytest.mark.parametrize("path", REFUSED)
def test_unknown_name_is_refused(path: str) -> None:
    with pytest.raises((ConfigError, ValueError), match=REFUSED[path]):
        build(1, {path: REFUSED[path]})


def test_probes_name_real_fields() -> None:
    assert set(PROBES) | set(REFUSED) <= set(ALL)


def test_a_users_urdf_goes_before_the_robot_type(tmp_path: Path) -> None:
    urdf = tmp_path / "mine" / "robot.urdf"
    urdf.parent.mkdir()
    urdf.write_text(robot_urdf("PF_P441A").read_text())
    env = build(1, {"asset.file": str(urdf)})
    assert env.sim.robot.name == "mine"
    env.sim.close()


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("domain_rand.friction_range", "1.0,0.5", "low 1.0 is above high 0.5"),
        ("domain_rand.action_delay_range", "0,0.03", "0.03 s is longer than a policy step, 0.02 s"),
        ("commands.ranges.lin_vel_x", "1,-1", "low 1.0 is above high -1.0"),
        ("curriculum.fall_rate_up", "0.5,0.5", "is above fall_rate_down"),
        ("terrain.horizontal_scale", "0.03", "8.0 m is not a whole number of cells of 0.03 m"),
        ("init_state.default_joint_angles", "0,0", "got 2 angles, but PF_TRON1A has 6 joints"),
    ],
)
def test_impossible_values_are_refused(path: str, text: str, message: str) -> None:
    cfg = PointFootFlatCfg()
    with pytest.raises(ConfigError, match=message):
        set_by_path(cfg, path, text)
        build(1, {path: dict(leaves(cfg))[path]})
