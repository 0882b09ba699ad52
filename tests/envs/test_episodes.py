"""How episodes end and begin: falls, time-outs, broken robots, resets, commands, gait clock, pushes, curriculum."""

import math
from typing import Any

import pytest
import torch

from legged_gym.envs.base.commands import Commands, GaitClock
from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.envs.base.legged_robot_config import CommandsCfg, GaitCfg, GaitRangesCfg
from tests.envs.making import CLEAN, IN_THE_AIR, MakeEnv

UPRIGHT, ON_ITS_SIDE = [0.0, 0.0, 0.0, 1.0], [math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]


def place(
    env: LeggedRobot, rows: list[int], height: float = 50.0, quat: list[float] = UPRIGHT, speed: float = 0.0
) -> None:
    """Put some robots somewhere, at rest or moving along x."""
    n = env.num_envs
    mask = torch.zeros(n, dtype=torch.bool)
    mask[rows] = True
    pos, lin = torch.tensor([0.0, 0.0, height]).repeat(n, 1), torch.tensor([speed, 0.0, 0.0]).repeat(n, 1)
    env.sim.reset(
        mask, pos, torch.tensor(quat).repeat(n, 1), lin, torch.zeros(n, 3), torch.zeros(n, 6), torch.zeros(n, 6)
    )


def stand(env: LeggedRobot, steps: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Step with zero actions; returns the last dones and time-outs."""
    for _ in range(steps):
        _, _, done, extras = env.step(torch.zeros(env.num_envs, 6))
    return done, extras["time_outs"]


# -- ends --------------------------------------------------------------------------------------------------------------


def test_time_out_is_no_fall(make_env: MakeEnv) -> None:
    """After exactly the episode's steps; flagged as time-out, not logged as fall; the new episode starts at 0."""
    env = make_env(3, CLEAN, IN_THE_AIR, {"env.episode_length_s": 0.2})
    assert env.max_episode_length == 10
    env.episode_length_buf = torch.tensor([0, 0, 4])
    for k in range(1, 10):
        done, time_outs = stand(env)
        assert done.tolist() == time_outs.tolist() == [False, False, k == 6]
    done, time_outs = stand(env)
    assert done.tolist() == time_outs.tolist() == [True, True, False]
    assert env.episode_length_buf.tolist() == [0, 0, 4]
    log = env.episode_log()
    assert log["fall_rate"] == 0.0 and log["broken_robots"] == 0.0


def test_contact_of_base_or_abad_ends_the_episode(make_env: MakeEnv) -> None:
    """Lying robots are done, and not by time even if it is up; standing and flying ones go on."""
    env = make_env(4, CLEAN, IN_THE_AIR)
    place(env, [0, 1], height=0.15, quat=ON_ITS_SIDE)
    place(env, [2], height=0.78)
    env.episode_length_buf = torch.tensor([0, env.max_episode_length - 1, 0, 0])
    _, reward, done, extras = env.step(torch.zeros(4, 6))
    assert done.tolist() == [True, True, False, False]
    assert extras["time_outs"].tolist() == [False] * 4
    assert env.fell.tolist() == [True, True, False, False]
    log = env.episode_log()
    assert log["fall_rate"] == pytest.approx(2 / (4 * 0.02))
    assert reward.isfinite().all()


def test_contact_bodies_and_force_are_the_configured_ones(make_env: MakeEnv) -> None:
    """With the feet listed, a landing ends the episode, unless the force asked for is beyond it."""
    for force, expected in ((1.0, True), (1e6, False)):
        settings = {"asset.terminate_after_contacts_on": ("foot",), "termination.contact_force": force}
        env = make_env(1, CLEAN, {"init_state.pos": (0.0, 0.0, 0.09)}, settings)
        assert any(bool(stand(env)[0]) for _ in range(15)) == expected


def test_tilt_counts_only_if_it_lasts(make_env: MakeEnv) -> None:
    """Half a second beyond the largest tilt is a fall; less, with an upright moment in between, is none."""
    env = make_env(3, CLEAN, IN_THE_AIR)
    place(env, [0, 1], quat=ON_ITS_SIDE)
    for k in range(1, 27):
        if k == 20:
            place(env, [1])
        if k == 21:
            place(env, [1], quat=ON_ITS_SIDE)
        done, time_outs = stand(env)
        if done.any():
            break
    assert k in (25, 26) and done.tolist() == [True, False, False] and not time_outs.any()
    assert not any(stand(env)[0].any() for _ in range(15))


def test_tilt_threshold(make_env: MakeEnv) -> None:
    """The angle between the base's z axis and the vertical."""
    env = make_env(2, CLEAN, IN_THE_AIR, {"termination.max_tilt": 1.0, "termination.tilt_time": 0.0})
    for row, angle in ((0, 0.98), (1, 1.02)):
        place(env, [row], quat=[0.0, math.sin(angle / 2), 0.0, math.cos(angle / 2)])
    assert stand(env)[0].tolist() == [False, True]


@pytest.mark.parametrize("speed", [math.nan, 1e12, 60.0])
def test_broken_robot_is_reset_and_counted(make_env: MakeEnv, speed: float) -> None:
    """It is done as a fall, its reward is 0, nothing non-finite gets out, and the others go on bit for bit."""
    settings = (IN_THE_AIR, {"curriculum.enabled": False})
    env, twin = make_env(3, *settings), make_env(3, *settings)
    place(env, [1], speed=speed)
    rng = torch.get_rng_state()
    results = []
    for each in (env, twin):
        torch.set_rng_state(rng)
        results.append([each.step(torch.zeros(3, 6)) for _ in range(4)])
    first = results[0][0]
    assert first[2].tolist() == [False, True, False] and not first[3]["time_outs"].any() and first[1][1] == 0.0
    for (observations, reward, done, _), (twins, twin_reward, _, _) in zip(*results, strict=True):
        assert reward.isfinite().all() and torch.equal(reward[[0, 2]], twin_reward[[0, 2]])
        assert done.tolist()[::2] == [False, False]
        for name, value in observations.items():
            assert value.isfinite().all(), name
            assert torch.equal(value[[0, 2]], twins[name][[0, 2]]), name
    log = env.episode_log()
    assert log["broken_robots"] == 1.0 and log["fall_rate"] > 0.0
    assert all(math.isfinite(value) for value in log.values())


# -- beginnings --------------------------------------------------------------------------------------------------------


def test_reset_of_some_leaves_the_others_bit_for_bit(make_env: MakeEnv) -> None:
    """A time-out of two robots changes nothing for the rest, and starts those two anew."""
    env, twin = make_env(5, IN_THE_AIR), make_env(5, IN_THE_AIR)
    rng = torch.get_rng_state()
    actions = torch.full((5, 6), 0.5)
    results = []
    for each in (env, twin):
        torch.set_rng_state(rng)
        for _ in range(5):
            each.step(actions)
        if each is env:
            env.episode_length_buf = torch.tensor([5, env.max_episode_length - 1, 5, env.max_episode_length - 1, 5])
        results.append([each.step(actions) for _ in range(5)])
    assert results[0][0][2].tolist() == [False, True, False, True, False]
    assert env.episode_length_buf.tolist() == [10, 4, 10, 4, 10]
    kept = [0, 2, 4]
    for (observations, reward, _, _), (twins, twin_reward, _, _) in zip(*results, strict=True):
        assert torch.equal(reward[kept], twin_reward[kept])
        for name, value in observations.items():
            assert torch.equal(value[kept], twins[name][kept]), name
            assert not torch.equal(value[[1, 3]], twins[name][[1, 3]]), name
    after = results[0][0][0]
    assert (after["teacher"][[1, 3], -2] == 0).all()
    last_action = after["policy"][:, 18:24]
    assert (last_action[[1, 3]] == 0).all() and (last_action[kept] == 0.5).all()


def test_robots_start_in_the_configured_ranges(make_env: MakeEnv) -> None:
    env = make_env(
        400,
        {
            "curriculum.enabled": False,
            "domain_rand.randomize_default_pose": False,
            "init_state.pos": (1.0, 2.0, 5.0),
            "init_state.yaw": (-0.5, 1.0),
            "init_state.lin_vel": (-0.2, 0.3),
            "init_state.ang_vel": (-0.4, 0.1),
            "init_state.joint_pos": (-0.05, 0.15),
            "init_state.default_joint_angles": (0.1,) * 6,
        },
    )
    s = env.state
    start = torch.tensor([1.0, 2.0, 5.0 + env.sim.robot.zero_pose_height])
    assert torch.allclose(s.root_pos_w, start.expand(400, 3))
    for value, low, high in (
        *((env.yaw, -0.5, 1.0), (s.root_lin_vel_w, -0.2, 0.3)),
        *((s.root_ang_vel_w, -0.4, 0.1), (s.joint_pos, 0.05, 0.25)),
    ):
        margin = 0.03 * (high - low)
        assert low - 1e-5 <= value.min() < low + margin and high - margin < value.max() <= high + 1e-5
    assert (s.joint_vel == 0).all() and s.root_quat_xyzw[:, :2].abs().max() < 1e-6


# -- commands and gait -------------------------------------------------------------------------------------------------


def test_commands_are_drawn_in_their_ranges() -> None:
    """Ranges of difficulty 0, 0.5 and 1; the standing share is all zero and flagged; others keep their command."""
    cfg = CommandsCfg(standing_share=0.3)
    for difficulty, x, y, w in (
        (0.0, (-0.5, 1.0), 0.3, 0.5),
        (0.5, (-0.75, 1.0), 0.45, 0.75),
        (1.0, (-1.0, 1.0), 0.6, 1.0),
    ):
        commands = Commands(cfg, 5000, torch.tensor(difficulty))
        mask = torch.arange(5000) < 4000
        commands.resample(mask)
        assert (commands.command[~mask] == 0).all() and commands.standing[~mask].all()
        standing, moving = commands.standing[mask], commands.command[mask][~commands.standing[mask]]
        assert standing.float().mean().item() == pytest.approx(0.3, abs=0.03)
        assert torch.equal(commands.standing, (commands.command == 0).all(-1))
        for i, (low, high) in enumerate((x, (-y, y), (-w, w))):
            assert low <= moving[:, i].min() < low + 0.02 and high - 0.02 < moving[:, i].max() <= high


def test_commands_and_gait_change_together_at_their_time(make_env: MakeEnv) -> None:
    """Every `resampling_time` of a robot's own episode, and at no other step."""
    env = make_env(2, CLEAN, IN_THE_AIR, {"commands.resampling_time": 0.1, "commands.standing_share": 0.0})
    env.episode_length_buf = torch.tensor([0, 2])
    for k in range(1, 12):
        before = torch.cat((env.commands.command, env.gait.params[:, :1]), -1)
        stand(env)
        changed = (torch.cat((env.commands.command, env.gait.params[:, :1]), -1) != before).all(-1)
        same = (torch.cat((env.commands.command, env.gait.params[:, :1]), -1) == before).all(-1)
        due = torch.tensor([k % 5 == 0, (k + 2) % 5 == 0])
        assert torch.equal(changed, due) and torch.equal(same, ~due), k


def test_shortest_intervals_are_one_step(make_env: MakeEnv) -> None:
    """Times below a policy step mean: at every step."""
    settings = {"commands.resampling_time": 0.001, "domain_rand.push_interval_s": 0.001, "curriculum.enabled": False}
    env = make_env(2, IN_THE_AIR, settings)
    before = env.gait.params.clone()
    stand(env)
    assert (env.gait.params[:, 0] != before[:, 0]).all()


def test_gait_clock_runs_and_is_shifted() -> None:
    """It advances by frequency times dt, modulo 1; shifts go both ways."""
    gait = GaitClock(GaitCfg(), 3, torch.tensor(1.0))
    gait.params[:, 0] = torch.tensor([1.5, 2.0, 2.5])
    gait.clock[:] = torch.tensor([0.0, 0.99, 0.75])
    for _ in range(10):
        gait.advance(0.02)
    torch.testing.assert_close(gait.clock, torch.tensor([0.3, 0.39, 0.25]), atol=1e-5, rtol=0.0)
    gait.clock[:] = torch.tensor([0.1, 0.5, 0.95])
    gait.shift(torch.tensor([-0.2, 0.1, 0.1]))
    torch.testing.assert_close(gait.clock, torch.tensor([0.9, 0.6, 0.05]), atol=1e-6, rtol=0.0)
    assert ((gait.clock >= 0) & (gait.clock < 1)).all()


def test_clock_runs_in_the_environment(make_env: MakeEnv) -> None:
    env = make_env(2, CLEAN, IN_THE_AIR, {"gait.ranges.frequency": (2.0, 2.0)})
    start = env.gait.clock.clone()
    stand(env, 6)
    torch.testing.assert_close(env.gait.clock, (start + 6 * 2.0 * 0.02) % 1.0)
    env.shift_gait_clock(torch.tensor([0.3, -0.3]))
    torch.testing.assert_close(env.gait.clock, (start + 0.24 + torch.tensor([0.3, -0.3])) % 1.0)


def test_desired_contact_is_left_first() -> None:
    """The left foot is in stance for g < 0.5, the right one after; a longer duration overlaps; edges are half."""
    clock = torch.tensor([0.25, 0.75, 0.0, 0.5, 0.1, 0.9])
    gait = GaitClock(GaitCfg(), 6, torch.tensor(1.0))
    gait.clock[:] = clock
    gait.params[:] = torch.tensor([2.0, 0.5, 0.5, 0.1])
    contact = gait.desired_contact(0.05)
    expected = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.5, 0.5], [0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])
    torch.testing.assert_close(contact, expected, atol=0.03, rtol=0.0)
    gait.params[:, 2] = 0.7  # both feet down for 0.2 of a cycle after each landing
    assert (gait.desired_contact(0.05)[4] > 0.9).all() and gait.desired_contact(0.05)[0, 1] < 0.2
    gait.params[:] = torch.tensor([2.0, 0.25, 0.5, 0.1])  # the right foot follows a quarter of a cycle later
    gait.clock[:2] = torch.tensor([0.1, 0.6])
    torch.testing.assert_close(
        gait.desired_contact(0.05)[:2], torch.tensor([[1.0, 0.0], [0.0, 1.0]]), atol=0.03, rtol=0.0
    )
    sharp, soft = gait.desired_contact(0.01), gait.desired_contact(0.2)
    assert ((sharp - 0.5).abs() >= (soft - 0.5).abs() - 1e-6).all()


def test_feet_are_to_swing_high_in_the_middle_of_their_swing() -> None:
    """The right foot swings while g < 0.5, the left one after; halfway up after a quarter of the swing."""
    gait = GaitClock(GaitCfg(), 5, torch.tensor(1.0))
    gait.clock[:] = torch.tensor([0.25, 0.75, 0.125, 0.0, 0.9])
    gait.params[:] = torch.tensor([2.0, 0.5, 0.5, 0.1])
    gait.params[4] = torch.tensor([2.0, 0.5, 0.8, 0.2])  # in stance for longer: the left foot lifts off at 0.8
    expected = torch.tensor([[0.0, 0.1], [0.1, 0.0], [0.0, 0.05], [0.0, 0.0], [0.2, 0.0]])
    torch.testing.assert_close(gait.swing_heights(), expected)


def test_gait_parameters_are_drawn_in_their_ranges() -> None:
    ranges = GaitRangesCfg(frequency=(1.0, 2.0), offset=(0.4, 0.6), duration=(0.5, 0.7), swing_height=(0.05, 0.1))
    gait = GaitClock(GaitCfg(ranges=ranges), 2000, torch.tensor(1.0))
    gait.resample(torch.arange(2000) < 1500)
    assert (gait.params[1500:] == 0).all()
    for i, (low, high) in enumerate(((1.0, 2.0), (0.4, 0.6), (0.5, 0.7), (0.05, 0.1))):
        drawn, margin = gait.params[:1500, i], 0.01 * (high - low)
        assert low - 1e-6 <= drawn.min() < low + margin and high - margin < drawn.max() <= high + 1e-6
    gait.reset(torch.arange(2000) < 1000, torch.rand(2000))
    assert gait.clock[:1000].std() > 0.2 and (gait.clock[1000:] == 0).all()


# -- pushes, randomisation, curriculum ---------------------------------------------------------------------------------


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
    drawn = torch.cat([env.randomizer.push_velocity() for _ in range(2000)])
    size = drawn.norm(dim=-1)
    assert 1.48 < size.max() <= 1.5 and size.mean().item() == pytest.approx(0.75, abs=0.03)
    assert drawn.mean(0).abs().max() < 0.05
    env.difficulty.fill_(0.5)
    assert torch.cat([env.randomizer.push_velocity() for _ in range(500)]).norm(dim=-1).max() <= 0.75


def parameters(env: LeggedRobot) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in env.sim.parameters.items()}


BOUNDS: dict[str, tuple[float, float]] = {
    "friction": (0.1, 1.2),
    "base_mass_added": (-1.0, 11.0),
    "link_mass_scale": (0.8, 1.2),
    "link_inertia_scale": (0.8, 1.2),
    "kp": (0.8 * 42.0, 1.2 * 42.0),
    "kd": (0.8 * 2.5, 1.5 * 2.5),
    "strength": (0.8, 1.2),
    "action_delay": (0.0, 4.0),
    "base_com_offset": (-0.03, 0.03),
}


def test_randomised_parameters_fill_their_ranges(make_env: MakeEnv) -> None:
    """At full difficulty; at zero they are nominal; each kind can be switched off by itself."""
    env = make_env(150, {"curriculum.enabled": False})
    assert set(BOUNDS) == set(env.sim.PARAMETERS)
    for name, value in parameters(env).items():
        low, high = BOUNDS[name]
        margin = 0.05 * (high - low)
        assert low - 1e-5 <= value.min() < low + margin and high - margin < value.max() <= high + 1e-5, name
    assert env.sim.parameters["base_com_offset"].abs().amax(0).tolist() == pytest.approx([0.03, 0.02, 0.03], rel=0.06)
    delays = env.sim.parameters["action_delay"]
    assert torch.equal(delays, delays.round()) and len(delays.unique()) == 5
    nominal = make_env(2, CLEAN, IN_THE_AIR, {"terrain.static_friction": 0.7})
    expected = {
        "friction": 0.7,
        "kp": 42.0,
        "kd": 2.5,
        "strength": 1.0,
        "link_mass_scale": 1.0,
        "link_inertia_scale": 1.0,
    }
    easy = make_env(2, {"curriculum.initial": 0.0, "terrain.static_friction": 0.7})
    for env in (nominal, easy):
        for name, value in parameters(env).items():
            torch.testing.assert_close(value, torch.full_like(value, expected.get(name, 0.0)))


@pytest.mark.parametrize(
    ("switch", "names"),
    [
        *(("friction", ["friction"]), ("base_mass", ["base_mass_added"]), ("base_com", ["base_com_offset"])),
        *(("link_mass", ["link_mass_scale"]), ("link_inertia", ["link_inertia_scale"])),
        *(("gains", ["kd", "kp", "strength"]), ("action_delay", ["action_delay"])),
    ],
)
def test_each_randomisation_touches_its_own_parameters(make_env: MakeEnv, switch: str, names: list[str]) -> None:
    env, nominal = make_env(8, CLEAN, {f"domain_rand.randomize_{switch}": True}), make_env(8, CLEAN)
    touched = [n for n, value in parameters(env).items() if not torch.equal(value, nominal.sim.parameters[n])]
    assert sorted(touched) == names


def test_episodes_are_randomised_anew(make_env: MakeEnv) -> None:
    """A reset robot gets new parameters, its body with the next iteration, the others keep theirs."""
    env = make_env(3, IN_THE_AIR, {"curriculum.enabled": False})
    bodies = {"base_mass_added", "base_com_offset", "link_mass_scale", "link_inertia_scale"}
    before = parameters(env)
    env.episode_length_buf = torch.tensor([0, env.max_episode_length - 1, 0])
    stand(env)
    between = parameters(env)
    env.update_curriculum(0.0, 1000)
    after = parameters(env)
    env.update_curriculum(0.0, 1000)
    for name, value in parameters(env).items():
        assert torch.equal(value[[0, 2]], before[name][[0, 2]]), name
        assert torch.equal(value, after[name]), name
        if name != "action_delay":
            assert torch.equal(between[name][1], before[name][1]) == (name in bodies), name
            assert not torch.equal(value[1], before[name][1]), name


def test_the_first_observation_knows_the_new_masses(make_env: MakeEnv) -> None:
    """The centre of mass after `reset` is that of the robot with its new body."""
    env = make_env(4, IN_THE_AIR, {"curriculum.enabled": False})
    for _ in range(2):
        env.sim.reset(
            torch.ones(4, dtype=torch.bool),
            *(env.state.root_pos_w, env.state.root_quat_xyzw, env.state.root_lin_vel_w, env.state.root_ang_vel_w),
            *(env.state.joint_pos, env.state.joint_vel),
        )
        torch.testing.assert_close(env.get_observations()["teacher"][:, 13:16], env.state.com_pos_w)
        env.reset()


def test_curriculum(make_env: MakeEnv) -> None:
    """Up below the lower rate, down above the upper one, within 0 and 1; saved and restored; off means 1."""
    cfg = {"initial": 0.5, "speed": 0.2, "fall_rate_up": (0.1, 0.1), "fall_rate_down": (0.2, 0.2)}
    env = make_env(1, {f"curriculum.{name}": value for name, value in cfg.items()})
    seen = []
    for rate in (0.15, 0.05, 0.1, 0.2, 0.25, 0.05, 0.05, 0.05, 0.05):
        env.update_curriculum(rate, 1_000_000)
        seen.append(round(env.episode_log()["difficulty"], 4))
    assert seen == [0.5, 0.7, 0.7, 0.7, 0.5, 0.7, 0.9, 1.0, 1.0]
    env.cfg.curriculum.fall_rate_up, env.cfg.curriculum.fall_rate_down = (0.0, 0.2), (0.1, 0.3)
    for rate, at, then in ((0.05, 0.0, 0.0), (0.15, 1.0, 1.0), (0.15, 0.5, 0.5), (0.25, 0.5, 0.3), (0.05, 0.5, 0.7)):
        env.difficulty.fill_(at)
        env.update_curriculum(rate, 1_000_000)
        assert env.difficulty.item() == pytest.approx(then), (rate, at)
    env.difficulty.fill_(1.0)
    other = make_env(1)
    other.load_state_dict(env.state_dict())
    assert other.difficulty.item() == 1.0
    off = make_env(1, {"curriculum.enabled": False})
    off.update_curriculum(10.0, 1_000_000)
    assert off.difficulty.item() == 1.0


def test_action_reaches_the_joints_scaled_and_clipped(make_env: MakeEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    """target = default + action_scale * clip(action)."""
    settings: dict[str, Any] = {"control.action_scale": 0.5, "normalization.clip_actions": 2.0}
    env = make_env(1, CLEAN, IN_THE_AIR, settings, {"init_state.default_joint_angles": (0.1,) * 6})
    targets: list[torch.Tensor] = []
    step = env.sim.step

    def spy(joint_targets: torch.Tensor) -> None:
        targets.append(joint_targets.clone())
        step(joint_targets)

    monkeypatch.setattr(env.sim, "step", spy)
    env.step(torch.tensor([[0.2, -0.2, 1.0, 3.0, -3.0, 0.0]]))
    torch.testing.assert_close(targets[0], torch.tensor([[0.2, 0.0, 0.6, 1.1, -0.9, 0.1]]))
    torch.testing.assert_close(
        env.get_observations()["policy"][0, 18:24], torch.tensor([0.2, -0.2, 1.0, 2.0, -2.0, 0.0])
    )


def test_difficulty_zero_starts_every_robot_alike(make_env: MakeEnv) -> None:
    easy = {"curriculum.enabled": True, "curriculum.initial": 0.0, "domain_rand.randomize_default_pose": False}
    env = make_env(16, easy)
    assert (env.state.root_lin_vel_w == 0).all() and (env.state.root_ang_vel_w == 0).all()
    assert (env.state.joint_pos == env.default_joint_pos).all()
    assert (env.gait.params == env.gait.params[0]).all()
    hard = make_env(16, {"curriculum.enabled": False})
    assert (hard.state.root_lin_vel_w.std(0) > 0.1).all() and (hard.state.joint_pos.std(0) > 0.02).all()
    assert hard.gait.params[:, 0].std() > 0.1
