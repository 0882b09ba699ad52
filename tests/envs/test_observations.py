"""Observations: the deployment contract, what sees noise and tilt, and that nothing is stale, shared or constant."""

import math
from typing import Any

import pytest
import torch
from tensordict import TensorDict

from legged_gym.envs.base.legged_robot import LeggedRobot
from legged_gym.sim.sim_state import Placement
from tests.envs.making import CLEAN, IN_THE_AIR, MakeEnv

POLICY = [
    *(("base_ang_vel_b", 3), ("projected_gravity_b", 3), ("joint_pos", 6), ("joint_vel", 6), ("last_action", 6)),
    *(("clock_sin", 1), ("clock_cos", 1), ("gait_params", 4)),
]
TEACHER = [
    *(("base_pos_w", 3), ("base_quat_xyzw", 4), ("base_lin_vel_w", 3), ("base_ang_vel_b", 3)),
    *(("com_pos_w", 3), ("com_lin_vel_w", 3), ("joint_pos", 6), ("joint_vel", 6)),
    *(("feet_pos_w", 6), ("feet_lin_vel_w", 6), ("feet_force_w", 6), ("command", 3)),
    *(("clock", 1), ("gait_frequency", 1), ("swing_height", 1)),
    *(("feet_ground_height", 2), ("ground_ahead", 4), ("episode_time", 1), ("standing", 1), ("mass", 1)),
]
BUSY: dict[str, Any] = {
    "curriculum.enabled": False,
    "env.episode_length_s": 0.3,
    "commands.resampling_time": 0.12,
    "commands.standing_share": 0.3,
    "domain_rand.push_interval_s": 0.1,
    "domain_rand.shove_interval_s": 0.1,
    "domain_rand.trip_interval_s": 0.1,
}
"""Everything happens within a few steps."""


def term(env: LeggedRobot, group: str, name: str) -> torch.Tensor:
    """A named piece of an observation. Shape (N, width)."""
    start = 0
    for other, width in env.observation_terms[group]:
        if other == name:
            return env.get_observations()[group][:, start : start + width]
        start += width
    raise KeyError(name)


def groups(observations: TensorDict) -> dict[str, torch.Tensor]:
    return {str(name): value for name, value in observations.items() if isinstance(value, torch.Tensor)}


def place(env: LeggedRobot, **given: list[float]) -> None:
    """Put all robots into the same state, as a reset would."""
    n, zero = env.num_envs, [0.0] * 3
    values = {
        "pos": [0.0, 0.0, 50.0],
        "quat": [0.0, 0.0, 0.0, 1.0],
        "lin": zero,
        "ang": zero,
        "q": zero * 2,
        "qd": zero * 2,
    }
    rows = [torch.tensor(value).repeat(n, 1) for value in (values | given).values()]
    env.sim.reset(torch.ones(n, dtype=torch.bool), Placement(*rows))


def observe(env: LeggedRobot) -> None:
    """Assemble the observations of the present state anew."""
    env.state.refresh()
    env._observe(torch.zeros(env.num_envs, dtype=torch.bool))


def random_actions(env: LeggedRobot, k: int) -> torch.Tensor:
    return torch.randn(env.num_envs, 6, generator=torch.Generator().manual_seed(k))


def test_layout_is_the_contract(make_env: MakeEnv) -> None:
    """Names, widths and order, as the maker's controller and the teacher read them."""
    env = make_env(2)
    observations = env.get_observations()
    assert env.observation_terms["policy"] == POLICY and env.observation_terms["teacher"] == TEACHER
    widths = {name: tensor.shape for name, tensor in observations.items()}
    assert widths["policy"] == (2, 30) and widths["history"] == (2, 300) and widths["command"] == (2, 3)
    assert widths["velocity"] == (2, 3) and widths["teacher"] == (2, 64)
    for group, layout in env.observation_terms.items():
        assert widths[group] == (2, sum(width for _, width in layout))
    assert all(tensor.dtype == torch.float32 for tensor in observations.values())


def test_policy_observation_by_hand(make_env: MakeEnv) -> None:
    """The 30 numbers of a robot whose state is known, with their scales and signs."""
    env = make_env(1, CLEAN, {"init_state.default_joint_angles": (0.1,) * 6})
    roll = 0.3
    place(
        env,
        quat=[math.sin(roll / 2), 0.0, 0.0, math.cos(roll / 2)],
        ang=[0.4, 0.0, 1.0],
        q=[0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
    )
    env.sim.state.joint_vel.copy_(torch.tensor([[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]]))
    env.actions.applied.copy_(torch.tensor([[0.6, 0.5, 0.4, 0.3, 0.2, 0.1]]))
    env.gait.clock.fill_(0.125)
    env.gait.params.copy_(torch.tensor([[2.0, 0.5, 0.6, 0.08]]))
    env.commands.command.copy_(torch.tensor([[0.5, -0.25, 0.8]]))
    observe(env)
    expected = [
        *(0.1, 0.25 * math.sin(roll), 0.25 * math.cos(roll)),
        *(0.0, -math.sin(roll), -math.cos(roll)),
        *(0.0, 0.1, 0.2, 0.3, 0.4, 0.5),
        *(0.05, 0.10, 0.15, 0.20, 0.25, 0.30),
        *(0.6, 0.5, 0.4, 0.3, 0.2, 0.1),
        *(math.sqrt(0.5), math.sqrt(0.5)),
        *(2.0, 0.5, 0.6, 0.08),
    ]
    torch.testing.assert_close(env.get_observations()["policy"], torch.tensor([expected]), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(env.get_observations()["command"], torch.tensor([[1.0, -0.5, 0.2]]))


def test_true_velocity_is_in_the_base_frame(make_env: MakeEnv) -> None:
    """A robot that is turned by 90 degrees and moves along world y moves forward."""
    env = make_env(1, CLEAN)
    half = math.sqrt(0.5)
    place(env, quat=[0.0, 0.0, half, half], lin=[0.0, 1.0, 0.2])
    observe(env)
    torch.testing.assert_close(env.get_observations()["velocity"], torch.tensor([[1.0, 0.0, 0.2]]), atol=1e-6, rtol=0.0)
    torch.testing.assert_close(
        term(env, "critic", "base_lin_vel_b"), torch.tensor([[2.0, 0.0, 0.4]]), atol=1e-6, rtol=0.0
    )
    torch.testing.assert_close(env.state.base_lin_vel_y, torch.tensor([[1.0, 0.0, 0.2]]), atol=1e-6, rtol=0.0)


def test_teacher_reads_the_true_state(make_env: MakeEnv) -> None:
    """Unscaled, in the world frame, whatever the policy sees; time runs from 0 after a reset."""
    env = make_env(4, {"curriculum.enabled": False, "normalization.obs_scales.dof_vel": 0.5})
    assert (term(env, "teacher", "episode_time") == 0).all()
    env.step(random_actions(env, 0))
    s = env.sim.state
    for name, value in (
        *(("base_pos_w", s.root_pos_w), ("base_quat_xyzw", s.root_quat_xyzw), ("com_pos_w", s.com_pos_w)),
        *(("com_lin_vel_w", s.com_lin_vel_w), ("joint_vel", s.joint_vel), ("feet_pos_w", s.feet_pos_w.flatten(1))),
        *(("feet_lin_vel_w", s.feet_lin_vel_w.flatten(1)), ("feet_force_w", s.contact_force_w[:, [4, 8]].flatten(1))),
        *(("command", env.commands.command), ("clock", env.gait.clock[:, None])),
    ):
        assert torch.equal(term(env, "teacher", name), value), name
    torch.testing.assert_close(term(env, "teacher", "episode_time"), torch.full((4, 1), 0.02))


def test_history_is_oldest_first_and_starts_with_copies(make_env: MakeEnv) -> None:
    """Through noise, tilt, pushes and resets: newest = policy, the rest = last step's without its oldest."""
    env = make_env(16, BUSY)
    previous = env.get_observations()
    assert torch.equal(previous["history"].view(16, 10, 30), previous["policy"][:, None].expand(16, 10, 30))
    resets = 0
    for k in range(25):
        now, _, done, _ = env.step(random_actions(env, k))
        history = now["history"].view(16, 10, 30)
        assert torch.equal(history[:, -1], now["policy"])
        assert torch.equal(history[~done, :-1], previous["history"].view(16, 10, 30)[~done, 1:])
        assert torch.equal(history[done], now["policy"][done, None].expand(-1, 10, 30))
        resets += int(done.sum())
        previous = now
    assert resets >= 16


@pytest.mark.parametrize("length", [1, 5])
def test_history_length(make_env: MakeEnv, length: int) -> None:
    env = make_env(2, {"env.history_length": length})
    env.step(torch.zeros(2, 6))
    assert env.get_observations()["history"].shape == (2, 30 * length)


def test_imu_tilt_is_seen_by_policy_and_history_but_not_by_the_critic(make_env: MakeEnv) -> None:
    """Gravity and body rates are measured in the frame of a tilted IMU."""
    env = make_env(1, CLEAN)
    tilt = 0.02
    env.randomizer.imu_quat.copy_(torch.tensor([[math.sin(tilt / 2), 0.0, 0.0, math.cos(tilt / 2)]]))
    place(env, ang=[0.0, 1.0, 0.0])
    observe(env)
    expected = torch.tensor([[0.0, 0.25 * math.cos(tilt), 0.25 * math.sin(tilt), 0.0, math.sin(tilt), -math.cos(tilt)]])
    torch.testing.assert_close(env.get_observations()["policy"][:, :6], expected, atol=1e-6, rtol=0.0)
    torch.testing.assert_close(env.get_observations()["history"][:, -30:-24], expected, atol=1e-6, rtol=0.0)
    true = torch.tensor([[0.0, 0.25, 0.0, 0.0, 0.0, -1.0]])
    torch.testing.assert_close(env.get_observations()["critic"][:, 3:9], true, atol=1e-6, rtol=0.0)


def test_imu_tilt_and_joint_zeros_are_drawn_in_their_ranges(make_env: MakeEnv) -> None:
    env = make_env(200, {"curriculum.enabled": False})
    x, y, z, _ = (2.0 * env.randomizer.imu_quat).unbind(-1)
    for tilt in (x, y):
        assert 0.018 < tilt.abs().max() < 0.0215 and tilt.mean().abs() < 0.004
    assert z.abs().max() < 1e-3
    assert 0.048 < env.randomizer.joint_zero_error.abs().max() <= 0.05


def test_the_robot_measures_from_its_own_joint_zero(make_env: MakeEnv) -> None:
    """A calibration error shifts both what is measured and where a zero action goes; the critic knows it."""
    env = make_env(1, CLEAN, IN_THE_AIR)
    env.randomizer.joint_zero_error.fill_(0.04)
    place(env, q=[0.04] * 6)
    for _ in range(3):
        env.step(torch.zeros(1, 6))
    assert term(env, "policy", "joint_pos").abs().max() < 1e-3
    torch.testing.assert_close(term(env, "critic", "joint_pos"), torch.full((1, 6), 0.04), atol=1e-3, rtol=0.0)
    torch.testing.assert_close(term(env, "critic", "joint_zero"), torch.full((1, 6), 0.4))


UNSEEN = ("noise", "imu", "default_pose", "observation_delay")
"""What sets the robot's measurements apart from the truth."""


def test_policy_and_critic_see_the_same_instant(make_env: MakeEnv) -> None:
    """Without noise and delay they agree to the bit in all they share, at every step, pushes and resets included."""
    quiet = {key: value for key, value in CLEAN.items() if any(word in key for word in UNSEEN)}
    env = make_env(16, BUSY, quiet)
    for k in range(20):
        env.step(random_actions(env, k))
        for name, _ in POLICY:
            assert torch.equal(term(env, "policy", name), term(env, "critic", name)), name
        assert torch.equal(env.get_observations()["velocity"] * 2.0, term(env, "critic", "base_lin_vel_b"))
        assert torch.equal(env.get_observations()["command"][:, :2], term(env, "critic", "lin_vel_command"))


def test_noise_is_bounded_fresh_and_only_on_measurements(make_env: MakeEnv) -> None:
    """Uniform noise of the configured half-width before scaling; action, clock and gait parameters have none."""
    quiet = {key: value for key, value in CLEAN.items() if "noise" not in key}
    env = make_env(300, quiet, {"noise.noise_level": 0.5})
    expected = {"base_ang_vel_b": 0.2 * 0.25, "projected_gravity_b": 0.05, "joint_pos": 0.01, "joint_vel": 1.5 * 0.05}
    for name, _ in POLICY:
        noise = term(env, "policy", name) - term(env, "critic", name)
        bound = 0.5 * expected.get(name, 0.0)
        assert noise.abs().max() <= bound * 1.0001 and noise.abs().max() >= 0.95 * bound, name
        assert noise.mean().abs() <= 0.1 * bound
    first = env.get_observations()["policy"].clone()
    observe(env)
    assert (env.get_observations()["policy"] != first).any(0).sum() == 18
    env.curriculum.difficulty.fill_(0.0)
    observe(env)
    largest = (term(env, "policy", "joint_vel") - term(env, "critic", "joint_vel")).abs().max().item()
    assert largest >= 0.95 * 0.5 * 1.5 * 0.05, "sensors are as noisy at difficulty 0"


def test_observations_are_clipped(make_env: MakeEnv) -> None:
    env = make_env(4, {"normalization.clip_observations": 0.3})
    env.step(random_actions(env, 0))
    for name in ("policy", "history", "critic"):
        assert env.get_observations()[name].abs().max() == torch.tensor(0.3), name
    assert env.get_observations()["teacher"].abs().max() > 0.3


def test_steps_do_not_change_what_was_returned(make_env: MakeEnv) -> None:
    """Observations, rewards, dones and time-outs are the caller's."""
    env = make_env(8, BUSY)
    kept: list[tuple[torch.Tensor, torch.Tensor]] = []
    for k in range(20):
        actions = random_actions(env, k)
        observations, reward, done, extras = env.step(actions)
        for tensor in (*groups(observations).values(), reward, done, extras["time_outs"], actions):
            kept.append((tensor, tensor.clone()))
    assert all(torch.equal(now, then) for now, then in kept)


def test_everything_is_finite_and_varies(make_env: MakeEnv) -> None:
    """No element of any group is constant over randomised robots, but for those that the task fixes."""
    env = make_env(48, BUSY)
    rows: dict[str, list[torch.Tensor]] = {name: [] for name in groups(env.get_observations())}
    for k in range(20):
        observations, reward, _, _ = env.step(random_actions(env, k))
        assert reward.isfinite().all()
        for name, tensor in groups(observations).items():
            assert tensor.isfinite().all(), name
            rows[name].append(tensor)
    fixed = {"feet_ground_height", "ground_ahead"}  # one gait, flat ground
    for name, layout in env.observation_terms.items():
        spread = torch.cat(rows[name]).std(0)
        labels = [label for label, width in layout for _ in range(width)]
        constant = {label for label, std in zip(labels, spread.tolist(), strict=True) if std < 1e-6}
        assert constant <= fixed | {"gait_params"}, name
        if "gait_params" in labels:
            start = labels.index("gait_params")
            assert (spread[start : start + 4] > 1e-6).tolist() == [True, False, False, True]


def test_same_seed_same_trajectory(make_env: MakeEnv) -> None:
    """To the last bit, whatever was drawn before; another seed gives another one."""
    torch.rand(3)
    one = make_env(6, BUSY)
    first = [one.step(random_actions(one, k)) for k in range(20)]
    other, two = make_env(6, BUSY, {"seed": 2}), make_env(6, BUSY)
    for k, (observations, reward, done, extras) in enumerate(first):
        again = two.step(random_actions(two, k))
        for name, tensor in groups(observations).items():
            assert torch.equal(tensor, again[0][name]), name
        assert torch.equal(reward, again[1]) and torch.equal(done, again[2])
        assert torch.equal(extras["time_outs"], again[3]["time_outs"])
    assert not torch.equal(first[0][0]["policy"], other.get_observations()["policy"])


def test_groups_that_nobody_reads_are_left_out_and_change_nothing(make_env: MakeEnv) -> None:
    """Noise is the policy's alone, so the others' observations stay the same bit for bit."""
    envs = [make_env(4, BUSY) for _ in range(2)]
    envs[1].observer.keep(("command",))
    seen = []
    for env in envs:
        torch.manual_seed(3)
        for _ in range(10):
            last, *_ = env.step(torch.full((4, 6), 0.3))
        seen.append(groups(last))
    assert set(seen[0]) > set(seen[1]) == {"policy", "command", "history"}
    assert all(torch.equal(seen[0][name], value) for name, value in seen[1].items())
