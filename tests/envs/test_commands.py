"""What robots are asked: velocity commands and the gait clock."""

import pytest
import torch

from legged_gym.envs.base.commands import Commands, GaitClock
from legged_gym.envs.base.commands_config import CommandsCfg, GaitCfg, GaitRangesCfg
from legged_gym.utils.config import ConfigError
from tests.envs.making import CLEAN, IN_THE_AIR, MakeEnv, stand


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


def test_a_share_of_the_commands_leads_straight_on() -> None:
    """Beside the share that stands; others turn."""
    commands = Commands(CommandsCfg(standing_share=0.2, straight_share=0.3), 5000, torch.tensor(1.0))
    commands.resample(torch.ones(5000, dtype=torch.bool))
    moving = commands.command[~commands.standing]
    assert commands.standing.float().mean().item() == pytest.approx(0.2, abs=0.03)
    straight = moving[:, 2] == 0.0
    assert straight.float().mean().item() == pytest.approx(0.3 / 0.8, abs=0.03)
    assert (moving[straight, :2] != 0.0).all()
    with pytest.raises(ConfigError, match=r"standing_share 0\.8, reversing_share 0\.0 and straight_share 0\.3"):
        CommandsCfg(standing_share=0.8, straight_share=0.3).validate()


def test_a_share_of_the_commands_is_thrown_from_side_to_side(make_env: MakeEnv) -> None:
    """They change their sign at their time; a command that is set stays; new ones are drawn as before."""
    settings = {"commands.reversing_share": 0.5, "commands.reversing_time": 0.04, "commands.standing_share": 0.25}
    env = make_env(400, CLEAN, IN_THE_AIR, settings | {"commands.resampling_time": 0.1})
    reversing = env.commands.reversing.clone()
    assert reversing.float().mean().item() == pytest.approx(0.5, abs=0.08)
    assert not env.commands.standing[reversing].any()
    first = env.commands.command.clone()
    for sign in (1.0, -1.0, -1.0, 1.0):
        stand(env)
        assert torch.equal(env.commands.command[reversing], sign * first[reversing])
        assert torch.equal(env.commands.command[~reversing], first[~reversing])
    stand(env)
    assert (env.commands.command[reversing] != first[reversing]).any(-1).all(), "new ones are drawn at their time"
    assert not torch.equal(env.commands.reversing, reversing)
    wish, half = torch.tensor([[0.1, 0.2, 0.3]]).expand(400, 3), torch.arange(400) < 200
    env.commands.set(wish, half)
    assert not env.commands.reversing[half].any() and env.commands.reversing[~half].any()
    with pytest.raises(ConfigError, match=r"standing_share 0\.1, reversing_share 0\.8 and straight_share 0\.3"):
        CommandsCfg(reversing_share=0.8, straight_share=0.3).validate()


def test_nobody_is_thrown_round_from_full_speed() -> None:
    """The factor is on the linear velocities, and on those of the reversing commands alone."""
    commands = Commands(CommandsCfg(reversing_share=0.5, reversing_lin_vel=0.4), 5000, torch.tensor(1.0))
    commands.resample(torch.ones(5000, dtype=torch.bool))
    largest = commands.command.abs()[commands.reversing].amax(0)
    torch.testing.assert_close(largest, torch.tensor([0.4, 0.24, 1.0]), rtol=0.0, atol=0.01)
    assert commands.command.abs()[~commands.reversing].amax(0)[0] > 0.98


def test_a_share_of_the_gaits_is_the_nominal_one() -> None:
    """At any difficulty, all four parameters at once; others are drawn."""
    clock = GaitClock(GaitCfg(nominal_share=0.4), 5000, torch.tensor(1.0))
    clock.resample(torch.ones(5000, dtype=torch.bool))
    nominal = clock.params[:, [0, 3]] == torch.tensor([2.0, 0.1])
    assert torch.equal(nominal[:, 0], nominal[:, 1])
    assert nominal[:, 0].float().mean().item() == pytest.approx(0.4, abs=0.03)


def test_only_a_command_of_all_zeros_is_to_stand() -> None:
    commands = Commands(CommandsCfg(), 4, torch.tensor(1.0))
    one_each = torch.cat((torch.zeros(1, 3), 0.1 * torch.eye(3)))  # nothing; v_x; v_y; w_z
    commands.set(one_each, torch.ones(4, dtype=torch.bool))
    assert commands.standing.tolist() == [True, False, False, False]


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
