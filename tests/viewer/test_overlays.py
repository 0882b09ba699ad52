"""Where the arrows, balls and lines are."""

import math
from dataclasses import replace

import numpy as np
import pytest

from legged_gym.viewer.overlays import (
    ACTUAL,
    CAPTURE_POINT,
    COMMAND,
    LAYERS,
    METRES_PER_NEWTON,
    METRES_PER_VELOCITY,
    PREDICTED,
    Motion,
    StepSketch,
    capture_point,
    draw_overlays,
    lip_path,
)
from legged_gym.viewer.primitives import Arrow, Ball, Path, moved

MOTION = Motion(
    base_pos_w=np.array([1.0, 2.0, 0.8]),
    yaw=math.pi / 2,
    command=np.array([0.5, 0.0, 0.0]),
    velocity=np.array([0.0, 0.3, -1.0]),
    com_w=np.array([1.0, 2.0, 0.7]),
    com_vel_w=np.array([0.4, -0.2, 0.1]),
    feet_w=np.array([[1.0, 2.1, 0.0], [1.0, 1.9, 0.0]]),
    feet_force_w=np.array([[0.0, 0.0, 200.0], [0.0, 0.0, 0.0]]),
    external_force_w=np.zeros((3, 3)),
    ground=0.1,
)
STEP = StepSketch(
    stance_w=np.array([1.0, 2.1, 0.03]),
    xi_end_w=np.array([1.1, 2.0, 0.0]),
    foothold_w=np.array([1.2, 1.9, 0.0]),
    without_offset_w=np.array([1.15, 1.9, 0.0]),
    omega=4.0,
    time_left=0.2,
    duration=0.25,
)


def test_every_layer_has_its_name() -> None:
    assert tuple(draw_overlays(MOTION)) == LAYERS


def test_velocities_are_turned_by_the_heading() -> None:
    drawn = draw_overlays(MOTION)["velocity"]
    arrows = {arrow.color: arrow.end - arrow.start for arrow in drawn if isinstance(arrow, Arrow)}
    np.testing.assert_allclose(arrows[COMMAND], [0.0, 0.5 * METRES_PER_VELOCITY, 0.0], atol=1e-9)
    np.testing.assert_allclose(arrows[ACTUAL], [-0.3 * METRES_PER_VELOCITY, 0.0, 0.0], atol=1e-9)
    (arc,) = (path for path in drawn if isinstance(path, Path))
    middle = MOTION.base_pos_w[:2]
    angles = [math.atan2(*(point[:2] - middle)[::-1]) for point in arc.points]
    assert angles[0] == pytest.approx(math.pi / 2) and angles[-1] == pytest.approx(math.pi / 2 - 1.0)


def test_the_capture_point_is_where_the_pendulum_comes_to_rest() -> None:
    """Of a linear inverted pendulum over its capture point, distance and speed fall together: c - xi = -c_dot/omega."""
    xi, omega = capture_point(MOTION), math.sqrt(9.81 / 0.6)
    np.testing.assert_allclose((xi - MOTION.com_w)[:2], MOTION.com_vel_w[:2] / omega)
    assert xi[2] == MOTION.ground
    balls = {ball.color: ball.center for ball in draw_overlays(replace(MOTION, step=STEP))["capture point"]}
    np.testing.assert_array_equal(balls[CAPTURE_POINT], xi)
    np.testing.assert_array_equal(balls[PREDICTED], STEP.xi_end_w)


def test_footholds_are_drawn_with_and_without_the_offset() -> None:
    assert draw_overlays(MOTION)["foothold"] == []
    drawn = draw_overlays(replace(MOTION, step=STEP))["foothold"]
    with_offset, without = (ball for ball in drawn if isinstance(ball, Ball))
    np.testing.assert_array_equal(with_offset.center, STEP.foothold_w)
    np.testing.assert_array_equal(without.center, STEP.without_offset_w)
    assert without.opacity < with_offset.opacity


def test_forces_and_kicks_are_arrows_and_nothing_is_none() -> None:
    drawn = draw_overlays(MOTION)
    (force,) = drawn["contact forces"]
    assert isinstance(force, Arrow)
    np.testing.assert_allclose(force.end - force.start, [0.0, 0.0, 200.0 * METRES_PER_NEWTON])
    assert drawn["pushes"] == []
    external = np.array([[100.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.0, -50.0, 0.0]])
    pushes = draw_overlays(replace(MOTION, external_force_w=external, kick_w=np.array([0.0, 1.0, 0.0])))["pushes"]
    ends = [push.end.tolist() for push in pushes if isinstance(push, Arrow)]
    base, right = MOTION.base_pos_w.tolist(), MOTION.feet_w[1].tolist()
    assert np.allclose(ends, [base, right, base]), "they end where they act"


def test_what_is_not_finite_is_left_out() -> None:
    broken = replace(MOTION, feet_force_w=np.full((2, 3), np.nan), command=np.array([np.inf, 0.0, 0.0]))
    drawn = draw_overlays(broken)
    assert drawn["contact forces"] == []
    assert COMMAND not in [primitive.color for primitive in drawn["velocity"]]


def test_the_path_of_the_com_obeys_the_pendulum() -> None:
    """c'' = omega^2 (c - p) over each pivot, by finite differences, from the present velocity on, without a jump."""
    samples, omega = 400, STEP.omega
    path = lip_path(MOTION, STEP, samples)
    assert path.shape == (2 * samples, 3)
    first, second = path[:samples], path[samples:]
    np.testing.assert_allclose(first[0], MOTION.com_w)
    np.testing.assert_allclose(first[-1], second[0], atol=1e-12)
    dt = STEP.time_left / (samples - 1)
    np.testing.assert_allclose((first[1] - first[0])[:2] / dt, MOTION.com_vel_w[:2], atol=0.01)
    for part, pivot, step in ((first, STEP.stance_w, dt), (second, STEP.foothold_w, STEP.duration / (samples - 1))):
        acceleration = (part[2:] - 2.0 * part[1:-1] + part[:-2])[:, :2] / step**2
        np.testing.assert_allclose(acceleration, omega**2 * (part[1:-1] - pivot)[:, :2], rtol=1e-3, atol=1e-4)
    before, after = (first[-1] - first[-2]) / dt, (second[1] - second[0]) / (STEP.duration / (samples - 1))
    np.testing.assert_allclose(before, after, atol=0.02)


def test_overlays_are_moved_whole() -> None:
    by, drawn = np.array([1.0, -2.0, 0.5]), draw_overlays(replace(MOTION, step=STEP))
    for primitive in (each for layer in drawn.values() for each in layer):
        other = moved(primitive, by)
        for name in ("start", "end", "center", "points"):
            if hasattr(primitive, name):
                np.testing.assert_allclose(getattr(other, name) - getattr(primitive, name) - by, 0.0, atol=1e-12)
        assert other.color == primitive.color
