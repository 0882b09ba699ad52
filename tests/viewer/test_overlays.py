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
    com_path_w=np.array([[1.0, 2.0, 0.7], [1.1, 2.0, 0.7], [1.2, 2.0, 0.7]]),
    dcm_path_w=np.array([[1.1, 1.9, 0.1], [1.2, 1.9, 0.1], [1.3, 1.9, 0.1]]),
    later_footholds_w=np.array([[1.4, 2.1, 0.1], [1.6, 1.9, 0.1]]),
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
    with_offset, without, *later = (ball for ball in drawn if isinstance(ball, Ball))
    np.testing.assert_array_equal(with_offset.center, STEP.foothold_w)
    np.testing.assert_array_equal(without.center, STEP.without_offset_w)
    assert without.opacity < with_offset.opacity
    np.testing.assert_array_equal([ball.center for ball in later], STEP.later_footholds_w)
    assert all(ball.radius < with_offset.radius for ball in later)


def test_the_planned_path_is_drawn_as_it_is() -> None:
    assert draw_overlays(MOTION)["planned path"] == []
    com, dcm = draw_overlays(replace(MOTION, step=STEP))["planned path"]
    assert isinstance(com, Path) and isinstance(dcm, Path) and com.color != dcm.color
    np.testing.assert_array_equal(com.points, STEP.com_path_w)
    np.testing.assert_array_equal(dcm.points, STEP.dcm_path_w)


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


def test_overlays_are_moved_whole() -> None:
    by, drawn = np.array([1.0, -2.0, 0.5]), draw_overlays(replace(MOTION, step=STEP))
    for primitive in (each for layer in drawn.values() for each in layer):
        other = moved(primitive, by)
        for name in ("start", "end", "center", "points"):
            if hasattr(primitive, name):
                np.testing.assert_allclose(getattr(other, name) - getattr(primitive, name) - by, 0.0, atol=1e-12)
        assert other.color == primitive.color
