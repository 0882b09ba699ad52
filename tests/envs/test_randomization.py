"""What differs between robots and episodes: pushes, randomised parameters, and the curriculum that scales them."""

from typing import Any

import pytest
import torch

from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.sim.sim_state import Placement
from legged_gym.terrain.profiles import PROFILES
from tests.envs.making import CLEAN, IN_THE_AIR, MakeEnv, stand


def test_every_robot_is_pushed_once_per_interval(make_env: MakeEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """At a phase of its own, horizontally, up to the largest velocity."""
    pushes: list[torch.Tensor] = []
    settings = {"domain_rand.push_robots": True, "domain_rand.push_interval_s": 0.2, "domain_rand.max_push_vel_xy": 0.8}
    env = make_env(40, CLEAN, IN_THE_AIR, settings)
    stand(env)

    def push(mask: torch.Tensor, delta: torch.Tensor) -> None:
        assert (delta[:, 2] == 0).all() and delta.norm(dim=-1).max() <= 0.8
        pushes.append(mask.clone())

    monkeypatch.setattr(env.sim, "push", push)
    stand(env, 20)
    counts = torch.stack(pushes).sum(0)
    assert (counts == 2).all()
    assert torch.stack(pushes).any(1).sum() > 10, "all are pushed at once"


def test_a_push_is_in_the_next_observation(make_env: MakeEnv) -> None:
    settings = {"domain_rand.push_robots": True, "domain_rand.push_interval_s": 0.02}
    env = make_env(20, CLEAN, IN_THE_AIR, settings)
    stand(env)
    assert env.get_observations()["teacher"][:, 7:9].norm(dim=-1).mean() > 0.3


def test_push_size_and_direction_are_uniform(make_env: MakeEnv) -> None:
    env = make_env(2, {"curriculum.enabled": False, "domain_rand.max_push_vel_xy": 1.5})
    drawn = torch.cat([env.disturbances.draw_kicks() for _ in range(2000)])
    size = drawn.norm(dim=-1)
    assert 1.48 < size.max() <= 1.5 and size.mean().item() == pytest.approx(0.75, abs=0.03)
    assert drawn.mean(0).abs().max() < 0.05
    env.curriculum.difficulty.fill_(0.5)
    assert torch.cat([env.disturbances.draw_kicks() for _ in range(500)]).norm(dim=-1).max() <= 0.75


def parameters(env: LeggedRobot) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in env.sim.parameters.items()}


BOUNDS: dict[str, tuple[float, float]] = {
    "friction": (0.105, 0.9),
    "contact_time_constant": (0.0, 0.03),
    "armature": (0.0, 0.03),
    "base_mass_added": (-1.0, 11.0),
    "link_mass_scale": (0.8, 1.2),
    "link_inertia_scale": (0.8, 1.2),
    "kp": (0.8 * 42.0, 1.2 * 42.0),
    "kd": (0.6 * 3.5, 1.2 * 3.5),
    "strength": (0.8, 1.2),
    "action_delay": (0.0, 0.02),
    "base_com_offset": (-0.03, 0.03),
}


def test_randomised_parameters_fill_their_ranges(make_env: MakeEnv) -> None:
    """At full difficulty; at zero they are nominal; each kind can be switched off by itself."""
    env = make_env(150, {"curriculum.enabled": False})
    assert set(BOUNDS) == set(env.sim.PARAMETERS)
    for name, value in parameters(env).items():
        low, high = BOUNDS[name]
        margin = 0.07 * (high - low)
        assert low - 1e-5 <= value.min() < low + margin and high - margin < value.max() <= high + 1e-5, name
    assert env.sim.parameters["base_com_offset"].abs().amax(0).tolist() == pytest.approx([0.03, 0.02, 0.03], rel=0.06)
    friction = env.sim.parameters["friction"]
    ratio = friction.amin(-1) / friction.amax(-1)
    assert ratio.min() >= 0.35 - 1e-5 and ratio.min() < 0.45 and ratio.max() > 0.95, "feet differ, within bounds"
    nominal = make_env(2, CLEAN, IN_THE_AIR, {"terrain.static_friction": 0.7})
    expected = {
        "friction": 0.7,
        "contact_time_constant": 0.01,
        "armature": 0.01,
        "kp": 42.0,
        "kd": 3.5,
        "strength": 1.0,
        "link_mass_scale": 1.0,
        "link_inertia_scale": 1.0,
    }
    easy = make_env(2, {"curriculum.initial": 0.0, "terrain.static_friction": 0.7, "control.action_delay": 0.0})
    for env in (nominal, easy):
        for name, value in parameters(env).items():
            torch.testing.assert_close(value, torch.full_like(value, expected.get(name, 0.0)))


@pytest.mark.parametrize(
    ("switch", "names"),
    [
        *(("friction", ["friction"]), ("base_mass", ["base_mass_added"]), ("base_com", ["base_com_offset"])),
        *(("link_mass", ["link_mass_scale"]), ("link_inertia", ["link_inertia_scale"])),
        *(("gains", ["kd", "kp", "strength"]), ("action_delay", ["action_delay"]), ("armature", ["armature"])),
        *(("foot_friction", ["friction"]), ("contact_stiffness", ["contact_time_constant"])),
    ],
)
def test_each_randomisation_touches_its_own_parameters(make_env: MakeEnv, switch: str, names: list[str]) -> None:
    env, nominal = make_env(8, CLEAN, {f"domain_rand.randomize_{switch}": True}), make_env(8, CLEAN)
    touched = [n for n, value in parameters(env).items() if not torch.equal(value, nominal.sim.parameters[n])]
    assert sorted(touched) == names


def test_off_level_ground_robots_are_pushed_and_varied_less(make_env: MakeEnv) -> None:
    """Half the robots walk on level tiles and get all of it; the others get a quarter, and sensors stay as bad."""
    terrain: dict[str, Any] = {
        "terrain.profile": "mixed",
        "terrain.num_rows": 2,
        "terrain.num_cols": 4,
        "terrain.horizontal_scale": 0.1,
        **{f"terrain.proportions.{name}": float(name in ("flat", "noise")) for name in PROFILES},
    }
    settings = {"curriculum.enabled": False, "domain_rand.off_level_ground": 0.25, "domain_rand.max_push_vel_xy": 2.0}
    env = make_env(400, terrain, settings)
    level = env.ground.is_level
    assert level.sum() == 200
    assert (env.ground.under_feet[level] == 0.0).all() and (env.ground.under_feet[~level] != 0.0).any()
    friction = (env.sim.parameters["friction"] - 0.6).abs().amax(-1)
    load, bias = env.sim.parameters["base_mass_added"].squeeze(-1), env.randomizer.gyro_bias.abs().amax(-1)
    kicks = env.disturbances.draw_kicks().norm(dim=-1)
    highest = env.cfg.domain_rand.added_mass_range[1]
    for size, most in ((kicks, 2.0), (load, highest)):
        assert 0.9 * most < size[level].max() <= most
        assert 0.9 * 0.25 * most < size[~level].max() <= 0.25 * most
    assert 0.4 < friction[level].max() < 0.5 and friction[~level].max() < 0.17
    assert bias[~level].max() > 0.9 * env.cfg.domain_rand.gyro_bias_range[1]
    alike = make_env(8, CLEAN, terrain)
    assert (alike.sim.parameters["friction"] == 0.6).all(), "where nothing is randomised there is nothing to share"


def test_episodes_are_randomised_anew(make_env: MakeEnv) -> None:
    """A reset robot gets new parameters, its body with the next iteration, the others keep theirs."""
    env = make_env(3, IN_THE_AIR, {"curriculum.enabled": False})
    bodies = {"base_mass_added", "base_com_offset", "link_mass_scale", "link_inertia_scale", "armature"}
    before = parameters(env)
    env.episode_length_buf = torch.tensor([0, env.max_episode_length - 1, 0])
    stand(env)
    between = parameters(env)
    env.update_curriculum(0.0, 24)
    after = parameters(env)
    env.update_curriculum(0.0, 24)
    for name, value in parameters(env).items():
        if name != "action_delay":  # which varies from step to step
            assert torch.equal(value[[0, 2]], before[name][[0, 2]]), name
            assert torch.equal(value, after[name]), name
            assert torch.equal(between[name][1], before[name][1]) == (name in bodies), name
            assert not torch.equal(value[1], before[name][1]), name


def test_the_first_observation_knows_the_new_masses(make_env: MakeEnv) -> None:
    """The centre of mass after `reset` is that of the robot with its new body."""
    env = make_env(4, IN_THE_AIR, {"curriculum.enabled": False})
    for _ in range(2):
        env.sim.reset(torch.ones(4, dtype=torch.bool), Placement.of(env.state))
        torch.testing.assert_close(env.get_observations()["teacher"][:, 13:16], env.state.com_pos_w)
        env.reset()


def test_curriculum(make_env: MakeEnv) -> None:
    """Up below the lower rate, down above the upper one, within 0 and 1; saved and restored; off means 1.

    A hundred policy steps are 2 s, in which it changes by 0.2, whether it is one robot that walks or three.
    """
    cfg = {"initial": 0.5, "pace": 0.1, "fall_rate_up": (0.1, 0.1), "fall_rate_down": (0.2, 0.2)}
    env = make_env(3, {f"curriculum.{name}": value for name, value in cfg.items()})
    seen = []
    for rate in (0.15, 0.05, 0.1, 0.2, 0.25, 0.05, 0.05, 0.05, 0.05):
        env.update_curriculum(rate, 100)
        seen.append(round(env.episode_log()["difficulty"], 4))
    assert seen == [0.5, 0.7, 0.7, 0.7, 0.5, 0.7, 0.9, 1.0, 1.0]
    env.cfg.curriculum.fall_rate_up, env.cfg.curriculum.fall_rate_down = (0.0, 0.2), (0.1, 0.3)
    for rate, at, then in ((0.05, 0.0, 0.0), (0.15, 1.0, 1.0), (0.15, 0.5, 0.5), (0.25, 0.5, 0.3), (0.05, 0.5, 0.7)):
        env.curriculum.difficulty.fill_(at)
        env.update_curriculum(rate, 100)
        assert env.curriculum.difficulty.item() == pytest.approx(then), (rate, at)
    env.curriculum.difficulty.fill_(1.0)
    other = make_env(1)
    other.load_state_dict(env.state_dict())
    assert other.curriculum.difficulty.item() == 1.0
    off = make_env(1, {"curriculum.enabled": False})
    off.update_curriculum(10.0, 100)
    assert off.curriculum.difficulty.item() == 1.0


def test_difficulty_zero_starts_every_robot_alike(make_env: MakeEnv) -> None:
    easy = {"curriculum.enabled": True, "curriculum.initial": 0.0, "domain_rand.randomize_default_pose": False}
    env = make_env(16, easy)
    assert (env.state.root_lin_vel_w == 0).all() and (env.state.root_ang_vel_w == 0).all()
    assert (env.state.joint_pos == env.default_joint_pos).all()
    assert (env.gait.params == env.gait.params[0]).all()
    hard = make_env(16, {"curriculum.enabled": False})
    assert (hard.state.root_lin_vel_w.std(0) > 0.1).all() and (hard.state.joint_pos.std(0) > 0.02).all()
    assert hard.gait.params[:, 0].std() > 0.1
