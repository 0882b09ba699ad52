"""What the camera of films and pictures sees."""

import math
from dataclasses import replace

import mujoco
import numpy as np
import pytest

from legged_gym.sim.mujoco.scene import Scene
from legged_gym.sim.mujoco.spec import CAMERA_NAME
from legged_gym.sim.robot_model import RobotModel, robot_urdf
from legged_gym.viewer.overlays import draw_overlays
from legged_gym.viewer.primitives import Arrow, Path
from tests.viewer.test_overlays import MOTION

WIDE = 16.0 / 9.0
"""Width of a film by its height."""


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene(RobotModel.from_urdf(robot_urdf("PF_TRON1A", None)), None)


@pytest.mark.parametrize("yaw", np.linspace(-math.pi, math.pi, 8, endpoint=False))
@pytest.mark.parametrize("w_z", [-1.0, 1.0])
def test_velocity_arrows_and_feet_are_in_the_film_wherever_the_robot_heads(
    scene: Scene, yaw: float, w_z: float
) -> None:
    base = np.array([0.3, -0.2, 0.93])
    pose = np.array([*base, 0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2), *np.zeros(6)])
    fast = np.array([1.0, 0.3, w_z])
    motion = replace(MOTION, base_pos_w=base, yaw=yaw, command=fast, velocity=fast)
    points = [scene.places(pose)[0]]
    for drawn in draw_overlays(motion)["velocity"]:
        assert isinstance(drawn, Arrow | Path)
        points.append(np.stack((drawn.start, drawn.end)) if isinstance(drawn, Arrow) else drawn.points)
    assert np.abs(in_picture(scene, pose, np.concatenate(points))).max() < 0.97


def in_picture(scene: Scene, pose: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Projects points (N, 3) onto the picture: right and up, -1 to 1 in it. Shape (N, 2)."""
    data = mujoco.MjData(scene.model)
    scene.show(data, pose)
    mujoco.mj_forward(scene.model, data)
    camera = scene.model.camera(CAMERA_NAME).id
    right, up, depth = ((points - data.cam_xpos[camera]) @ data.cam_xmat[camera].reshape(3, 3)).T
    half = math.tan(math.radians(float(scene.model.cam_fovy[camera])) / 2)
    assert (depth < 0.0).all(), "it looks along -z"
    return np.stack((right / WIDE, up), axis=-1) / (-depth * half)[:, None]
