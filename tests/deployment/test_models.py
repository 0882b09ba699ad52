"""Model files of all kinds: what becomes of them, and what is said of those that cannot be used."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import mujoco
import numpy as np
import pytest

from legged_gym.deployment.engine import Physics
from legged_gym.deployment.judge import Setup, make_engine
from legged_gym.deployment.mujoco_scene import LANE_CELL, LANE_MARGIN, lane_height, lane_heights, write_scene
from legged_gym.deployment.networks import OnnxNetworks
from legged_gym.deployment.rollout import Job, walk
from legged_gym.utils.errors import UserError


@pytest.fixture
def scene(tmp_path: Path, urdf: Path) -> Path:
    """The scene of the robot's URDF as an MJCF."""
    path = tmp_path / "scene.xml"
    write_scene(urdf, Physics(), path)
    return path


def edited(scene: Path, *changes: tuple[str, str]) -> Path:
    text = scene.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    scene.write_text(text)
    return scene


def refused(path: Path, engine: str = "mujoco") -> str:
    with pytest.raises(UserError) as error:
        make_engine(Setup(path.parent, engine, path), Physics())
    assert "\n" not in str(error.value) and str(path) in str(error.value)
    return str(error.value)


def test_the_scene_has_the_makers_figures(scene: Path) -> None:
    model = mujoco.MjModel.from_xml_path(str(scene))
    joints = model.jnt_dofadr[model.jnt_type == mujoco.mjtJoint.mjJNT_HINGE]
    assert (model.opt.timestep, model.opt.cone) == (0.001, mujoco.mjtCone.mjCONE_PYRAMIDAL)
    assert model.opt.solver == mujoco.mjtSolver.mjSOL_NEWTON and len(joints) == model.nu == 6
    np.testing.assert_allclose(model.geom_friction[:, 0], 0.6)
    np.testing.assert_allclose(model.geom_solref, [[0.02, 1.0]] * model.ngeom)
    np.testing.assert_allclose(model.geom_margin, 0.001)
    np.testing.assert_allclose(model.geom_condim, 3)
    np.testing.assert_allclose(model.dof_armature[joints], 0.01)
    np.testing.assert_allclose(model.dof_damping[joints], 0.01)
    np.testing.assert_allclose(model.actuator_ctrlrange, [[-80.0, 80.0]] * 6)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    bodies = {model.body(model.geom_bodyid[geom]).name for geom in data.contact.geom.flatten()}
    assert "foot_L_Link" in bodies or not data.ncon


def test_the_written_scene_walks_like_the_urdf(scene: Path, urdf: Path, policy_folder: Path) -> None:
    networks, job = OnnxNetworks(policy_folder), Job(np.tile([0.4, 0.0, 0.0], (25, 1)), (0,), 2.0, noisy=False)
    runs = [walk(make_engine(Setup(policy_folder, "mujoco", path), Physics()), networks, job) for path in (scene, urdf)]
    np.testing.assert_allclose(runs[0]["position_w"], runs[1]["position_w"], atol=1e-3)


def test_an_mjcf_keeps_its_own_figures_unless_a_row_changes_them(scene: Path) -> None:
    path = edited(scene, ('timestep="0.001"', 'timestep="0.0005"'), ('friction="0.6"', 'friction="0.7"'))
    setup = Setup(path.parent, "mujoco", path)
    figures = make_engine(setup, Physics()).figures
    assert figures["timestep"] == 0.0005 and figures["friction"] == [0.7, 0.7]
    changes = {"friction": (0.8, 0.2), "armature": 0.03, "contact_time_constant": 0.002, "timestep": 0.002}
    figures = make_engine(setup, Physics(**changes, changed=tuple(changes))).figures  # type: ignore[arg-type]
    assert figures["timestep"] == 0.002 and figures["friction"] == [0.8, 0.2] and figures["armature"] == 0.03
    assert figures["contact_time_constant"] == 0.002 and figures["joint_damping"] == 0.01


def test_models_that_cannot_be_used(scene: Path, tmp_path: Path) -> None:
    whole = scene.read_text()
    assert "do not divide the control loop's 2 ms" in refused(edited(scene, ('timestep="0.001"', 'timestep="0.003"')))
    scene.write_text(whole)
    text = refused(edited(scene, ("knee_R_Joint", "kneecap")))
    assert "has no joint knee_R_Joint; its joints: " in text and "kneecap" in text
    lines = [line for line in whole.splitlines() if "<freejoint" not in line and 'type="free"' not in line]
    assert len(lines) == len(whole.splitlines()) - 1
    scene.write_text("\n".join(lines))
    assert "its base 'base_Link' is fixed, expected a free joint" in refused(scene)
    scene.write_text("\n".join(line for line in whole.splitlines() if 'type="plane"' not in line))
    assert "has no ground" in refused(scene)
    scene.write_text(whole[:300])
    assert "cannot be read" in refused(scene)
    scene.write_text("<sdf/>")
    assert "is neither a URDF nor an MJCF, its outermost element is <sdf>" in refused(scene)
    scene.write_text("<mujoco><worldbody><geom type='egg'/></worldbody></mujoco>")
    assert "MuJoCo cannot use it" in refused(scene)
    assert "cannot be read" in refused(tmp_path / "nothing.xml")


@pytest.mark.skipif(find_spec("pydrake") is None, reason="needs Drake")
def test_models_that_drake_cannot_use(scene: Path, urdf: Path, tmp_path: Path) -> None:
    assert "is no URDF, which is what --engine drake reads" in refused(scene, "drake")
    broken = tmp_path / "broken.urdf"
    broken.write_text(urdf.read_text().replace("hip_R_Joint", "hip"))
    assert "has no joint hip_R_Joint; its joints: " in refused(broken, "drake")


def test_the_heights_of_a_lane(make_lane_engine: Callable[[str], object]) -> None:
    heights = lane_heights("stairs_up_10")
    assert lane_height(heights, 0.0, 0.0) == 0.0 and lane_height(heights, 0.7, 0.0) == 0.0
    assert lane_height(heights, 0.9, 1.0) == pytest.approx(0.1) and lane_height(heights, 1.2, 0.0) == pytest.approx(0.2)
    assert heights[round(LANE_MARGIN / LANE_CELL), 0] == 0.0
    engine = make_lane_engine("stairs_up_10")
    hit = np.full(1, -1, np.int32)
    for x, height in ((0.4, 0.0), (0.9, 0.1), (1.2, 0.2)):  # what MuJoCo collides with is what is looked up
        args = np.array([x, 1.5, 5.0]), np.array([0.0, 0.0, -1.0]), None, 1, -1, hit
        distance = mujoco.mj_ray(engine._model, engine._data, *args)  # type: ignore[attr-defined]
        assert 5.0 - distance == pytest.approx(height, abs=1e-3)


@pytest.fixture
def make_lane_engine(urdf: Path) -> Callable[[str], object]:
    def make(lane: str) -> object:
        engine = make_engine(Setup(urdf.parent, "mujoco", urdf), Physics(lane=lane))
        engine.place()
        return engine

    return make
