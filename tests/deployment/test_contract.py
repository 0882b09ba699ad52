"""The controller against the contract, line by line; the networks are stand-ins that keep what they were shown."""

import numpy as np
import pytest

from legged_gym.deployment import contract
from legged_gym.deployment.contract import ACTION_SCALE, KD, KP, TORQUE_LIMIT, Controller, Sensors, swing_foot

COMMAND = np.array([0.5, -0.25, 2.0])


class Recorder:
    """Networks that keep their inputs and give a fixed action."""

    def __init__(self, action: np.ndarray | float = 0.0) -> None:
        self.action = np.broadcast_to(np.asarray(action, float), 6)
        self.histories: list[np.ndarray] = []
        self.inputs: list[np.ndarray] = []

    def encode(self, history: np.ndarray) -> np.ndarray:
        self.histories.append(history)
        return np.array([7.0, 8.0, 9.0])

    def act(self, inputs: np.ndarray) -> np.ndarray:
        self.inputs.append(inputs)
        return self.action

    def observation(self, step: int) -> np.ndarray:
        return self.inputs[step][3:33]


def sensors(joint_pos: np.ndarray | float = 0.0, joint_vel: np.ndarray | float = 0.0, rates: float = 0.0) -> Sensors:
    full = np.full(6, 0.0)
    return Sensors(np.full(3, rates), np.array([0.0, 0.0, -1.0]), full + joint_pos, full + joint_vel)


def steps(controller: Controller, count: int, measured: Sensors | None = None) -> None:
    """Lets policy steps pass."""
    for _ in range(10 * count):
        controller.control(measured or sensors(), COMMAND)


def test_the_policy_runs_in_every_tenth_pass() -> None:
    networks = Recorder()
    controller = Controller(networks)
    counts = []
    for _ in range(21):
        controller.control(sensors(), COMMAND)
        counts.append(len(networks.inputs))
    assert counts == [1] * 10 + [2] * 10 + [3]


def test_layout_and_scales_of_the_inputs() -> None:
    networks = Recorder(0.5)
    controller = Controller(networks)
    steps(controller, 1)
    measured = Sensors(np.array([4.0, 8.0, 12.0]), np.array([0.1, 0.2, -0.9]), np.arange(6) / 10, np.arange(6) * 20.0)
    controller.control(measured, COMMAND)
    inputs = networks.inputs[1]
    assert inputs.shape == (36,) and inputs.dtype == np.float32
    expected = [7, 8, 9, 1, 2, 3, 0.1, 0.2, -0.9, 0, 0.1, 0.2, 0.3, 0.4, 0.5, 0, 1, 2, 3, 4, 5, *[0.5] * 6]
    expected += [np.sin(0.08 * np.pi), np.cos(0.08 * np.pi), 2.0, 0.5, 0.5, 0.1, 1.0, -0.5, 0.5]
    np.testing.assert_allclose(inputs, expected, atol=1e-6)


def test_observations_and_actions_are_clipped() -> None:
    networks = Recorder(1e6)
    controller = Controller(networks)
    controller.control(sensors(rates=1e6), COMMAND)
    assert networks.observation(0).max() == 100.0
    assert np.all(controller.output == 100.0)


def test_the_history_is_oldest_first_and_begins_with_repetitions() -> None:
    networks = Recorder()
    controller = Controller(networks)
    for step in range(12):
        steps(controller, 1, sensors(rates=4.0 * step))
    shown = [history.reshape(10, 30)[:, 0].tolist() for history in networks.histories]
    assert shown[0] == [0.0] * 10
    assert shown[2] == [0.0] * 8 + [1.0, 2.0]
    assert shown[11] == [float(step) for step in range(2, 12)]


def test_the_clock_is_set_to_zero_and_not_wrapped() -> None:
    controller = Controller(Recorder(), frequency=2.4)
    clocks = []
    for _ in range(22):
        clocks.append(controller.clock)
        steps(controller, 1)
    np.testing.assert_allclose(clocks[:21], 0.048 * np.arange(21), atol=1e-12)
    assert clocks[21] == 0.0, "20 * 0.048 is 0.96; the next step is beyond 1"


def test_a_gait_row_changes_the_frequency_that_the_policy_sees() -> None:
    networks = Recorder()
    controller = Controller(networks, frequency=3.2)
    steps(controller, 2)
    np.testing.assert_allclose(networks.observation(1)[26:], [3.2, 0.5, 0.5, 0.1], atol=1e-6)
    np.testing.assert_allclose(networks.observation(1)[24], np.sin(2 * np.pi * 0.064), atol=1e-6)


@pytest.mark.parametrize("action", [-100.0, 100.0])
def test_the_clamp_keeps_the_torque_within_its_limit(action: float) -> None:
    controller = Controller(Recorder(action))
    position, velocity = np.linspace(-1, 1, 6), np.linspace(-15, 15, 6)
    target = controller.control(sensors(position, velocity), COMMAND)
    torque = KP * (target - position) - KD * velocity
    np.testing.assert_allclose(torque, np.sign(action) * TORQUE_LIMIT, atol=1e-9)


def test_a_clamped_action_stays_in_force_and_is_what_the_next_observation_shows() -> None:
    networks = Recorder(100.0)
    controller = Controller(networks)
    controller.control(sensors(joint_pos=-1.0), COMMAND)
    clamped = (TORQUE_LIMIT / KP - 1.0) / ACTION_SCALE
    for _ in range(9):
        target = controller.control(sensors(joint_pos=0.0), COMMAND)  # the clamp would allow more here
        np.testing.assert_allclose(target, ACTION_SCALE * clamped)
    controller.control(sensors(), COMMAND)
    np.testing.assert_allclose(networks.observation(1)[18:24], clamped, rtol=1e-6)
    np.testing.assert_allclose(controller.output, 100.0)


def test_the_clamp_reads_the_sensors_of_each_pass_without_noise() -> None:
    def wild(measured: Sensors) -> Sensors:
        return Sensors(measured.body_rates, measured.gravity, measured.joint_pos + 5.0, measured.joint_vel)

    networks = Recorder(100.0)
    controller = Controller(networks, noise=wild)
    first = controller.control(sensors(), COMMAND)
    later = controller.control(sensors(joint_vel=-10.0), COMMAND)
    np.testing.assert_allclose(first, TORQUE_LIMIT / KP)
    np.testing.assert_allclose(later, (TORQUE_LIMIT - 35.0) / KP)
    np.testing.assert_allclose(networks.observation(0)[6:12], 5.0)


def test_isaac_labs_joint_order_is_undone() -> None:
    networks = Recorder(np.arange(6) / 10)
    controller = Controller(networks, joint_order=contract.JOINT_ORDERS["isaaclab"])
    target = controller.control(sensors(joint_pos=np.arange(6) / 10, joint_vel=np.arange(6) * 2.0), COMMAND)
    # The policy's order is abad_L, abad_R, hip_L, hip_R, knee_L, knee_R.
    np.testing.assert_allclose(target, ACTION_SCALE * np.array([0.0, 0.2, 0.4, 0.1, 0.3, 0.5]))
    np.testing.assert_allclose(networks.observation(0)[6:12], [0.0, 0.3, 0.1, 0.4, 0.2, 0.5], atol=1e-6)
    np.testing.assert_allclose(networks.observation(0)[12:18], [0.0, 0.3, 0.1, 0.4, 0.2, 0.5], atol=1e-6)
    steps(controller, 1)
    np.testing.assert_allclose(networks.observation(1)[18:24], np.arange(6) / 10, atol=1e-6)


def test_standing_up_takes_one_second(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contract, "DEFAULT_ANGLES", np.ones(6))
    heights = [Controller.stand_up(elapsed)[0] for elapsed in (0.0, 0.25, 1.0, 3.0)]
    assert heights == [0.0, 0.25, 1.0, 1.0]


def test_the_right_foot_swings_in_the_first_half() -> None:
    assert [swing_foot(clock) for clock in (0.0, 0.49, 0.5, 1.0)] == [1, 1, 0, 0]
