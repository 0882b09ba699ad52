"""The pendulum of benchmarks/track_limit.py obeys its equation, and is steered as well as can be."""

import numpy as np
import pytest

from benchmarks import track_limit as limit

OMEGA, STEP, HOLD = 3.7, 0.25, 5.0


def test_a_step_falls_as_a_pendulum_does() -> None:
    x, v, dt = 0.05, 0.4, 1e-5
    rows, end = limit.step_maps(OMEGA, STEP)
    seen = []
    for k in range(round(STEP / dt)):
        if k % round(STEP / dt / limit.SAMPLES) == round(STEP / dt / limit.SAMPLES) // 2:
            seen.append(v)
        v += OMEGA**2 * x * dt
        x += v * dt
    assert rows @ (0.05, 0.4) == pytest.approx(seen, abs=1e-3)
    assert end @ (0.05, 0.4) == pytest.approx([x, v], abs=1e-3)


def test_the_steady_gait_walks_at_its_speed_and_repeats() -> None:
    start = limit.steady_start(OMEGA, STEP, 0.6)
    rows, end = limit.step_maps(OMEGA, STEP)
    assert np.mean(rows @ start) == pytest.approx(0.6, rel=1e-3)
    assert end @ start == pytest.approx([-start[0], start[1]]), "the foot is passed, and the speed the same"


def test_no_other_footholds_follow_a_command_better() -> None:
    """The one that reaches the new speed at the second touchdown, deadbeat, is worse; staying is the worst."""
    best = limit.best_error(OMEGA, STEP, 0.0, 1.0, 0.0, HOLD)
    rows, end = limit.step_maps(OMEGA, STEP)
    goal = limit.steady_start(OMEGA, STEP, 1.0)
    states = [np.zeros(2)]
    states.append(np.array([(goal[1] - end[1, 1] * states[0][1]) / end[1, 0], states[0][1]]))  # ends with the goal's v
    states += [goal] * (round(HOLD / STEP) - 2)
    deadbeat = np.mean([np.mean((rows @ state - 1.0) ** 2) for state in states])
    assert 0.02 < best < deadbeat < 1.0
    assert limit.best_error(OMEGA, STEP, 1.0, 1.0, 0.0, HOLD) <= np.mean((rows @ goal - 1.0) ** 2) + 1e-12


def test_later_in_the_step_a_command_waits_less() -> None:
    errors = [limit.best_error(OMEGA, STEP, 0.0, 1.0, phase, HOLD) for phase in (0.0, 0.5, 0.9)]
    assert errors[0] > errors[1] > errors[2]


def test_in_place_the_body_sways_from_foot_to_foot() -> None:
    rows, end = limit.step_maps(OMEGA, STEP)
    x = 0.5 * limit.FEET_APART
    v = -x * OMEGA * np.tanh(0.5 * OMEGA * STEP)
    assert end @ (x, v) == pytest.approx([x, -v]), "it comes back to where it was, with the opposite speed"
    assert limit.sway(OMEGA, STEP) == pytest.approx(np.mean((rows @ (x, v)) ** 2))
