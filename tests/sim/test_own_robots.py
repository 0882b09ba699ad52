"""Robots of the user's own: where they are found, links of other names, and files with something wrong in them."""

import random
import re
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np
import pytest

from legged_gym.sim.mujoco.spec import build_spec
from legged_gym.sim.robot_model import (
    BASE_NAME,
    BODY_NAMES,
    JOINT_ORDER,
    RobotModel,
    find_robot,
    robot_urdf,
    robots_dir,
)
from legged_gym.utils.errors import UserError
from tests.sim.own_robots import LINK_NAMES, own_robot

PLAIN = robot_urdf("PF_TRON1A").read_text()


def written(folder: Path, text: str, facts: str = "") -> Path:
    """A robot's folder with this URDF and robot.yaml."""
    (folder / "urdf").mkdir(parents=True, exist_ok=True)
    (folder / "urdf" / "robot.urdf").write_text(text)
    (folder / "robot.yaml").write_text(facts)
    return folder


def refusal(path: Path) -> str:
    """Why a robot is not taken: one line that names its file."""
    with pytest.raises(UserError) as caught:
        build_spec(RobotModel.from_urdf(robot_urdf(path))).compile()
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
    return str(caught.value)


# -- where they are ----------------------------------------------------------------------------------------------------


def test_a_robot_is_its_folder_or_its_urdf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name is its folder's, whichever way it is found; so two of them have runs of their own."""
    folder, other = written(tmp_path / "mine", PLAIN), written(tmp_path / "yours", PLAIN)
    urdf = folder / "urdf" / "robot.urdf"
    monkeypatch.chdir(tmp_path)
    for asked in (str(folder), "mine", "./mine/", str(urdf), "mine/urdf/robot.urdf"):
        found = find_robot(asked)
        assert (found.name, found.urdf, found.reference) == ("mine", urdf, str(urdf)), asked
        monkeypatch.setenv("ROBOT_TYPE", asked)
        assert find_robot() == found
    assert find_robot(other).name == RobotModel.from_urdf(other / "urdf" / "robot.urdf").name == "yours"
    monkeypatch.chdir("/")
    assert find_robot(found.reference) == found, "what a run saves must find the robot from anywhere"
    shipped = find_robot("PF_P441A")
    assert shipped.reference == shipped.name == "PF_P441A"


def test_a_urdf_of_another_name_is_taken_if_it_is_the_only_one(tmp_path: Path) -> None:
    (tmp_path / "mine.urdf").write_text(PLAIN)
    found = find_robot(tmp_path)
    assert (found.urdf, found.name) == (tmp_path / "mine.urdf", f"{tmp_path.name}_mine"), "two files are two robots"
    (tmp_path / "second.urdf").write_text(PLAIN)
    with pytest.raises(UserError, match=r"or one URDF of another name; it has mine\.urdf, second\.urdf"):
        find_robot(tmp_path)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("nowhere/", "no such folder of a robot: .*nowhere"),
        ("nowhere/robot.urdf", "no such URDF file: .*nowhere/robot.urdf"),
        ("PF_TRON1", "unknown ROBOT_TYPE 'PF_TRON1', known: PF_P441A, .*; or the path of a robot's folder or URDF"),
        ("empty", "it has no URDF"),
    ],
)
def test_what_is_no_robot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, message: str) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=message):
        find_robot(asked)


# -- links of other names ----------------------------------------------------------------------------------------------


def test_links_of_other_names_are_mapped(tmp_path: Path) -> None:
    """The same robot under other names is the same robot: to our reader and to the engine."""
    own = RobotModel.from_urdf(robot_urdf(own_robot(tmp_path / "own")))
    assert "left_thigh" in own.urdf.read_text() and "hip_L_Link" not in own.urdf.read_text()
    plain = RobotModel.from_urdf(robot_urdf("PF_TRON1A"))
    for name, value in vars(plain).items():
        if name not in ("name", "urdf"):
            np.testing.assert_array_equal(getattr(own, name), value, err_msg=name)
    model, expected = build_spec(own).compile(), build_spec(plain).compile()
    assert [model.joint(name).id for name in JOINT_ORDER] == [expected.joint(name).id for name in JOINT_ORDER]
    np.testing.assert_array_equal(model.body_mass, expected.body_mass)
    np.testing.assert_array_equal(model.jnt_range, expected.jnt_range)
    assert model.npair == expected.npair > 0


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (
            "",
            "a robot needs a base and two legs .*link_names in robot.yaml.*; not there: base_Link, abad_L_Link",
        ),
        (LINK_NAMES.replace("left_thigh", "left_thig"), "no link left_thig; its links: .*left_thigh"),
        (LINK_NAMES.replace("left_thigh", "left_shin"), "names a link twice"),
        ("link_names: {torso: base}", "has the entries base, left and right, got"),
        ("link_names: {left: {thigh: x}}", "link_names.left has the entries abad, hip, knee, foot, got"),
        ("link_names: [base]", "has the entries base, left and right, got"),
        ("- link_names", "robot.yaml: holds list, expected names and values"),
        ("link_names: {", "robot.yaml: is no readable YAML"),
    ],
)
def test_what_is_no_mapping(tmp_path: Path, facts: str, message: str) -> None:
    folder = own_robot(tmp_path / "own")
    (folder / "robot.yaml").write_text(facts)
    assert re.search(message, refusal(folder))


# -- what is allowed in a file, and what is not ------------------------------------------------------------------------

SHIN = '<link name="knee_L_Link">'
BOX = '<collision><origin xyz="0 0 {z}"/><geometry><box size="0.02 0.02 0.02"/></geometry></collision>'


def test_a_link_may_have_several_shapes(tmp_path: Path) -> None:
    """And each of them touches the ground and the other leg."""
    folder = written(tmp_path / "own", PLAIN.replace(SHIN, SHIN + BOX.format(z=0.0) + BOX.format(z=0.1)))
    model = build_spec(RobotModel.from_urdf(robot_urdf(folder))).compile()
    expected = build_spec(RobotModel.from_urdf(robot_urdf("PF_TRON1A"))).compile()
    shapes = [i for i in range(model.ngeom) if model.geom(i).name.startswith("knee_L_collision")]
    assert len(shapes) == 3 and all(model.geom_conaffinity[shapes])
    paired = {int(g) for g in np.concatenate((model.pair_geom1, model.pair_geom2))}
    assert set(shapes) <= paired
    np.testing.assert_array_equal(model.body_mass, expected.body_mass)


@pytest.mark.parametrize(
    "old_new",
    [
        ("</robot>", '<mujoco><compiler angle="degree" balanceinertia="true" meshdir="x"/></mujoco></robot>'),
        ("</robot>", '<mujoco><compiler inertiafromgeom="true"/></mujoco></robot>'),
        ("</robot>", '<gazebo reference="base_Link"/><transmission name="t"/></robot>'),
        # a shape on a link without a mass: MuJoCo would give it one
        (
            "</robot>",
            '<link name="hat"><collision><geometry><box size="1 1 1"/></geometry></collision></link><joint name="hat" '
            'type="fixed"><parent link="base_Link"/><child link="hat"/></joint></robot>',
        ),
    ],
)
def test_what_is_meant_for_one_simulator_changes_no_mass(tmp_path: Path, old_new: tuple[str, str]) -> None:
    read = RobotModel.from_urdf(robot_urdf(written(tmp_path / "own", PLAIN.replace(*old_new))))
    for visuals in (True, False):
        model = build_spec(read, visuals=visuals).compile()
        plain = RobotModel.from_urdf(robot_urdf("PF_TRON1A"))
        assert model.body_mass.sum() == pytest.approx(read.total_mass, rel=1e-12)
        assert read.total_mass == plain.total_mass
        np.testing.assert_array_equal(model.jnt_range[1:], plain.joint_limits)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            'lower="-0.38397" upper="1.39626"',
            'lower="1.39626" upper="-0.38397"',
            "abad_L_Joint: lower must be below upper",
        ),
        ('<mass value="9.585" />', '<mass value="nan" />', "base_Link: <mass> needs a number as value"),
        ('<mass value="9.585" />', '<mass value="-9.585" />', "base_Link: a mass must not be negative, got -9.585 kg"),
        ('<mass value="9.585" />', '<mass value="1e999" />', "base_Link: <mass> needs a number as value"),
        (
            '<sphere radius="0.032" />',
            '<sphere radius="-0.032" />',
            "foot_L_Link: the sizes of a sphere must be positive",
        ),
        ('ixx="0.140110479"', 'ixx="1.4"', "base_Link: no body has the principal moments of inertia"),
        ('effort="80.0"', 'effort="-80.0"', "effort and velocity must be positive, got -80 N m"),
        ('<axis xyz="1.0 0.0 0.0" />', '<axis xyz="0.0 0.0 1.0" />', "abad joints turn about x"),
        ('<axis xyz="1.0 0.0 0.0" />', '<axis xyz="0 0 0" />', "abad joints turn about x"),
        ('<axis xyz="1.0 0.0 0.0" />', '<axis xyz="1 0" />', "<axis> needs 3 finite numbers as xyz, has '1 0'"),
        ('<child link="limx_imu" />', '<child link="limx" />', "joint limx_imu_joint: no link limx"),
        (
            '<link name="limx_imu">',
            '<link name="base_Link">',
            "each link needs a name of its own, got 'base_Link' twice",
        ),
        (
            '<parent link="base_Link" />\n    <child link="limx_imu" />',
            '<parent link="limx_imu" />\n    <child link="limx_imu" />',
            "does not hang on base_Link",
        ),
    ],
)
def test_wrong_numbers_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PLAIN
    assert re.search(message, refusal(written(tmp_path / "own", PLAIN.replace(old, new, 1))))


TEXTS = (
    "nan",
    "inf",
    "-1",
    "0",
    "1e400",
    "-1e-3",
    "word",
    "",
    "1 2",
    "0 0 0",
    "1 2 3 4",
    "base_Link",
    "fixed",
    "floating",
)


def mutated(rng: random.Random) -> str:
    """The shipped URDF with one to three things wrong, or merely odd, somewhere in it."""
    root = ElementTree.fromstring(PLAIN)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        parents = [element for element in root.iter() if len(element)]
        parent = rng.choice(parents)
        child = rng.choice(list(parent))
        kind = rng.choice(("text", "text", "text", "drop", "drop attribute", "twice", "move"))
        if kind == "drop":
            parent.remove(child)
        elif kind == "twice":
            parent.append(child)
        elif kind == "move":
            parent.remove(child)
            rng.choice(parents).append(child)
        elif child.attrib and kind == "text":
            child.set(rng.choice(list(child.attrib)), rng.choice(TEXTS))
        elif child.attrib:
            del child.attrib[rng.choice(list(child.attrib))]
    return ElementTree.tostring(root, encoding="unicode")


def test_a_mutated_file_is_refused_in_one_line_or_read_as_the_engine_reads_it(tmp_path: Path) -> None:
    rng, taken, numbers = random.Random(18), 0, 200
    for number in range(numbers):
        folder = written(tmp_path / str(number), mutated(rng))
        try:
            read = RobotModel.from_urdf(folder / "urdf" / "robot.urdf")
            model = build_spec(read, visuals=number % 2 == 0).compile()
        except UserError as error:
            assert "\n" not in str(error) and str(folder) in str(error), number
            continue
        taken += 1
        masses = [model.body(name).mass[0] for name in BODY_NAMES]
        np.testing.assert_allclose(masses, [read.base_mass, *read.link_masses.flat], rtol=1e-9, err_msg=str(number))
        np.testing.assert_allclose(model.body(BASE_NAME).ipos, read.base_com, atol=1e-9, err_msg=str(number))
        np.testing.assert_array_equal(model.jnt_range[1:], read.joint_limits)
        assert np.isfinite(model.body_inertia).all() and mujoco.MjData(model) is not None
    assert 0.1 * numbers < taken < 0.6 * numbers


def test_a_file_that_is_no_urdf(tmp_path: Path) -> None:
    for text in (
        "",
        "root:x:0:0",
        "<html/>",
        '<?xml version="1.0" encoding="nonsense"?><robot/>',
        "<robot/>",
        "<robot>",
    ):
        refusal(written(tmp_path / "own", text))
    assert robots_dir().is_dir()
