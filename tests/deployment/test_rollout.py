"""One robot through one row: what happens when. The engine is a stand-in that writes down what is done to it."""

import math

import numpy as np
import pytest

from legged_gym.deployment.contract import Sensors
from legged_gym.deployment.engine import State, Tally
from legged_gym.deployment.rollout import NOISE, Job, SensorNoise, walk

STOOD_UP = 500
"""Passes of the control loop before the policy begins."""


class Puppet:
    """An engine without physics: the robot stands where it is told to."""

    title, figures = "puppet", {}

    def __init__(self, tilt: float = 0.0, yaw: float = 0.0, breaks: bool = False) -> None:
        self.tally, self.breaks = Tally(), breaks
        self.targets: list[np.ndarray] = []
        self.log: list[tuple[int, str, tuple[float, ...], str]] = []
        c, s = math.cos(tilt), math.sin(tilt)
        turn = np.array([[math.cos(yaw), -math.sin(yaw), 0], [math.sin(yaw), math.cos(yaw), 0], [0, 0, 1]])
        self.rot = turn @ np.array([[1, 0, 0], [0, c, -s], [0, s, c]])

    def place(self, lift: float = 0.0) -> None:
        self.log.append((self.step_number, "place", (), ""))

    def release(self) -> None:
        self.log.append((self.step_number, "release", (), ""))

    @property
    def step_number(self) -> int:
        """Policy steps since the robot was let go."""
        return (len(self.targets) - STOOD_UP) // 10

    def step(self, target: np.ndarray) -> None:
        self.targets.append(target)

    def sensors(self) -> Sensors:
        return Sensors(np.zeros(3), -self.rot[2], np.zeros(6), np.zeros(6))

    def state(self) -> State:
        x = math.nan if self.breaks and self.step_number >= 3 else 0.0
        velocity = np.array([0.0, 1.0, 0.0])
        feet = np.ones((2, 3))
        return State(
            np.array([x, 0.0, 0.8]), self.rot, velocity, np.array([0, 0, 0.5]), *np.zeros((3, 6)), feet, feet, 0.1
        )

    def kick(self, velocity: np.ndarray) -> None:
        self.log.append((self.step_number, "kick", tuple(velocity), ""))

    def push(self, force: np.ndarray | None, where: str = "base") -> None:
        self.log.append((self.step_number, "push", () if force is None else tuple(np.round(force, 9)), where))

    def close(self) -> None:
        pass


class Counter:
    """A policy whose n-th action is n / 100 for all joints; keeps the commands it saw."""

    def __init__(self) -> None:
        self.commands: list[np.ndarray] = []

    def encode(self, history: np.ndarray) -> np.ndarray:
        return np.zeros(3)

    def act(self, inputs: np.ndarray) -> np.ndarray:
        self.commands.append(inputs[33:])
        return np.full(6, len(self.commands) / 100)


def job(steps: int = 20, **changes: object) -> Job:
    commands = np.tile([0.4, 0.0, 0.0], (steps, 1))
    return Job(commands, (0,), 2.0, noisy=False, **changes)  # type: ignore[arg-type]


def events(puppet: Puppet, name: str) -> list[tuple[int, tuple[float, ...], str]]:
    return [(step, values, where) for step, event, values, where in puppet.log if event == name and values]


def test_the_robot_hangs_for_a_second_and_is_let_go() -> None:
    puppet = Puppet()
    series = walk(puppet, Counter(), job())
    assert puppet.log[:2] == [(-50, "place", (), ""), (0, "release", (), "")]
    assert len(puppet.targets) == STOOD_UP + 200 and len(series["fell"]) == 20
    assert np.all(np.array(puppet.targets[:STOOD_UP]) == 0.0)


@pytest.mark.parametrize(("delay", "passes"), [(0.0, 0), (0.01, 5), (0.02, 10)])
def test_targets_take_effect_late(delay: float, passes: int) -> None:
    puppet = Puppet()
    walk(puppet, Counter(), job(delay=delay))
    targets = np.array(puppet.targets)[STOOD_UP:, 0]
    np.testing.assert_allclose(targets[:passes], 0.0)
    np.testing.assert_allclose(targets[passes : passes + 11], 0.25 * np.array([0.01] * 10 + [0.02]))


def test_a_kick_comes_once_at_its_step() -> None:
    puppet = Puppet()
    walk(puppet, Counter(), job(start=7, stop=8, kick=(1.0, 2.0, 0.0)))
    assert events(puppet, "kick") == [(7, (1.0, 2.0, 0.0), "")]
    assert not events(puppet, "push")


@pytest.mark.parametrize(("at_lid", "where"), [(False, "base"), (True, "lid")])
def test_a_shove_lasts_from_start_until_before_stop(at_lid: bool, where: str) -> None:
    puppet = Puppet()
    walk(puppet, Counter(), job(start=3, stop=6, force=(90.0, 0.0, 0.0), at_lid=at_lid))
    assert events(puppet, "push") == [(step, (90.0, 0.0, 0.0), where) for step in (3, 4, 5)]
    assert (6, "push", (), "base") in puppet.log


@pytest.mark.parametrize(("start", "foot"), [(5, "foot_1"), (14, "foot_0")])
def test_a_trip_holds_the_foot_that_swings_at_its_start_back(start: int, foot: str) -> None:
    puppet = Puppet(yaw=math.pi / 2)
    walk(puppet, Counter(), job(start=start, stop=start + 5, trip=100.0))
    assert events(puppet, "push") == [(start + k, (0.0, -100.0, 0.0), foot) for k in range(5)]


def test_a_robot_may_lie_on_its_side_for_half_a_second() -> None:
    assert len(walk(Puppet(tilt=1.4), Counter(), job(40))["fell"]) == 40
    series = walk(Puppet(tilt=1.5), Counter(), job(40))
    assert len(series["fell"]) == 25 and series["fell"][-1] and not series["fell"][:-1].any()
    np.testing.assert_allclose(series["tilt"], 1.5)


def test_numbers_that_are_none_are_a_fall() -> None:
    series = walk(Puppet(breaks=True), Counter(), job())
    assert len(series["fell"]) == 3 and series["fell"][-1]


def test_what_is_written_down() -> None:
    series = walk(Puppet(yaw=math.pi / 2), Counter(), job())
    np.testing.assert_allclose(series["velocity_y"], np.tile([1.0, 0.0, 0.5], (20, 1)), atol=1e-9)
    np.testing.assert_allclose(series["base_height"], 0.7)
    np.testing.assert_allclose(series["height_share"], 1.0)
    np.testing.assert_allclose(series["foot_speed"], math.sqrt(2.0))
    np.testing.assert_allclose(series["action"][:, 0], np.arange(1, 21) / 100)
    np.testing.assert_allclose(series["yaw"], math.pi / 2)


def test_a_robot_on_a_lane_is_steered_straight() -> None:
    policy = Counter()
    walk(Puppet(yaw=0.2), policy, job(steered=True))
    np.testing.assert_allclose(policy.commands[3], [0.8, 0.0, -0.05], atol=1e-6)


def test_noise_is_seeded_within_its_bounds_and_new_each_time() -> None:
    exact = Sensors(np.zeros(3), np.zeros(3), np.zeros(6), np.zeros(6))
    noise, same, other = SensorNoise((1, 2)), SensorNoise((1, 2)), SensorNoise((1, 3))
    draws = [noise(exact) for _ in range(200)]
    for name, width in NOISE.items():
        values = np.array([getattr(draw, name) for draw in draws])
        assert 0.95 * width < np.abs(values).max() <= width and len(np.unique(values)) == values.size
        assert abs(values.mean()) < 0.1 * width
    np.testing.assert_array_equal(same(exact).joint_vel, draws[0].joint_vel)
    assert not np.array_equal(other(exact).joint_vel, draws[0].joint_vel)
