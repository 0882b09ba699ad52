"""Hidden joint parameters of a simulated robot are found in its log; what a log does not tell is said."""

import os
from dataclasses import replace

import numpy as np
import pytest

from legged_gym.deployment import identification
from legged_gym.deployment.air_replay import AirReplay
from legged_gym.deployment.engine import Physics
from legged_gym.deployment.identification import Identification, air_stretches, hangs, identify, standard_errors
from legged_gym.deployment.joint_parameters import JointParameters
from legged_gym.deployment.leg_model import LegModel
from legged_gym.deployment.mujoco_engine import MujocoEngine
from legged_gym.deployment.recorder import Recorder
from legged_gym.deployment.robot_log import RobotLog
from legged_gym.utils.errors import UserError
from tests.deployment.conftest import HIDDEN, KICKING, URDF, log_policy, with_sensor_noise

NO_STOPS = np.tile([-10.0, 10.0], (6, 1))


def found_in(log: RobotLog) -> Identification:
    replay = AirReplay(URDF, log, os.cpu_count() or 1)
    return identify(replay, log, LegModel(URDF).feet(log).contact)


def test_on_the_hoist_all_are_found_in_spite_of_noise(hoist_log: RobotLog) -> None:
    found = found_in(with_sensor_noise(hoist_log))
    assert found.hanging and min(found.air_time) > 2.0, "where no knee is at its stop"
    for name, estimate in found.parameters.items():
        assert estimate.identified, name
        assert estimate.value == pytest.approx(HIDDEN[name], rel=0.10), name
        assert abs(estimate.value - HIDDEN[name]) < 4.0 * estimate.error + 1e-3 * HIDDEN[name], name
    assert found.rms_after[1] < 0.15 < 0.5 < found.rms_before[1], "down to the sensors' noise of 0.1 rad/s"
    assert found.joints().values() == pytest.approx(HIDDEN, rel=0.10)


def test_while_it_walks_too_between_stances() -> None:
    """The base swings, only legs in the air count, and 30 s of them do not tell everything."""
    found = found_in(with_sensor_noise(log_policy(30.0, lift=0.0, policy=KICKING)))
    assert not found.hanging and 5.0 < found.air_time[0] < 9.0
    known = {name: estimate.value for name, estimate in found.parameters.items() if estimate.identified}
    assert {"friction_abad", "friction_hip", "armature_hip", "armature_knee", "delay"} <= set(known)
    assert "friction_knee" not in known
    for name, value in known.items():
        assert value == pytest.approx(HIDDEN[name], rel=0.10), name


def test_what_a_fit_does_not_explain_is_not_known() -> None:
    """Under `pointfoot_flat` the legs hardly swing: the delay is off by three times the error that the fit states."""
    found = found_in(with_sensor_noise(log_policy(26.0, lift=0.0)))
    delay = found.parameters["delay"]
    assert delay.error < identification.RESOLUTION["delay"], "it looks known"
    assert abs(delay.value - HIDDEN["delay"]) > 2.0 * delay.error
    assert not any(estimate.identified for estimate in found.parameters.values())
    assert "of the difference to the log" in delay.why_not
    assert found.joints().values() == JointParameters().values()


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [(0.5, 0.1, 0.0), (0.1, 0.11, 0.0), (0.5, 0.5, 1.0), (np.hypot(0.1, 0.4), np.hypot(0.1, 0.2), 0.5)],
)
def test_the_noise_need_not_be_explained(before: float, after: float, left: float) -> None:
    assert identification._share_left(before, after, 0.1) == pytest.approx(left)


def test_a_robot_hangs_if_its_feet_are_free_or_its_base_is_at_rest(hoist_log: RobotLog, walk_log: RobotLog) -> None:
    never, often, always = (np.full((len(hoist_log.time), 2), share) for share in (False, False, True))
    often[: len(often) // 3] = True  # a stretched leg seems to stand
    noisy = with_sensor_noise(hoist_log)
    assert [hangs(noisy, contact) for contact in (never, often, always)] == [True, True, False]
    assert not hangs(replace(noisy, acceleration=None), often)
    walking = np.resize(often, (len(walk_log.time), 2))
    assert not hangs(walk_log, walking)


def test_joints_that_hardly_move_are_not_made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(identification, "MAX_ITERATIONS", 4)  # what is not known takes the search for a walk
    joints = JointParameters.from_values(HIDDEN)
    engine, recorder = MujocoEngine(URDF, Physics()), Recorder()
    engine.set_joints(joints)
    engine.place(0.3)
    draws, targets = np.random.default_rng(0), []
    for k in range(1100):
        if k % 25 == 0:
            knees = np.zeros(6)
            knees[[2, 5]] = draws.uniform(-0.5, 0.5, 2)
        targets.append(knees)
        recorder.add(engine, np.zeros(3), knees)
        engine.step(targets[max(k - 7, 0)])
    found = found_in(with_sensor_noise(recorder.log()))
    names = {name for name, estimate in found.parameters.items() if estimate.identified}
    assert {"friction_knee", "armature_knee", "delay"} <= names
    assert not {name for name in names if name.endswith("abad")}
    for name in names:
        assert found.parameters[name].value == pytest.approx(HIDDEN[name], rel=0.12, abs=0.05), name
    kept, default = found.joints().values(), JointParameters().values()
    assert kept["friction_abad"] == default["friction_abad"], "what is not known stays what it was"
    assert "the joint hardly moves in the air" in found.parameters["friction_abad"].why_not


def test_standard_errors_are_those_of_linear_regression() -> None:
    draws = np.random.default_rng(0)
    jacobian = draws.standard_normal((4000, 3)) * (1.0, 50.0, 0.0)
    noise = draws.standard_normal(4000)

    def blocks(rows: np.ndarray) -> list[np.ndarray]:
        return np.split(rows, 200)

    errors = standard_errors(jacobian, noise, blocks)
    # White noise counts twice: as what it is, and as the least that there is.
    assert errors[:2] == pytest.approx(np.sqrt(2.0 / 4000.0) / np.array([1.0, 50.0]), rel=0.15)
    assert errors[2] == np.inf, "nothing depends on it"
    slow = np.repeat(draws.standard_normal(200), 20)
    constant = np.ones((4000, 1))
    assert standard_errors(constant, slow, blocks)[0] == pytest.approx(np.sqrt(1.0 / 200.0), rel=0.15), "200, not 4000"
    twins = np.column_stack((jacobian[:, 0], 2.0 * jacobian[:, 0], jacobian[:, 1]))
    assert np.isinf(standard_errors(twins, noise, blocks)).tolist() == [True, True, False], "only their sum is known"


def test_what_is_no_air_time_is_said(hoist_log: RobotLog) -> None:
    standing = np.ones((len(hoist_log.time), 2), bool)
    with pytest.raises(UserError, match="too little time in the air"):
        air_stretches(hoist_log, standing, NO_STOPS)
    coarse = hoist_log.rows(slice(None, None, 10))
    with pytest.raises(UserError, match="rows are 20 ms apart"):
        air_stretches(coarse, standing[::10], NO_STOPS)


def test_stretches_keep_off_stops(hoist_log: RobotLog) -> None:
    """Where the right knee is at its stop, the right leg does not count, and the left one in pieces only."""
    free = np.zeros((len(hoist_log.time), 2), bool)
    assert {stretch.legs for stretch in air_stretches(hoist_log, free, NO_STOPS)[0]} == {(True, True)}
    stops = NO_STOPS.copy()
    stops[5, 1] = np.quantile(hoist_log.joint_pos[:, 5], 0.8)
    stretches, hanging = air_stretches(hoist_log, free, stops)
    assert hanging and {stretch.legs for stretch in stretches} == {(True, False), (False, True)}
    for stretch in stretches:
        if stretch.legs[1]:
            assert hoist_log.joint_pos[stretch.rows, 5].max() < stops[5, 1]


def test_stretches_keep_off_stances_and_gaps(hoist_log: RobotLog) -> None:
    rows = len(hoist_log.time)
    contact = np.ones((rows, 2), bool)
    contact[200:320, 1] = False
    contact[500:620, 0] = False
    stretches, hanging = air_stretches(hoist_log, contact, NO_STOPS)
    assert not hanging
    assert [(s.rows, s.legs) for s in stretches] == [
        (slice(510, 580), (True, False)),
        (slice(210, 280), (False, True)),
    ]
    gap = replace(hoist_log, time=hoist_log.time + 1.0 * (np.arange(rows) >= 560))
    contact[800:920] = False
    for stretch in air_stretches(gap, contact, NO_STOPS)[0]:
        assert not stretch.rows.start < 560 < stretch.rows.stop
