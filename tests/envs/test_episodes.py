"""How episodes end and begin: falls, time-outs, broken robots, resets; and what becomes of an action."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch

from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.sim.sim_state import Placement
from tests.envs.making import CLEAN, IN_THE_AIR, MakeEnv, stand

UPRIGHT, ON_ITS_SIDE = [0.0, 0.0, 0.0, 1.0], [math.sqrt(0.5), 0.0, 0.0, math.sqrt(0.5)]


def place(
    env: LeggedRobot, rows: list[int], height: float = 50.0, quat: list[float] = UPRIGHT, speed: float = 0.0
) -> None:
    """Put some robots somewhere, at rest or moving along x."""
    n = env.num_envs
    mask = torch.zeros(n, dtype=torch.bool)
    mask[rows] = True
    pos, lin = torch.tensor([0.0, 0.0, height]).repeat(n, 1), torch.tensor([speed, 0.0, 0.0]).repeat(n, 1)
    there = replace(Placement.at_rest(pos, 6), root_quat_xyzw=torch.tensor(quat).repeat(n, 1), root_lin_vel_w=lin)
    env.sim.reset(mask, there)


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
    assert env.episodes.fell.tolist() == [True, True, False, False]
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
    assert (after["teacher"][[1, 3], -3] == 0).all(), "episode_time"
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
        *((env.state.yaw, -0.5, 1.0), (s.root_lin_vel_w, -0.2, 0.3)),
        *((s.root_ang_vel_w, -0.4, 0.1), (s.joint_pos, 0.05, 0.25)),
    ):
        margin = 0.03 * (high - low)
        assert low - 1e-5 <= value.min() < low + margin and high - margin < value.max() <= high + 1e-5
    assert (s.joint_vel == 0).all() and s.root_quat_xyzw[:, :2].abs().max() < 1e-6


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
