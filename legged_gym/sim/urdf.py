"""Reads the URDF of a point-foot biped, checks everything that could break an engine, and names its parts.

Every engine gets `UrdfTree.root`: the file with links and leg joints renamed to this package's names (by `link_names`
in robot.yaml), and without the parts meant for one simulator only.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from legged_gym.sim.robot_files import RobotFiles
from legged_gym.utils.errors import UserError

Array = NDArray[np.float64]

SIDES = ("L", "R")
BASE_NAME = "base_Link"
LEG_JOINTS = ("abad", "hip", "knee")
LEG_LINKS = ("abad", "hip", "knee", "foot")
JOINT_ORDER = tuple(f"{part}_{side}_Joint" for side in SIDES for part in LEG_JOINTS)
FOOT_NAMES = tuple(f"foot_{side}_Link" for side in SIDES)
BODY_NAMES = (BASE_NAME, *(f"{part}_{side}_Link" for side in SIDES for part in LEG_LINKS))
NEEDED = (
    "a robot needs a base and two legs of three revolute joints (abad, hip, knee) that end in a spherical foot on a "
    "fixed joint, its links named as the package's or mapped to them by link_names in robot.yaml (docs/add_a_robot.md)"
)
LEAST_INERTIA = 1e-9
"""Least inertia of a link that moves: engines divide by it [kg m^2]."""
SHAPES = {"box": 3, "sphere": 1, "cylinder": 2, "mesh": 0}
"""Collision shapes and how many lengths they have."""


def our_names(files: RobotFiles) -> dict[str, str]:
    """Return the file's name of each link that differs from ours -> our name.

    Raises:
        UserError: `link_names` of robot.yaml is not such a mapping.
    """
    mapping = files.facts().get("link_names", {})
    where = f"{files.folder / 'robot.yaml'}: link_names"
    legs = {"left": "L", "right": "R"}
    if not isinstance(mapping, dict) or not set(mapping) <= {"base", *legs}:
        raise UserError(f"{where} has the entries base, left and right, got {mapping}")
    names = {str(mapping["base"]): BASE_NAME} if "base" in mapping else {}
    for leg, side in legs.items():
        links = mapping.get(leg, {})
        if not isinstance(links, dict) or not set(links) <= set(LEG_LINKS):
            raise UserError(f"{where}.{leg} has the entries {', '.join(LEG_LINKS)}, got {links}")
        names |= {str(link): f"{part}_{side}_Link" for part, link in links.items()}
    if len(names) < ("base" in mapping) + sum(len(mapping.get(leg, {})) for leg in legs):
        raise UserError(f"{where} names a link twice: {mapping}")
    return names


def vector(element: ElementTree.Element | None, key: str, default: str = "0 0 0") -> Array:
    """Three numbers from an attribute of an element that may be missing; `UrdfTree` has checked them."""
    return np.array([float(word) for word in (default if element is None else element.get(key, default)).split()])


def rotation(rpy: Array) -> Array:
    """Rotation matrix (3, 3) of fixed-axis roll, pitch, yaw angles [rad]."""
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    roll = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    pitch = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    yaw = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return yaw @ pitch @ roll


class UrdfTree:
    """Links and joints of one URDF under our names; every error names the file, the part and the fault."""

    def __init__(self, path: Path) -> None:
        """Read and check.

        Raises:
            UserError: The file is no URDF of a point-foot biped.
        """
        self.path = path
        try:
            self.root = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:  # the last two: an unknown encoding
            raise self.fault(f"not a readable URDF: {' '.join(str(error).split())}") from None
        if self.root.tag != "robot":
            raise self.fault(f"not a readable URDF: its root is <{self.root.tag}>, not <robot>")
        for extension in self.root.findall("mujoco"):
            self.root.remove(extension)  # it may change masses and angles, for one engine only
        self._rename()
        self.links = self._by_name("link")
        self.joints = self._by_name("joint")
        missing = [name for name in BODY_NAMES if name not in self.links]
        if missing:
            raise self.fault(f"{NEEDED}; not there: {', '.join(missing)}; its links: {', '.join(self.links)}")
        self._check_tree()
        for link in self.links.values():
            self._check_inertia(link)
            self._check_shapes(link)

    def fault(self, text: str) -> UserError:
        """Return the error to raise."""
        return UserError(f"{self.path}: {text}")

    # -- names ---------------------------------------------------------------------------------------------------------

    def _rename(self) -> None:
        """Give links, and the joints of the legs, our names."""
        names = our_names(RobotFiles.of(self.path))
        there = {link.get("name", "") for link in self.root.iterfind("link")}
        absent = [name for name in names if name not in there]
        if absent:
            raise self.fault(
                f"link_names in robot.yaml: no link {', '.join(absent)}; its links: {', '.join(sorted(there))}"
            )
        taken = sorted(there & set(names.values()) - set(names))
        if taken:
            raise self.fault(f"link_names in robot.yaml: {', '.join(taken)} is a link already")
        for element in self.root.iter():
            for key in ("name", "link"):
                if element.tag in ("link", "parent", "child") and element.get(key) in names:
                    element.set(key, names[element.attrib[key]])
        for joint in self.root.iterfind("joint"):
            child = joint.find("child")
            link = "" if child is None else child.get("link", "")
            if link in BODY_NAMES[1:]:
                joint.set("name", link.replace("_Link", "_Joint"))

    def _by_name(self, tag: str) -> dict[str, ElementTree.Element]:
        """All links or joints, each of which must have a name of its own."""
        found: dict[str, ElementTree.Element] = {}
        for element in self.root.iterfind(tag):
            name = element.get("name", "")
            if not name or name in found:
                raise self.fault(f"each {tag} needs a name of its own, got {name!r} {'twice' if name else ''}".rstrip())
            found[name] = element
        return found

    # -- checks --------------------------------------------------------------------------------------------------------

    def _check_tree(self) -> None:
        """All links must hang on the base, each by one joint."""
        parents: dict[str, str] = {}
        for name, joint in self.joints.items():
            parent, child = self.ends(joint)
            for link in (parent, child):
                if link not in self.links:
                    raise self.fault(f"joint {name}: no link {link}")
            if child in parents:
                raise self.fault(f"link {child} hangs on two joints")
            parents[child] = parent
            for key, count in (("xyz", 3), ("rpy", 3)):
                self._check_numbers(joint.find("origin"), key, count, name)
            self._check_numbers(joint.find("axis"), "xyz", 3, name)
        for link in self.links:
            above, steps = link, 0
            while above in parents and steps <= len(parents):
                above, steps = parents[above], steps + 1
            if above != BASE_NAME:
                raise self.fault(f"link {link} does not hang on {BASE_NAME}, but on {above}")

    def _check_numbers(self, element: ElementTree.Element | None, key: str, count: int, owner: str) -> None:
        """An attribute, if it is there, must hold so many finite numbers."""
        text = None if element is None else element.get(key)
        if element is None or text is None:
            return
        try:
            values = [float(word) for word in text.split()]
        except ValueError:
            values = []
        if len(values) != count or not np.isfinite(values).all():
            raise self.fault(f"{owner}: <{element.tag}> needs {count} finite numbers as {key}, has {text!r}")

    def _check_inertia(self, link: ElementTree.Element) -> None:
        """Mass and inertia must be those of some body: positive, or all zero where another link carries it."""
        name, inertial = link.get("name", ""), link.find("inertial")
        if inertial is None:
            return
        for key in ("xyz", "rpy"):
            self._check_numbers(inertial.find("origin"), key, 3, name)
        mass = self.number(self.child(inertial, "mass", name), "value", name)
        if mass < 0.0:
            raise self.fault(f"{name}: a mass must not be negative, got {mass:g} kg")
        inertia = self.child(inertial, "inertia", name)
        xx, xy, xz, yy, yz, zz = (self.number(inertia, f"i{k}", name) for k in ("xx", "xy", "xz", "yy", "yz", "zz"))
        moments = np.linalg.eigvalsh([[xx, xy, xz], [xy, yy, yz], [xz, yz, zz]])
        tolerance = 1e-9 * max(abs(moments).max(), 1e-9)
        # Of any distribution of mass two principal moments are no less than the third one together.
        impossible = moments[0] < -tolerance or moments[0] + moments[1] < moments[2] - tolerance
        if impossible or (name in BODY_NAMES and name not in FOOT_NAMES and moments[0] < LEAST_INERTIA):
            raise self.fault(f"{name}: no body has the principal moments of inertia {moments.round(9).tolist()} kg m^2")

    def _check_shapes(self, link: ElementTree.Element) -> None:
        """Collision and visual shapes must have a kind and sizes."""
        name = link.get("name", "")
        for shape in [*link.iterfind("collision"), *link.iterfind("visual")]:
            for key in ("xyz", "rpy"):
                self._check_numbers(shape.find("origin"), key, 3, name)
            kinds = list(self.child(shape, "geometry", name))
            if len(kinds) != 1 or kinds[0].tag not in SHAPES:
                found = ", ".join(kind.tag for kind in kinds) or "nothing"
                raise self.fault(f"{name}: the geometry of a {shape.tag} is one of {', '.join(SHAPES)}, has {found}")
            sizes = self._sizes(kinds[0], name)
            if len(sizes) != SHAPES[kinds[0].tag] or not all(size > 0.0 for size in sizes):
                raise self.fault(f"{name}: the sizes of a {kinds[0].tag} must be positive, got {kinds[0].attrib}")

    def _sizes(self, shape: ElementTree.Element, owner: str) -> list[float]:
        """Lengths of a shape [m]."""
        if shape.tag == "box":
            if shape.get("size") is None:
                raise self.fault(f"{owner}: <box> needs 3 finite numbers as size, has {shape.attrib}")
            self._check_numbers(shape, "size", 3, owner)
            return vector(shape, "size").tolist()
        keys = {"sphere": ("radius",), "cylinder": ("radius", "length"), "mesh": ()}[shape.tag]
        return [self.number(shape, key, owner) for key in keys]

    # -- what is read --------------------------------------------------------------------------------------------------

    def child(self, element: ElementTree.Element, tag: str, owner: str = "") -> ElementTree.Element:
        """Return the child element with that tag, which must exist."""
        found = element.find(tag)
        if found is None:
            raise self.fault(f"{owner or element.get('name')}: <{element.tag}> has no <{tag}>")
        return found

    def number(self, element: ElementTree.Element, key: str, owner: str = "") -> float:
        """Return a finite number from an attribute, which must exist."""
        try:
            value = float(element.attrib[key])
        except (KeyError, ValueError):
            value = np.nan
        if not np.isfinite(value):
            where = f"{owner}: " if owner else ""
            raise self.fault(f"{where}<{element.tag}> needs a number as {key}, has {element.attrib}")
        return value

    def ends(self, joint: ElementTree.Element) -> tuple[str, str]:
        """Return the parent and child link of a joint."""
        return self.child(joint, "parent").get("link", ""), self.child(joint, "child").get("link", "")

    def joint(self, name: str, kind: str, parent: str, child: str) -> ElementTree.Element:
        """Return a joint, which must be of that kind and between those links."""
        joint = self.joints.get(name)
        wanted = (kind, parent, child)
        found = None if joint is None else (joint.get("type"), *self.ends(joint))
        if joint is None or found != wanted:
            raise self.fault(f"{NEEDED}; joint {name} must be (type, parent, child) = {wanted}, is {found}")
        return joint

    def check_all_known(self, moving: list[ElementTree.Element]) -> None:
        """Raise if joints other than the given ones move."""
        others = [name for name, joint in self.joints.items() if joint.get("type") != "fixed" and joint not in moving]
        if others:
            raise self.fault(f"joints other than {', '.join(JOINT_ORDER)} must be fixed: {', '.join(others)}")

    def limits(self, joint: ElementTree.Element) -> tuple[float, float, float, float]:
        """Return lowest and highest angle [rad], largest torque [N m] and speed [rad/s] of a joint."""
        name, limit = joint.get("name", ""), self.child(joint, "limit")
        lower, upper, effort, velocity = (
            self.number(limit, key, name) for key in ("lower", "upper", "effort", "velocity")
        )
        if not lower < upper:
            raise self.fault(f"{name}: lower must be below upper, got {lower:g} and {upper:g} rad")
        if not (effort > 0.0 and velocity > 0.0):
            raise self.fault(f"{name}: effort and velocity must be positive, got {effort:g} N m and {velocity:g} rad/s")
        return lower, upper, effort, velocity

    def axis(self, joint: ElementTree.Element) -> Array:
        """Return the unit axis of a leg joint: abad along +-x, hip and knee along +-y."""
        name, axis = joint.get("name", ""), vector(joint.find("axis"), "xyz", "1 0 0")
        length = float(np.linalg.norm(axis))
        main = 0 if name.startswith("abad") else 1
        if length == 0.0 or abs(axis[main]) < (1.0 - 1e-6) * length:
            raise self.fault(
                f"{name}: abad joints turn about x, hip and knee joints about y; its axis is {axis.tolist()}"
            )
        return axis / length

    def offset(self, joint: ElementTree.Element) -> Array:
        """Return the position [m] of a leg joint in its parent's frame, to which its own must be parallel."""
        origin = joint.find("origin")
        if np.any(vector(origin, "rpy")):
            raise self.fault(f"{joint.get('name')} must not be turned: its origin has rpy {vector(origin, 'rpy')}")
        return vector(origin, "xyz")

    def merged_mass(self, link: str) -> tuple[float, Array]:
        """Return mass [kg] and centre of mass [m] of a link and all that is fixed to it, in the link's frame."""
        parts = list(self._fixed_parts(link, np.eye(3), np.zeros(3)))
        mass = sum(part_mass for part_mass, _ in parts)
        if mass <= 0.0:
            raise self.fault(f"link {link} has no mass")
        return mass, sum((part_mass * com for part_mass, com in parts), np.zeros(3)) / mass

    def foot_radius(self) -> float:
        """Return the radius [m] of the feet, which must be alike and collide as a sphere about their origin."""
        radii = set()
        for name in FOOT_NAMES:
            shapes = self.links[name].findall("collision")
            sphere = shapes[0].find("geometry/sphere") if len(shapes) == 1 else None
            if sphere is None or np.any(vector(shapes[0].find("origin"), "xyz")):
                raise self.fault(f"{name} must collide as a sphere about its origin, and as nothing else")
            radii.add(self.number(sphere, "radius"))
        if len(radii) > 1:
            raise self.fault(f"the feet must have one radius, have {sorted(radii)}")
        return radii.pop()

    def top(self, link: str) -> float:
        """Return how high a link's boxes, spheres and upright cylinders reach [m], -infinity without any."""
        tops = [-np.inf]
        for collision in self.links[link].iterfind("collision"):
            centre = vector(collision.find("origin"), "xyz")[2]
            for shape in collision.iterfind("geometry/*"):
                half = {"box": 0.5, "cylinder": 0.5, "sphere": 1.0}.get(shape.tag)
                if half is not None:
                    tops.append(centre + half * self._sizes(shape, link)[-1])
        return float(max(tops))

    def _fixed_parts(self, link: str, turn: Array, position: Array) -> Iterator[tuple[float, Array]]:
        """Yield mass [kg] and centre of mass [m] of a link and of every link fixed to it but the feet."""
        inertial = self.links[link].find("inertial")
        if inertial is not None:
            com = turn @ vector(inertial.find("origin"), "xyz")
            yield self.number(self.child(inertial, "mass", link), "value", link), position + com
        for joint in self.joints.values():
            parent, child = self.ends(joint)
            if parent != link or joint.get("type") != "fixed" or child in FOOT_NAMES:
                continue
            origin = joint.find("origin")
            offset = position + turn @ vector(origin, "xyz")
            yield from self._fixed_parts(child, turn @ rotation(vector(origin, "rpy")), offset)


def leg_ends(side: str) -> list[tuple[str, tuple[str, str, str]]]:
    """Name, then type, parent and child link of each joint that a leg must have, from the base down."""
    links: list[Any] = [BASE_NAME, *(f"{part}_{side}_Link" for part in LEG_LINKS)]
    return [
        (part, ("fixed" if part == "foot" else "revolute", parent, child))
        for part, parent, child in zip(LEG_LINKS, links[:-1], links[1:], strict=True)
    ]
