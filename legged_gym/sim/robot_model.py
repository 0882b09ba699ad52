"""Which robot, and its numbers: finds the URDF of a robot and reads it without any physics engine.

The robot is a biped with three joints per leg and a spherical point foot. Its links carry fixed names (see
`JOINT_ORDER`, `BODY_NAMES`), its leg frames are parallel to the base frame at zero joint angles.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import yaml
from numpy.typing import NDArray

from legged_gym import resources_dir
from legged_gym.utils.errors import UserError

Array = NDArray[np.float64]

DEFAULT_ROBOT_TYPE = "PF_TRON1A"
SIDES = ("L", "R")
BASE_NAME = "base_Link"
CORNER_SHARE = 0.6
"""Corner speed of a motor as a share of its no-load speed, where robot.yaml says nothing."""
LEG_JOINTS = ("abad", "hip", "knee")
LEG_LINKS = ("abad", "hip", "knee", "foot")
JOINT_ORDER = tuple(f"{part}_{side}_Joint" for side in SIDES for part in LEG_JOINTS)
FOOT_NAMES = tuple(f"foot_{side}_Link" for side in SIDES)
BODY_NAMES = (BASE_NAME, *(f"{part}_{side}_Link" for side in SIDES for part in LEG_LINKS))


def robots_dir() -> Path:
    """Returns the folder with one sub-folder per ROBOT_TYPE, of the repository or of an installed wheel."""
    return resources_dir() / "robots"


def robot_types() -> list[str]:
    """Returns the names that ROBOT_TYPE may take, sorted."""
    return sorted(path.parents[1].name for path in robots_dir().glob("*/urdf/robot.urdf"))


@functools.cache
def _say_default() -> None:
    """Says, once per process, which robot is used when none was asked for."""
    print(f"ROBOT_TYPE is not set: using {DEFAULT_ROBOT_TYPE} (known: {', '.join(robot_types())})")


def robot_urdf(robot_type: str | None = None, urdf: str | Path | None = None) -> Path:
    """Finds the URDF to simulate.

    Args:
        robot_type: One of `robot_types()`; None reads the environment variable ROBOT_TYPE, and falls back to
            PF_TRON1A with one printed line if that is unset or empty.
        urdf: Path of a user's own URDF; goes before `robot_type`.

    Returns:
        Absolute path of an existing URDF file.

    Raises:
        UserError: The robot is unknown or the file does not exist.
    """
    if urdf is not None:
        path = Path(urdf).expanduser().resolve()
        if not path.is_file():
            raise UserError(f"no such URDF file: {path}")
        return path
    robot_type = robot_type or os.environ.get("ROBOT_TYPE")
    if not robot_type:
        _say_default()
        robot_type = DEFAULT_ROBOT_TYPE
    if robot_type not in robot_types():
        raise UserError(f"unknown ROBOT_TYPE {robot_type!r}, known: {', '.join(robot_types())}")
    return robots_dir() / robot_type / "urdf" / "robot.urdf"


@dataclass(frozen=True, eq=False)
class RobotModel:
    """Kinematics and masses of the robot, float64. Side 0 is the left leg, side 1 the right one."""

    name: str
    """The ROBOT_TYPE, or the file stem of a user's own URDF."""
    urdf: Path
    """The file that all the numbers below were read from."""
    joint_names: tuple[str, ...]
    """The 6 actuated joints in the order of every joint vector."""
    joint_limits: Array
    """Lower and upper joint limit [rad], shape (6, 2)."""
    torque_limits: Array
    """Largest joint torque [N m], shape (6,)."""
    velocity_limits: Array
    """Largest joint velocity [rad/s], shape (6,)."""
    corner_speeds: Array
    """Speed up to which a motor gives its full torque [rad/s], shape (6,)."""
    no_load_speeds: Array
    """Speed at which its torque has fallen to zero, linearly from the corner speed on [rad/s], shape (6,)."""
    joint_axes: Array
    """Unit joint axis in the frame of the joint's link, shape (6, 3)."""
    body_names: tuple[str, ...]
    """The 9 bodies left after merging fixed joints, the feet kept apart."""
    foot_names: tuple[str, ...]
    """The two foot bodies, left and right."""
    total_mass: float
    """Mass of the whole robot [kg]."""
    abad_pos_b: Array
    """Abad joint in the base frame [m], shape (2, 3)."""
    hip_pos: Array
    """Hip joint in the abad frame [m], shape (2, 3)."""
    thigh: Array
    """Knee joint in the hip frame [m], shape (2, 3)."""
    shank: Array
    """Foot centre in the knee frame [m], shape (2, 3)."""
    foot_radius: float
    """Radius of the spherical foot [m]."""
    link_masses: Array
    """Masses of abad, hip, knee and foot link [kg], shape (2, 4)."""
    link_coms: Array
    """Centres of mass of the same links, each in its own link frame [m], shape (2, 4, 3)."""
    base_mass: float
    """Mass of the base with all that is fixed to it [kg]."""
    base_com: Array
    """Centre of mass of the same in the base frame [m], shape (3,)."""
    lid_height: float
    """From there up to the highest point of the base's collision shapes; 0 if these are meshes [m]."""

    @property
    def body_masses(self) -> Array:
        """Masses of the bodies [kg], in the order of `body_names`, shape (9,)."""
        return np.concatenate(([self.base_mass], self.link_masses.flatten()))

    @property
    def zero_pose_height(self) -> float:
        """Height of the base above flat ground when all joints are at zero and the feet touch it [m]."""
        feet_z = (self.abad_pos_b + self.hip_pos + self.thigh + self.shank)[:, 2]
        return self.foot_radius - float(feet_z.min())

    @classmethod
    def from_urdf(cls, path: str | Path) -> RobotModel:
        """Reads the model from a URDF file.

        Args:
            path: The URDF file.

        Returns:
            The model; links behind fixed joints are merged into their parents, the feet excepted.

        Raises:
            UserError: The file is no URDF of a point-foot biped; the text says what is missing.
        """
        urdf = Path(path).resolve()
        tree = _UrdfTree(urdf)
        joints = [tree.joint(f"{part}_{side}_Joint", *ends) for side in SIDES for part, ends in _leg_ends(side)]
        offsets = np.array([tree.offset(joint) for joint in joints]).reshape(2, 4, 3)
        merged = {name: tree.merged_mass(name) for name in BODY_NAMES}
        legs = [[merged[f"{part}_{side}_Link"] for part in LEG_LINKS] for side in SIDES]
        moving = [joint for joint in joints if joint.get("type") == "revolute"]
        tree.check_all_known(moving)
        limits = [tree.child(joint, "limit") for joint in moving]
        velocity_limits = np.array([tree.number(limit, "velocity") for limit in limits])
        corner, no_load = _motor_speeds(urdf, velocity_limits)
        return cls(
            name=urdf.parents[1].name if urdf.is_relative_to(robots_dir()) else urdf.stem,
            urdf=urdf,
            joint_names=JOINT_ORDER,
            joint_limits=np.array([[tree.number(limit, key) for key in ("lower", "upper")] for limit in limits]),
            torque_limits=np.array([tree.number(limit, "effort") for limit in limits]),
            velocity_limits=velocity_limits,
            corner_speeds=corner * np.ones(len(moving)),
            no_load_speeds=no_load * np.ones(len(moving)),
            joint_axes=np.array([_vector(joint.find("axis"), "xyz", "1 0 0") for joint in moving]),
            body_names=BODY_NAMES,
            foot_names=FOOT_NAMES,
            total_mass=sum(mass for mass, _ in merged.values()),
            abad_pos_b=offsets[:, 0],
            hip_pos=offsets[:, 1],
            thigh=offsets[:, 2],
            shank=offsets[:, 3],
            foot_radius=tree.foot_radius(),
            link_masses=np.array([[mass for mass, _ in leg] for leg in legs]),
            link_coms=np.array([[com for _, com in leg] for leg in legs]),
            base_mass=merged[BASE_NAME][0],
            base_com=merged[BASE_NAME][1],
            lid_height=max(tree.top(BASE_NAME) - float(merged[BASE_NAME][1][2]), 0.0),
        )


def _motor_speeds(urdf: Path, velocity_limits: Array) -> tuple[Array, Array]:
    """Corner speed and no-load speed of the motors [rad/s], from the `motor` entry of the robot.yaml above a URDF.

    Without one, a motor is taken to have no torque left at the URDF's velocity limit: an assumption on the safe side.

    Raises:
        UserError: The entry is not usable.
    """
    file = urdf.parents[1] / "robot.yaml" if len(urdf.parents) > 1 else None
    motor = (yaml.safe_load(file.read_text()) or {}).get("motor") if file is not None and file.is_file() else None
    if motor is None:
        return CORNER_SHARE * velocity_limits, velocity_limits
    try:
        corner, no_load = float(motor["corner_speed"]), float(motor["no_load_speed"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{file}: motor needs corner_speed and no_load_speed [rad/s], has {motor}") from None
    if not 0.0 <= corner < no_load:
        raise UserError(f"{file}: motor.corner_speed must lie between 0 and no_load_speed, got {corner} and {no_load}")
    return np.array(corner), np.array(no_load)


def _leg_ends(side: str) -> list[tuple[str, tuple[str, str, str]]]:
    """Name, then type, parent and child link of each joint that a leg must have, from the base down."""
    links = [BASE_NAME, *(f"{part}_{side}_Link" for part in LEG_LINKS)]
    return [
        (part, ("fixed" if part == "foot" else "revolute", parent, child))
        for part, parent, child in zip(LEG_LINKS, links[:-1], links[1:], strict=True)
    ]


def _vector(element: ElementTree.Element | None, key: str, default: str = "0 0 0") -> Array:
    """Reads a list of numbers from an attribute of an element that may be missing."""
    text = default if element is None else element.get(key, default)
    return np.array([float(word) for word in text.split()])


def _rotation(rpy: Array) -> Array:
    """Rotation matrix (3, 3) of fixed-axis roll, pitch, yaw angles [rad]."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return yaw @ pitch @ roll


class _UrdfTree:
    """Links and joints of one URDF file by name; every lookup that fails says what is missing in which file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError) as error:
            raise self.fault(f"not a readable URDF: {error}") from error
        self.links = {link.get("name", ""): link for link in root.iterfind("link")}
        self.joints = {joint.get("name", ""): joint for joint in root.iterfind("joint")}
        missing = [name for name in BODY_NAMES if name not in self.links]
        if missing:
            raise self.fault(f"no link {', '.join(missing)}; its links: {', '.join(self.links)}")

    def fault(self, text: str) -> UserError:
        """Returns the error to raise."""
        return UserError(f"{self.path}: {text}")

    def child(self, element: ElementTree.Element, tag: str) -> ElementTree.Element:
        """Returns the child element with that tag, which must exist."""
        found = element.find(tag)
        if found is None:
            raise self.fault(f"<{element.tag} name={element.get('name')!r}> has no <{tag}>")
        return found

    def number(self, element: ElementTree.Element, key: str) -> float:
        """Returns a number from an attribute, which must exist."""
        try:
            return float(element.attrib[key])
        except (KeyError, ValueError) as error:
            raise self.fault(f"<{element.tag}> needs a number as {key}, has {element.attrib}") from error

    def joint(self, name: str, kind: str, parent: str, child: str) -> ElementTree.Element:
        """Returns a joint, which must be of that kind and between those links."""
        joint = self.joints.get(name)
        wanted = (kind, parent, child)
        found = None if joint is None else (joint.get("type"), *self._ends(joint))
        if joint is None or found != wanted:
            raise self.fault(f"joint {name} must be (type, parent, child) = {wanted}, is {found}")
        return joint

    def check_all_known(self, moving: list[ElementTree.Element]) -> None:
        """Raises if joints other than the given ones move."""
        others = [name for name, joint in self.joints.items() if joint.get("type") != "fixed" and joint not in moving]
        if others:
            raise self.fault(f"joints other than {', '.join(JOINT_ORDER)} must be fixed: {', '.join(others)}")

    def offset(self, joint: ElementTree.Element) -> Array:
        """Returns the position [m] of a leg joint in its parent's frame, to which its own must be parallel."""
        origin = joint.find("origin")
        if np.any(_vector(origin, "rpy")):
            raise self.fault(f"{joint.get('name')} must not be turned: its origin has rpy {_vector(origin, 'rpy')}")
        return _vector(origin, "xyz")

    def merged_mass(self, link: str) -> tuple[float, Array]:
        """Returns mass [kg] and centre of mass [m] of a link and all that is fixed to it, in the link's frame."""
        parts = list(self._fixed_parts(link, np.eye(3), np.zeros(3)))
        mass = sum(part_mass for part_mass, _ in parts)
        if mass <= 0.0:
            raise self.fault(f"link {link} has no mass")
        return mass, sum((part_mass * com for part_mass, com in parts), np.zeros(3)) / mass

    def foot_radius(self) -> float:
        """Returns the radius [m] of the feet, which must be alike and collide as a sphere about their origin."""
        radii = set()
        for name in FOOT_NAMES:
            collision = self.child(self.links[name], "collision")
            sphere = collision.find("geometry/sphere")
            if sphere is None or np.any(_vector(collision.find("origin"), "xyz")):
                raise self.fault(f"{name} must collide as a sphere about its origin")
            radii.add(self.number(sphere, "radius"))
        if len(radii) > 1:
            raise self.fault(f"the feet must have one radius, have {sorted(radii)}")
        return radii.pop()

    def top(self, link: str) -> float:
        """Returns how high a link's boxes, spheres and upright cylinders reach [m], -infinity without any."""
        tops = [-np.inf]
        for collision in self.links[link].iterfind("collision"):
            centre = _vector(collision.find("origin"), "xyz")[2]
            for shape in collision.iterfind("geometry/*"):
                if shape.tag == "box":
                    tops.append(centre + 0.5 * _vector(shape, "size")[2])
                elif shape.tag in ("sphere", "cylinder"):
                    half = (
                        0.5 * self.number(shape, "length") if shape.tag == "cylinder" else self.number(shape, "radius")
                    )
                    tops.append(centre + half)
        return float(max(tops))

    def _ends(self, joint: ElementTree.Element) -> tuple[str | None, str | None]:
        """Returns the parent and child link of a joint."""
        return self.child(joint, "parent").get("link"), self.child(joint, "child").get("link")

    def _fixed_parts(self, link: str, rotation: Array, position: Array) -> Iterator[tuple[float, Array]]:
        """Yields mass [kg] and centre of mass [m] of a link and of every link fixed to it but the feet."""
        inertial = self.links[link].find("inertial")
        if inertial is not None:
            com = rotation @ _vector(inertial.find("origin"), "xyz")
            yield self.number(self.child(inertial, "mass"), "value"), position + com
        for joint in self.joints.values():
            parent, child = self._ends(joint)
            if parent != link or child is None or joint.get("type") != "fixed" or child in FOOT_NAMES:
                continue
            origin = joint.find("origin")
            offset = position + rotation @ _vector(origin, "xyz")
            yield from self._fixed_parts(child, rotation @ _rotation(_vector(origin, "rpy")), offset)
