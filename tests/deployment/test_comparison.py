"""What a log says about feet and travel, and the same commands in the simulator."""

from dataclasses import replace

import numpy as np
import pytest

from legged_gym.deployment.air_replay import AirReplay
from legged_gym.deployment.comparison import (
    cycle_mean,
    feet_of,
    joint_errors,
    replay_commands,
    replay_joints,
    summarize,
    table,
    unit,
)
from legged_gym.deployment.joint_parameters import JointParameters
from legged_gym.deployment.leg_model import Feet, LegModel, runs_of
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.deployment.robot_log import RobotLog
from legged_gym.utils.errors import UserError
from tests.deployment.conftest import HIDDEN, POLICY, URDF, with_sensor_noise

TRUE_JOINTS = JointParameters.from_values(HIDDEN)


def test_torques_tell_when_feet_stand_and_feet_how_fast_it_goes(walk_log: RobotLog) -> None:
    assert walk_log.contact is not None and walk_log.velocity is not None
    log = with_sensor_noise(walk_log)
    feet = LegModel(URDF, TRUE_JOINTS).feet(log)
    settled = slice(250, None)
    assert (feet.contact == walk_log.contact)[settled].mean() > 0.95
    weight = feet.force[settled].sum(axis=1).mean()
    assert weight == pytest.approx(18.59 * 9.81, rel=0.05), "over some steps the ground carries the robot"
    actual = np.nanmean(feet.velocity[settled], axis=0)
    assert actual == pytest.approx(walk_log.velocity[settled].mean(axis=0), abs=0.05)
    sways = feet.velocity[settled] - walk_log.velocity[settled]
    assert np.sqrt(np.nanmean(sways**2)) < 0.15 < 0.2 < np.abs(walk_log.velocity).max()


def test_the_same_robot_with_the_same_commands_walks_the_same(walk_log: RobotLog) -> None:
    log, networks = walk_log.rows(slice(0, 800)), OnnxNetworks(POLICY)
    again = replay_commands(log, networks, URDF, TRUE_JOINTS, seed=0)
    np.testing.assert_allclose(again.joint_pos[:800], log.joint_pos, atol=1e-9)
    np.testing.assert_allclose(again.target[:800], log.target, atol=1e-9)
    other = replay_commands(log, networks, URDF, JointParameters(), seed=0)
    assert np.abs(other.joint_pos[: len(log.time)] - log.joint_pos).max() > 0.01
    with pytest.raises(UserError, match="has no commands"):
        replay_commands(replace(log, command=None), networks, URDF, TRUE_JOINTS)


def test_legs_in_the_air_follow_if_the_joints_are_right(hoist_log: RobotLog) -> None:
    contact = np.zeros((len(hoist_log.time), 2), bool)
    replay = AirReplay(URDF, hoist_log, 1)
    right = joint_errors(hoist_log, replay_joints(replay, hoist_log, contact, TRUE_JOINTS))
    wrong = joint_errors(hoist_log, replay_joints(replay, hoist_log, contact, JointParameters()))
    assert len(right) == 6
    for name, error in right.items():
        assert error is not None and error < 2e-4 < 0.01 < (wrong[name] or 0.0), name
    weak = AirReplay(URDF, hoist_log, 1, kp=30.0)
    soft = joint_errors(hoist_log, replay_joints(weak, hoist_log, contact, TRUE_JOINTS))
    assert all((error or 0.0) > 0.01 for error in soft.values()), "--kp counts"


def made_up(rows: int = 1000) -> tuple[RobotLog, Feet]:
    """Two seconds: the left foot stands for 0.3 s of each 0.5 s, the right one the same, 0.2 s later."""
    time = 0.002 * np.arange(rows)
    contact = np.stack([((time - late) % 0.5) < 0.3 - 1e-9 for late in (0.1, 0.3)], axis=-1)
    zeros, upright = np.zeros((rows, 6)), np.tile([1.0, 0.0, 0.0, 0.0], (rows, 1))
    command = np.tile([0.4, 0.0, 0.2], (rows, 1))
    log = RobotLog(time, zeros, zeros, zeros + 0.1, zeros + 3.0, upright, np.tile([0.0, 0.0, 0.5], (rows, 1)), command)
    velocity = np.tile([0.3, 0.1], (rows, 1))
    velocity[::3] = np.nan
    return log, Feet(np.full((rows, 2), 90.0), contact, velocity)


def test_the_summary_of_a_made_up_walk() -> None:
    summary = summarize(*made_up())
    wanted = {"follow_knee_R": 0.1, "torque_rms": 3.0, "step_rate": 4.0, "stance_L": 0.3, "swing_R": 0.2}
    wanted |= {"right_after_left": 0.4, "both_stand": 0.2, "none_stands": 0.0}
    wanted |= {"vx_mean": 0.3, "vx_asked": 0.4, "vx_rmse": 0.1, "vy_rmse": 0.1, "wz_mean": 0.5, "wz_rmse": 0.3}
    for name, value in wanted.items():
        assert summary[name] == pytest.approx(value, abs=0.011), name


def test_the_yaw_rate_is_about_the_vertical() -> None:
    log, feet = made_up()
    pitch = np.pi / 3.0
    tilted = replace(log, quat=np.tile([np.cos(pitch / 2), 0.0, np.sin(pitch / 2), 0.0], (len(log.time), 1)))
    assert summarize(tilted, feet)["wz_mean"] == pytest.approx(0.5 * np.cos(pitch))


def test_what_a_log_does_not_say_is_a_dash() -> None:
    log, feet = made_up()
    blind = Feet(feet.force, np.zeros_like(feet.contact), np.full_like(feet.velocity, np.nan))
    summary = summarize(replace(log, command=None), blind)
    assert summary["stance_L"] is None and summary["vx_mean"] is None and summary["right_after_left"] is None
    assert "vx_rmse" not in summary
    lines = table(summary, summarize(log, feet))
    (line,) = [line for line in lines if line.startswith("stance_L")]
    assert line.split() == ["stance_L", "-", "0.300", "-", "s"]
    assert unit("wz_rmse") == "rad/s" and unit("follow_hip_L") == "rad" and unit("both_stand") == ""


def test_averages_of_what_is_known() -> None:
    values = np.full(1000, 2.0)
    values[:400] = np.nan
    mean = cycle_mean(values, 0.002)
    assert np.isnan(mean[:200]).all() and mean[600:] == pytest.approx(2.0)
    assert runs_of(np.array([True, True, False, True]), True) == [(0, 2), (3, 4)]


def test_a_log_of_policy_steps_takes_the_simulators_word(walk_log: RobotLog) -> None:
    coarse = walk_log.rows(slice(None, None, 10))
    feet = feet_of(coarse, URDF)
    assert coarse.contact is not None and (feet.contact == (coarse.contact > 0.5)).all()
    with pytest.raises(UserError, match="too coarse to find contacts from torques"):
        feet_of(replace(coarse, contact=None), URDF)
