"""The robots' numbers: robot.yaml against robot.urdf, `RobotModel` and the compiled MuJoCo model."""

import functools
import runpy
import struct
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
import yaml  # type: ignore[import-untyped]

from legged_gym.sim import robot_files
from legged_gym.sim.mujoco.spec import COLLISION_GROUP, build_spec, compile_spec
from legged_gym.sim.robot_model import (
    BODY_NAMES,
    DEFAULT_ROBOT_TYPE,
    FOOT_NAMES,
    JOINT_ORDER,
    RobotModel,
    robot_types,
    robot_urdf,
    robots_dir,
)
from legged_gym.utils.errors import UserError

ROBOTS = ("PF_P441A", "PF_P441B", "PF_P441C", "PF_P441C2", "PF_TRON1A")
GEOM_SHAPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "cylinder": mujoco.mjtGeom.mjGEOM_CAPSULE,  # of the same length, as in Isaac Gym
}


@functools.cache
def published(robot_type: str) -> dict[str, Any]:
    return yaml.safe_load((robots_dir() / robot_type / "robot.yaml").read_text())


@functools.cache
def robot(robot_type: str) -> RobotModel:
    return RobotModel.from_urdf(robot_urdf(robot_type))


@functools.cache
def compiled(robot_type: str) -> mujoco.MjModel:
    return build_spec(robot(robot_type)).compile()


def fixed_parts(numbers: dict[str, Any], link: str) -> list[tuple[float, np.ndarray, np.ndarray]]:
    """Mass, CoM and inertia tensor of a link and of all that is fixed to it, feet excepted (no frame is turned)."""
    data = numbers["links"][link]
    i = data["inertia"]
    tensor = [[i["ixx"], i["ixy"], i["ixz"]], [i["ixy"], i["iyy"], i["iyz"]], [i["ixz"], i["iyz"], i["izz"]]]
    parts = [(data["mass"], np.array(data["com_xyz"]), np.array(tensor))]
    for joint in numbers["joints"].values():
        if joint["parent"] == link and joint["type"] == "fixed" and joint["child"] not in FOOT_NAMES:
            parts += [(m, com + joint["xyz"], t) for m, com, t in fixed_parts(numbers, joint["child"])]
    return parts


def merged(numbers: dict[str, Any], link: str) -> tuple[float, np.ndarray, np.ndarray]:
    """The same merged by the parallel axis theorem: mass, CoM and inertia tensor about it."""
    parts = fixed_parts(numbers, link)
    mass = sum(m for m, _, _ in parts)
    com = sum((m * c for m, c, _ in parts), np.zeros(3)) / mass
    tensor = sum(
        (t + m * (np.dot(c - com, c - com) * np.eye(3) - np.outer(c - com, c - com)) for m, c, t in parts),
        np.zeros((3, 3)),
    )
    return mass, com, tensor


def rotation(quat_wxyz: np.ndarray) -> np.ndarray:
    matrix = np.zeros(9)
    mujoco.mju_quat2Mat(matrix, quat_wxyz)
    return matrix.reshape(3, 3)


def euler(rpy: list[float]) -> np.ndarray:
    """Rotation by fixed-axis roll, pitch, yaw."""
    quat = np.zeros(4)
    mujoco.mju_euler2Quat(quat, np.asarray(rpy), "XYZ")
    return rotation(quat)


def test_all_robots_are_known() -> None:
    assert robot_types() == sorted(ROBOTS)


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_urdf_is_what_the_generator_writes(robot_type: str) -> None:
    urdf_text = runpy.run_path(str(robots_dir() / "generate_urdf.py"))["urdf_text"]
    assert robot_urdf(robot_type).read_text() == urdf_text(published(robot_type))


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_compiled_bodies_have_the_published_masses(robot_type: str) -> None:
    numbers, model = published(robot_type), compiled(robot_type)
    assert [model.body(i).name for i in range(model.nbody)] == ["world", *BODY_NAMES]
    for name in BODY_NAMES:
        body = model.body(name)
        mass, com, tensor = merged(numbers, name)
        turn = rotation(body.iquat)
        assert body.mass == pytest.approx(mass, rel=1e-12)
        np.testing.assert_allclose(body.ipos, com, atol=1e-12)
        np.testing.assert_allclose(turn @ np.diag(body.inertia) @ turn.T, tensor, atol=1e-9)
    assert mujoco.mj_getTotalmass(model) == pytest.approx(
        sum(link["mass"] for link in numbers["links"].values()), rel=1e-12
    )
    assert mujoco.mj_getTotalmass(model) == pytest.approx(numbers["total_mass"], abs=5e-4)


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_compiled_joints_are_the_published_ones(robot_type: str) -> None:
    numbers, model = published(robot_type), compiled(robot_type)
    assert model.joint(0).type == mujoco.mjtJoint.mjJNT_FREE
    assert tuple(model.joint(i).name for i in range(1, model.njnt)) == JOINT_ORDER
    for i, name in enumerate(JOINT_ORDER):
        joint, expected = model.joint(name), numbers["joints"][name]
        actuator = model.actuator(i)
        np.testing.assert_array_equal(joint.axis, expected["axis"])
        np.testing.assert_array_equal(joint.pos, np.zeros(3))
        assert joint.limited == 1
        np.testing.assert_array_equal(joint.range, [expected["limit"]["lower"], expected["limit"]["upper"]])
        np.testing.assert_array_equal(model.body(expected["child"]).pos, expected["xyz"])
        np.testing.assert_array_equal(model.body(expected["child"]).quat, [1, 0, 0, 0])
        assert model.body_parentid[model.body(expected["child"]).id] == model.body(expected["parent"]).id
        assert actuator.name == name and actuator.trnid[0] == joint.id
        assert not model.actuator_forcelimited[i] and not model.jnt_actfrclimited[joint.id], "who steps it limits them"
    for side in "LR":
        np.testing.assert_array_equal(
            model.body(f"foot_{side}_Link").pos, numbers["joints"][f"foot_{side}_Joint"]["xyz"]
        )


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_compiled_collision_shapes_are_the_published_ones(robot_type: str) -> None:
    numbers, model = published(robot_type), compiled(robot_type)
    solid = [i for i in range(model.ngeom) if model.geom_contype[i] or model.geom_conaffinity[i]]
    shapes = {name: link["collision"] for name, link in numbers["links"].items() if "collision" in link}
    assert len(solid) == 1 + sum(len(listed) for listed in shapes.values())  # and the ground
    for name, (shape,) in shapes.items():
        (i,) = (i for i in solid if model.geom_bodyid[i] == model.body(name).id)
        size = {
            "box": [edge / 2 for edge in shape.get("size", [])],
            "sphere": [shape.get("radius"), 0.0, 0.0],
            "cylinder": [shape.get("radius"), shape.get("length", 0.0) / 2, 0.0],
        }[shape["shape"]]
        assert model.geom_type[i] == GEOM_SHAPES[shape["shape"]]
        assert model.geom_group[i] == COLLISION_GROUP
        np.testing.assert_allclose(model.geom_size[i], size, atol=1e-12)
        np.testing.assert_allclose(model.geom_pos[i], shape["xyz"], atol=1e-12)
        np.testing.assert_allclose(rotation(model.geom_quat[i]), euler(shape["rpy"]), atol=1e-12)


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_robot_model_has_the_published_numbers(robot_type: str) -> None:
    numbers, read = published(robot_type), robot(robot_type)
    joints = [numbers["joints"][name] for name in JOINT_ORDER]
    assert (read.name, read.joint_names, read.body_names, read.foot_names) == (
        robot_type,
        JOINT_ORDER,
        BODY_NAMES,
        FOOT_NAMES,
    )
    np.testing.assert_array_equal(read.joint_limits, [[j["limit"]["lower"], j["limit"]["upper"]] for j in joints])
    np.testing.assert_array_equal(read.torque_limits, [j["limit"]["effort"] for j in joints])
    np.testing.assert_array_equal(read.velocity_limits, [j["limit"]["velocity"] for j in joints])
    np.testing.assert_array_equal(read.corner_speeds, [numbers["motor"]["corner_speed"]] * 6)
    np.testing.assert_array_equal(read.no_load_speeds, [numbers["motor"]["no_load_speed"]] * 6)
    np.testing.assert_array_equal(read.joint_axes, [j["axis"] for j in joints])
    assert read.total_mass == pytest.approx(numbers["total_mass"], abs=5e-4)
    base_mass, base_com, _ = merged(numbers, "base_Link")
    assert read.base_mass == pytest.approx(base_mass, rel=1e-12)
    np.testing.assert_allclose(read.base_com, base_com, atol=1e-12)
    (box,) = numbers["links"]["base_Link"]["collision"]
    assert read.lid_height == pytest.approx(box["xyz"][2] + box["size"][2] / 2 - base_com[2], abs=1e-12)
    for i, side in enumerate("LR"):
        offsets = [read.abad_pos_b[i], read.hip_pos[i], read.thigh[i], read.shank[i]]
        for j, part in enumerate(("abad", "hip", "knee", "foot")):
            mass, com, _ = merged(numbers, f"{part}_{side}_Link")
            np.testing.assert_array_equal(offsets[j], numbers["joints"][f"{part}_{side}_Joint"]["xyz"])
            assert read.link_masses[i, j] == pytest.approx(mass, rel=1e-12)
            np.testing.assert_allclose(read.link_coms[i, j], com, atol=1e-12)
        assert read.foot_radius == numbers["links"][f"foot_{side}_Link"]["collision"][0]["radius"]


@pytest.mark.parametrize("robot_type", ROBOTS)
def test_zero_pose_stands_on_the_ground(robot_type: str) -> None:
    model = compiled(robot_type)
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    lowest = min(data.body(name).xpos[2] for name in FOOT_NAMES)
    assert lowest == pytest.approx(robot(robot_type).foot_radius, abs=1e-12)


def test_fixed_links_are_merged_with_their_turn(tmp_path: Path) -> None:
    text = robot_urdf(DEFAULT_ROBOT_TYPE).read_text()
    imu = '<joint name="limx_imu_joint" type="fixed">\n    <origin xyz="0.0 0.0 0.0" rpy="0.0 0.0 0.0" />'
    assert imu in text
    text = text.replace(imu, imu.replace('xyz="0.0 0.0 0.0" rpy="0.0 0.0 0.0"', 'xyz="0.1 0.2 0.3" rpy="0.4 -0.5 0.6"'))
    text = text.replace('<mass value="0.01" />', '<mass value="2.0" />')
    com = '<link name="limx_imu">\n    <inertial>\n      <origin xyz="0.0 0.0 0.0"'
    assert com in text
    path = tmp_path / "own.urdf"
    path.write_text(text.replace(com, com.replace("0.0 0.0 0.0", "0.1 0.0 -0.2")))
    read = RobotModel.from_urdf(path)
    body = build_spec(read).compile().body("base_Link")
    assert read.base_mass == pytest.approx(body.mass[0], rel=1e-12)
    np.testing.assert_allclose(read.base_com, body.ipos, atol=1e-9)


def own_robot(folder: Path, motor: str | None) -> RobotModel:
    """A robot of the user's in a folder laid out like ours, perhaps with a robot.yaml."""
    (folder / "urdf").mkdir(parents=True)
    (folder / "urdf" / "robot.urdf").write_text(robot_urdf(DEFAULT_ROBOT_TYPE).read_text())
    if motor is not None:
        (folder / "robot.yaml").write_text(motor)
    return RobotModel.from_urdf(folder / "urdf" / "robot.urdf")


def test_motors_without_figures_have_no_torque_left_at_the_urdfs_velocity_limit(tmp_path: Path) -> None:
    for motor in (None, "robot: MINE"):
        read = own_robot(tmp_path / str(motor is None), motor)
        np.testing.assert_array_equal(read.no_load_speeds, read.velocity_limits)
        np.testing.assert_allclose(read.corner_speeds, 0.6 * read.velocity_limits)
    read = own_robot(tmp_path / "fast", "motor: {corner_speed: 12.5, no_load_speed: 20}")
    assert (read.corner_speeds == 12.5).all() and (read.no_load_speeds == 20.0).all() and read.corner_speeds.size == 6


@pytest.mark.parametrize(
    ("motor", "message"),
    [
        ("motor: {corner_speed: 12}", "motor needs corner_speed and no_load_speed"),
        ("motor: 15", "motor needs corner_speed and no_load_speed"),
        ("motor: {corner_speed: fast, no_load_speed: 15}", "motor needs corner_speed and no_load_speed"),
        ("motor: {corner_speed: 16, no_load_speed: 15}", "must lie between 0 and no_load_speed, got 16.0 and 15.0"),
    ],
)
def test_unusable_motors_are_refused(tmp_path: Path, motor: str, message: str) -> None:
    with pytest.raises(ValueError, match=f"robot.yaml: .*{message}"):
        own_robot(tmp_path / "mine", motor)


# Which robot


def test_unset_robot_type_means_the_default_and_says_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("ROBOT_TYPE", raising=False)
    robot_files._say_default.cache_clear()
    assert robot_urdf() == robot_urdf() == robots_dir() / "PF_TRON1A" / "urdf" / "robot.urdf"
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and lines[0].startswith("ROBOT_TYPE is not set: using PF_TRON1A")


def test_robot_type_comes_from_the_environment_unless_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOT_TYPE", "PF_P441B")
    assert RobotModel.from_urdf(robot_urdf()).name == "PF_P441B"
    assert RobotModel.from_urdf(robot_urdf("PF_P441A")).name == "PF_P441A"


def test_unknown_robot_lists_the_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROBOT_TYPE", "PF_NONE")
    with pytest.raises(ValueError, match="unknown ROBOT_TYPE 'PF_NONE', known: " + ", ".join(sorted(ROBOTS))):
        robot_urdf()


def test_own_urdf_goes_before_robot_type(tmp_path: Path) -> None:
    path = tmp_path / "mine.urdf"
    path.write_text(robot_urdf("PF_P441C").read_text())
    assert robot_urdf("PF_P441A", urdf=str(path)) == path.resolve()
    read = RobotModel.from_urdf(path)
    assert read.name == f"{tmp_path.name}_mine"
    assert build_spec(read).compile().nu == 6
    with pytest.raises(ValueError, match=r"no such URDF file: .*nothing\.urdf"):
        robot_urdf(urdf=tmp_path / "nothing.urdf")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("</robot>", "", "not a readable URDF"),
        (
            '"hip_R_Link"',
            '"thigh_R_Link"',
            "two legs of three.*link_names.*not there: hip_R_Link; its links: base_Link, ",
        ),
        (
            '"knee_L_Joint" type="revolute"',
            '"knee_L_Joint" type="fixed"',
            "joint knee_L_Joint must be .*'revolute'.*is .*'fixed'",
        ),
        ('"limx_imu_joint" type="fixed"', '"limx_imu_joint" type="continuous"', "must be fixed: limx_imu_joint"),
        ('effort="80.0" ', "", "<limit> needs a number as effort"),
        (
            'xyz="0.15 0.0 -0.25981" rpy="0.0 0.0 0.0"',
            'xyz="0.15 0.0 -0.25981" rpy="0.1 0.0 0.0"',
            "foot_L_Joint must not be turned",
        ),
        ('<sphere radius="0.032" />', '<box size="0.1 0.1 0.1" />', "foot_L_Link must collide as a sphere"),
    ],
)
def test_unfit_urdf_is_refused_by_name(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = robot_urdf("PF_TRON1A").read_text()
    assert old in text
    path = tmp_path / "unfit.urdf"
    path.write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=f"unfit.urdf: .*{message}"):
        RobotModel.from_urdf(path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('<axis xyz="0.0 1.0 0.0" />', '<axis xyz="0.0 1e-09 0.0" />', "axis too small"),
        ('iyy="1e-06" iyz="0.0" izz="1e-06"', 'iyy="1e-15" iyz="0.0" izz="1e-06"', "positive eigenvalues"),
    ],
)
def test_what_the_engine_refuses_is_said_with_the_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = robot_urdf("PF_TRON1A").read_text()
    assert old in text
    path = tmp_path / "unfit.urdf"
    path.write_text(text.replace(old, new))
    robot = RobotModel.from_urdf(path)
    with pytest.raises(UserError, match=f"unfit.urdf: MuJoCo cannot use it: .*{message}") as caught:
        compile_spec(build_spec(robot), robot)
    assert "\n" not in str(caught.value)


def test_own_meshes_are_drawn_where_they_can_be_read(tmp_path: Path) -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32) * 0.1
    faces = [(0, 2, 1), (0, 1, 3), (0, 3, 2), (1, 2, 3)]
    stl = bytes(80) + struct.pack("<I", len(faces))
    stl += b"".join(struct.pack("<3f", 0, 0, 0) + corners[list(face)].tobytes() + bytes(2) for face in faces)
    (tmp_path / "robot" / "meshes").mkdir(parents=True)
    (tmp_path / "robot" / "urdf").mkdir()
    (tmp_path / "robot" / "meshes" / "torso.STL").write_bytes(stl)
    mesh = '<visual><geometry><mesh filename="{}"/></geometry></visual>'
    drawn = [mesh.format(name) for name in ("package://robot/meshes/torso.STL", "../meshes/torso.STL")]
    left_out = [mesh.format(name) for name in ("../meshes/torso.dae", "package://other/torso.STL")]
    plain = robot_urdf("PF_TRON1A").read_text()
    path = tmp_path / "robot" / "urdf" / "mine.urdf"
    path.write_text(plain.replace('<link name="base_Link">', '<link name="base_Link">' + "".join(drawn + left_out)))
    model = build_spec(RobotModel.from_urdf(path)).compile()
    assert (model.geom_type == mujoco.mjtGeom.mjGEOM_MESH).sum() == len(drawn)
    for shape in drawn + left_out:
        path.write_text(path.read_text().replace(shape, shape.replace("visual>", "collision>")))
    with pytest.raises(UserError, match=r"link base_Link: cannot load collision mesh \.\./meshes/torso\.dae"):
        build_spec(RobotModel.from_urdf(path))
