"""Shoves on the base and trips of the swing foot: as often, as long and as hard as asked, on the right robots."""

import pytest
import torch

from legged_gym.envs.base import rewards
from tests.envs.making import CLEAN, IN_THE_AIR, MakeEnv, stand

SHOVES = {
    "termination.max_tilt": 3.14,
    "domain_rand.shove_robots": True,
    "domain_rand.shove_interval_s": 1.0,
    "domain_rand.shove_duration_range": (0.1, 0.1),
    "domain_rand.max_shove_impulse": 10.0,
}
TRIPS = {
    "domain_rand.trip_robots": True,
    "domain_rand.trip_interval_s": 1.0,
    "domain_rand.trip_duration_range": (0.06, 0.06),
    "domain_rand.max_trip_force": 50.0,
}


def test_a_shove_gives_the_impulse_that_was_drawn(make_env: MakeEnv) -> None:
    """In the air a robot's momentum changes by what the forces of all steps add up to, up to the largest impulse."""
    env = make_env(40, CLEAN, IN_THE_AIR, SHOVES)
    impulse, forced = torch.zeros(40, 3), torch.zeros(40)
    for _ in range(75):
        force = env.sim.wrench_w[:, 0, :3].clone()
        impulse += 0.02 * force
        forced += force.norm(dim=-1) > 0.0
        before = env.state.com_lin_vel_w.clone()
        stand(env)
        gained = env.sim.robot.total_mass * (env.state.com_lin_vel_w - before)
        torch.testing.assert_close(gained[:, :2], 0.02 * force[:, :2], rtol=0.1, atol=0.3)
    assert (impulse[:, 2] == 0.0).all()
    assert ((forced % 5 == 0) & (forced >= 5)).sum() >= 30, "each shove lasts five policy steps"
    assert 6.0 < impulse.norm(dim=-1).max() <= 20.0 + 1e-3


def test_shoves_act_between_centre_of_mass_and_lid(make_env: MakeEnv) -> None:
    """The torque is that of the force on a lever that stands upright in the base, no longer than to the lid."""
    env = make_env(60, CLEAN, IN_THE_AIR, SHOVES)
    levers: list[float] = []
    for _ in range(60):
        stand(env)
        force, torque = env.sim.wrench_w[:, 0, :3], env.sim.wrench_w[:, 0, 3:]
        size = force.norm(dim=-1)
        levers += (torque.norm(dim=-1) / size)[size > 0.1].tolist()
        assert (torque * force).sum(-1).abs().max() < 1e-3
    lid = env.sim.robot.lid_height
    assert lid == pytest.approx(0.184, abs=2e-3)
    assert min(levers) < 0.05 and 0.9 * lid < max(levers) <= lid + 1e-3


def test_a_trip_holds_back_the_foot_that_swings(make_env: MakeEnv) -> None:
    """Against its motion, and only the foot that the clock has in the air when the trip begins."""
    env = make_env(60, CLEAN, IN_THE_AIR, TRIPS)
    begun = 0
    before = torch.zeros(60, 2, dtype=torch.bool)
    for k in range(80):
        env.step(0.5 * torch.sin(torch.arange(6.0) + 0.4 * k).expand(60, 6))
        force = env.sim.wrench_w[:, 1:, :2]
        held = force.norm(dim=-1) > 0.0
        assert (held.sum(-1) <= 1).all() and (env.sim.wrench_w[:, 0] == 0.0).all()
        new = held & ~before
        swings = env.gait.desired_contact(1e-6) < 0.5
        assert (~new | swings).all()
        speed = (force * env.state.feet_lin_vel_w[..., :2]).sum(-1)
        assert (speed[new] <= 1e-6).all() and force.norm(dim=-1).max() <= 50.0
        begun += int(new.sum())
        before = held
    assert begun > 30


def test_if_both_feet_swing_the_first_one_is_held(make_env: MakeEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_env(6, CLEAN, IN_THE_AIR, TRIPS)
    for k in range(4):
        env.step(0.5 * torch.sin(torch.arange(6.0) + 0.4 * k).expand(6, 6))
    everyone = torch.ones(6, dtype=torch.bool)
    monkeypatch.setattr(env.disturbances.trip, "begins", lambda episodes: everyone)
    env.disturbances.advance(env.episodes, swing=torch.ones(6, 2, dtype=torch.bool))
    held = env.sim.wrench_w[:, 1:, :3].norm(dim=-1)
    assert (held[:, 0] > 0.0).all() and (held[:, 1] == 0.0).all()


def test_a_trip_ends_with_the_episode(make_env: MakeEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    env = make_env(4, CLEAN, IN_THE_AIR, TRIPS)
    trip, ended = env.disturbances.trip, torch.tensor([True, False, True, False])
    monkeypatch.setattr(trip, "begins", lambda episodes: torch.zeros(4, dtype=torch.bool))
    trip.begin(torch.ones(4, dtype=torch.bool), torch.full((4, 3), 20.0), torch.full((4,), 9.0))
    env.disturbances._foot[:, 0] = 1.0
    env.episodes.fell = ended
    assert torch.equal(env.episodes.done, ended)
    env.disturbances.advance(env.episodes, swing=torch.ones(4, 2, dtype=torch.bool))
    assert torch.equal(env.sim.wrench_w[:, 1:, :3].abs().sum((1, 2)) == 0.0, ended)


def test_a_kick_changes_the_velocity_by_what_was_drawn(make_env: MakeEnv) -> None:
    kicks = {"domain_rand.push_robots": True, "domain_rand.push_interval_s": 0.02, "domain_rand.max_push_vel_xy": 2.0}
    env = make_env(10, CLEAN, IN_THE_AIR, kicks)
    stand(env)
    before = env.sim.state.root_lin_vel_w.clone()
    env.disturbances.advance(env.episodes, swing=torch.zeros(10, 2, dtype=torch.bool))
    kick = env.disturbances.kick_w
    assert kick.norm(dim=-1).max() > 0.2 and (kick[:, 2] == 0.0).all()
    torch.testing.assert_close(env.sim.state.root_lin_vel_w - before, kick)


def test_disturbances_follow_the_curriculum_and_end_with_the_episode(make_env: MakeEnv) -> None:
    easy = make_env(20, CLEAN | {"curriculum.enabled": True, "curriculum.initial": 0.0}, IN_THE_AIR, SHOVES, TRIPS)
    stand(easy, 60)
    assert (easy.sim.wrench_w == 0.0).all()
    env = make_env(20, CLEAN, IN_THE_AIR, SHOVES | {"domain_rand.shove_duration_range": (0.9, 0.9)})
    stand(env, 55)
    assert (env.sim.wrench_w[:, 0, :3].norm(dim=-1) > 0.0).sum() > 10
    env.episode_length_buf = torch.full((20,), env.max_episode_length)
    stand(env)
    assert (env.sim.wrench_w == 0.0).all()


def test_without_disturbances_nobody_touches_the_forces(make_env: MakeEnv) -> None:
    env = make_env(2, CLEAN, IN_THE_AIR)
    env.sim.wrench_w[0, 0, 2] = 7.0
    stand(env, 3)
    assert env.sim.wrench_w[0, 0, 2] == 7.0


def test_measurements_are_as_old_as_they_are_said_to_be(make_env: MakeEnv) -> None:
    """Joint angles of a moving robot, shown with an age of 10 ms, lie half-way between two policy steps."""
    delayed = {"domain_rand.randomize_observation_delay": True, "domain_rand.delay_jitter": 0.0}
    env = make_env(3, CLEAN, IN_THE_AIR, delayed | {"domain_rand.observation_delay_range": (0.01, 0.01)})
    last = env.state.joint_pos.clone()
    torch.testing.assert_close(env.get_observations()["policy"][:, 6:12], last)
    for k in range(6):
        env.step(torch.sin(torch.arange(6.0) + k).expand(3, 6))
        shown = env.get_observations()["policy"][:, 6:12]
        torch.testing.assert_close(shown, 0.5 * (last + env.state.joint_pos), rtol=0.0, atol=1e-6)
        assert (env.state.joint_pos - last).abs().max() > 0.01
        last = env.state.joint_pos.clone()


def test_the_last_action_is_the_clamped_one(make_env: MakeEnv) -> None:
    """What the controller clamped is what the robot remembers; what it did not is shown as it was."""
    env = make_env(2, CLEAN, IN_THE_AIR)
    actions = torch.tensor([[0.5, -0.5, 0.5, -0.5, 0.5, -0.5], [20.0, -20.0, 20.0, -20.0, 20.0, -20.0]])
    env.step(actions)
    shown = env.get_observations()["policy"][:, 18:24]
    torch.testing.assert_close(shown[0], actions[0], rtol=0.0, atol=1e-5)
    assert (shown[1].abs() < 12.0).all() and (shown[1].sign() == actions[1].sign()).all()
    torch.testing.assert_close(shown[1], env.state.joint_target[1] / 0.25, rtol=0.0, atol=1e-5)
    assert torch.equal(env.actions.now, actions)


def test_robots_that_recover_are_not_judged(make_env: MakeEnv) -> None:
    """For a second after a push the terms of velocity and gait are silent, and tracking counts as perfect."""
    pushed = {"domain_rand.push_robots": True, "domain_rand.push_interval_s": 5.0, "rewards.recovery_time": 0.1}
    env = make_env(60, CLEAN, IN_THE_AIR, pushed)
    seen = 0
    for _ in range(200):
        stand(env)
        quiet = env.disturbances.undisturbed == 0.0
        error, kernel = rewards.lin_vel_error(env), rewards.tracking_lin_vel(env)
        assert (
            (error[quiet] == 0.0).all()
            and (kernel[quiet] == 1.0).all()
            and (env.rewards.gait_active[quiet] == 0.0).all()
        )
        seen += int(quiet.sum())
    assert 0.6 * 48 * 5 < seen < 1.4 * 48 * 5, "48 of 60 robots are pushed in 4 s, and recover for five policy steps"
