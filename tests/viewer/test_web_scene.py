"""The parts of the page that need no browser."""

import numpy as np
import pytest

from legged_gym.sim.mujoco.scene import Scene
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.viewer.readings import readings_html
from legged_gym.viewer.view import Readings

HANDLE = 0.06
"""Its top over the base's origin [m]."""
POSE = np.array([0.3, -0.2, 0.9, 0.0, 0.0, np.sin(0.4), np.cos(0.4), 0.1, 0.2, -0.3, 0.0, 0.1, 0.2])


def test_the_page_shows_the_robot_where_mujoco_draws_it() -> None:
    """All corners of the meshes, put where the bodies are, reach from the feet to the handle."""
    pytest.importorskip("trimesh")
    pytest.importorskip("viser")
    from legged_gym.viewer.web_scene import merged_meshes

    pf_tron1a = RobotModel.from_urdf(robot_urdf("PF_TRON1A", None))
    scene = Scene(pf_tron1a, None)
    positions, quats = scene.places(POSE)
    corners = []
    for body, mesh in merged_meshes(scene.shapes).items():
        w, x, y, z = quats[body]
        turn = np.array(
            [
                [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
                [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
                [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
            ]
        )
        corners.append(mesh.vertices @ turn.T + positions[body])
    seen = np.concatenate(corners)
    assert len(scene.shapes) > 50 and np.isfinite(seen).all()
    feet = [scene.model.body(name).id - 1 for name in pf_tron1a.foot_names]
    lowest = min(positions[foot][2] for foot in feet) - pf_tron1a.foot_radius
    assert seen[:, 2].min() == pytest.approx(lowest, abs=0.005), "it stands on its feet"
    assert seen[:, 2].max() == pytest.approx(POSE[2] + HANDLE, abs=0.002), "and ends with its handle"
    left, right = (positions[foot] - POSE[:3] for foot in feet)
    to_the_left = np.array([-np.sin(0.8), np.cos(0.8), 0.0])
    assert to_the_left @ left > to_the_left @ right


def test_bars_point_to_where_the_reward_goes() -> None:
    html = readings_html(Readings(rewards={"good": 2.0, "bad": -1.0}))
    good, bad = (part for part in html.split("<div") if "left:" in part and ("good" in part or "bad" in part))
    assert "left:50.0%;width:50.0%" in good and "left:25.0%;width:25.0%" in bad
    assert "+2.00" in good and "-1.00" in bad and "together +1.00" in html


def test_names_are_text_and_no_numbers_are_no_trouble() -> None:
    html = readings_html(Readings(rewards={"<script>alert(1)</script>": float("nan")}, clock=float("nan")))
    assert "<script>" not in html and "&lt;script&gt;" in html
