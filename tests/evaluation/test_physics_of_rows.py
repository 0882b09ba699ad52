"""Under what rows are walked: the deployed physics is the controller's contract, the ideal one is a friendly world."""

import copy
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from legged_gym.deployment import contract
from legged_gym.envs.base.observations_config import NoiseCfg
from legged_gym.envs.pointfoot.pointfoot_flat_config import PointFootFlatCfg
from legged_gym.evaluation.rows import ALL_ROWS as ROWS
from legged_gym.evaluation.rows import SUITES
from legged_gym.evaluation.suites import FIXED_SECTIONS, PHYSICS, evaluation_cfg, nominal_cfg, varied_cfg


def odd_cfg() -> PointFootFlatCfg:
    """A config that differs from both physics wherever the suites decide."""
    cfg = PointFootFlatCfg()
    cfg.control.stiffness, cfg.control.damping, cfg.control.action_delay = 60.0, 1.5, 0.005
    cfg.terrain.static_friction, cfg.sim.armature, cfg.sim.joint_damping = 0.9, 0.02, 0.3
    cfg.asset.self_collisions = False
    cfg.gait.nominal.frequency, cfg.gait.nominal.swing_height = 2.7, 0.03
    cfg.gait.ranges.frequency, cfg.gait.ranges.duration = (1.2, 3.0), (0.4, 0.5)
    cfg.events.step = ("my_package.events:gust",)
    cfg.noise.noise_level, cfg.noise.noise_scales.gravity = 0.3, 0.4
    return cfg


def test_deployed_is_the_contract_whatever_the_task_says() -> None:
    task = odd_cfg()
    cfg = evaluation_cfg(task, 3, 7)
    assert (cfg.control.stiffness, cfg.control.damping) == (42.0, 3.5) == (contract.KP, contract.KD)
    nominal = cfg.gait.nominal
    assert (nominal.frequency, nominal.offset, nominal.duration, nominal.swing_height) == (2.0, 0.5, 0.5, 0.1)
    assert contract.GAIT == (2.0, 0.5, 0.5, 0.1)
    assert all(getattr(cfg.gait.ranges, f.name) == (getattr(nominal, f.name),) * 2 for f in fields(nominal))
    assert cfg.terrain.static_friction == 0.6 and cfg.control.action_delay == 0.01
    assert cfg.noise == NoiseCfg() and cfg.noise.add_noise
    assert cfg.control.clamp_targets and cfg.control.motor_curve and cfg.asset.self_collisions
    assert (cfg.sim.armature, cfg.sim.joint_damping) == (0.01, 0.01)
    assert (cfg.control.action_scale, cfg.policy_dt) == (contract.ACTION_SCALE, pytest.approx(contract.POLICY_DT))
    assert cfg == evaluation_cfg(task, 3, 7, "deployed")
    task.noise.add_noise = task.control.clamp_targets = task.control.motor_curve = False
    assert evaluation_cfg(task, 3, 7) == cfg


def test_ideal_is_friendly() -> None:
    task = odd_cfg()
    cfg = evaluation_cfg(task, 3, 7, "ideal")
    assert not (cfg.noise.add_noise or cfg.control.clamp_targets or cfg.control.motor_curve)
    assert (cfg.control.action_delay, cfg.sim.armature, cfg.terrain.static_friction) == (0.0, 0.0, 1.0)
    assert (
        cfg.gait.nominal.frequency == pytest.approx(2.1)
        and cfg.gait.ranges.frequency == (cfg.gait.nominal.frequency,) * 2
    )
    assert cfg.gait.nominal.duration == pytest.approx(0.45)
    assert (cfg.control.stiffness, cfg.control.damping, cfg.sim.joint_damping) == (60.0, 1.5, 0.3), "the user's"
    assert not cfg.asset.self_collisions and PointFootFlatCfg().asset.self_collisions
    assert nominal_cfg(task) == nominal_cfg(task, "ideal")


@pytest.mark.parametrize("physics", PHYSICS)
def test_nothing_is_random_and_rows_decide(physics: str) -> None:
    task = PointFootFlatCfg()
    task.domain_rand.shove_robots = task.domain_rand.trip_robots = True
    before = copy.deepcopy(task)
    cfg = evaluation_cfg(task, 3, 7, physics)
    chance = {n: v for n, v in vars(cfg.domain_rand).items() if n.startswith("randomize_") or n.endswith("_robots")}
    assert len(chance) > 12 and not any(chance.values())
    assert not cfg.curriculum.enabled
    assert cfg.init_state.lin_vel == cfg.init_state.ang_vel == cfg.init_state.joint_pos == (0.0, 0.0)
    assert (cfg.env.num_envs, cfg.seed) == (3, 7)
    longest = max(row.push_time + row.duration for row in ROWS.values())
    assert cfg.env.episode_length_s > longest and cfg.commands.resampling_time > longest
    assert task == before, "the task's own config must stay as it is"
    assert nominal_cfg(task, physics).commands == task.commands


def flat(cfg: Any) -> dict[str, Any]:
    """Fields by path."""
    found: dict[str, Any] = {}

    def walk(node: Any, path: str) -> None:
        for field in fields(node):
            value = getattr(node, field.name)
            if is_dataclass(value):
                walk(value, f"{path}{field.name}.")
            else:
                found[path + field.name] = value

    walk(cfg, "")
    return found


@pytest.mark.parametrize("physics", PHYSICS)
def test_what_the_suites_decide_is_what_the_user_is_refused(physics: str) -> None:
    """No field is silently overwritten, and none is refused for nothing."""
    task = odd_cfg()
    task.terrain.mesh_type, task.init_state.yaw = "trimesh", (0.0, 0.1)
    task.domain_rand.shove_robots = task.domain_rand.trip_robots = True
    task.control.clamp_targets = task.control.motor_curve = physics == "ideal"
    before, after = flat(task), flat(evaluation_cfg(task, 3, 7, physics))
    changed = {path for path in before if before[path] != after[path]}
    # The rest has options of its own, means nothing without chance, or is taken into account: the middle of the gaits.
    not_refused = {"seed", "env.num_envs", "curriculum.enabled"}
    not_refused |= {path for path in changed if path.startswith("gait.ranges")} if physics == "ideal" else set()
    fixed = FIXED_SECTIONS[physics]
    assert [path for path in changed - not_refused if not path.startswith(fixed)] == []
    left_to_rows = {"terrain.profile"}
    assert [name for name in fixed if not any(p.startswith(name) for p in changed) and name not in left_to_rows] == []


@pytest.mark.parametrize(("profile", "ground"), [("mixed", "plane"), ("lanes", "trimesh")])
def test_who_learned_on_terrain_is_judged_on_a_plane_but_in_rows_on_terrain(profile: str, ground: str) -> None:
    task = PointFootFlatCfg()
    task.terrain.mesh_type, task.terrain.profile = "trimesh", profile
    assert evaluation_cfg(task, 3, 7).terrain.mesh_type == ground


def test_every_physics_row_changes_what_it_says() -> None:
    judged = evaluation_cfg(PointFootFlatCfg(), 2, 0)
    for row in SUITES["physics"]:
        cfg, kind = varied_cfg(judged, row.cfg), row.name.split("_")[0]
        value = float(row.name.split("_")[1].removesuffix("ms"))
        found = {
            "step": 1000.0 * cfg.sim.dt,
            "damping": cfg.sim.joint_damping,
            **{name: values[0] for name, values in row.parameters},
        }
        assert found[kind] == pytest.approx(value), row.name
        assert [name for name, _ in row.parameters] == ([kind] if kind in ("kd", "armature") else [])
        assert cfg.policy_dt == pytest.approx(judged.policy_dt)
        left = [path for path, x in flat(cfg).items() if x != flat(judged)[path]]
        named = {"step": ["control.decimation", "sim.dt"], "damping": ["sim.joint_damping"]}.get(kind, [])
        assert set(left) <= set(named), "and nothing else"
    assert {row.name.split("_")[0] for row in SUITES["physics"]} == {"step", "kd", "armature", "damping"}


def test_stiff_contacts_need_small_steps() -> None:
    """No contact is stiffer than two physics steps."""
    row, judged = ROWS["stiff_2ms"], evaluation_cfg(PointFootFlatCfg(), 2, 0)
    cfg = varied_cfg(judged, row.cfg)
    assert row.parameters == (("contact_time_constant", (0.002,)),) and 2.0 * cfg.sim.dt <= 0.002
    assert cfg.policy_dt == pytest.approx(judged.policy_dt)


def test_judged_environments_compute_one_reward() -> None:
    cfg = PointFootFlatCfg()
    scales = vars(evaluation_cfg(cfg, 4, seed=0).rewards.scales)
    assert [name for name, weight in scales.items() if weight] == ["keep_balance"]
    assert cfg == PointFootFlatCfg(), "the task's own stay"
