"""Writes urdf/robot.urdf of every robot in this folder from its robot.yaml: run it after changing a number.

Masses, inertias, joints and collision shapes are the numbers of robot.yaml, unchanged. Visuals are drawn here from
boxes, cylinders and spheres, placed by the same numbers, so that every variant of the robot gets a fitting body.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import yaml  # type: ignore[import-untyped]
from numpy.typing import ArrayLike, NDArray

ROBOTS_DIR = Path(__file__).resolve().parent
COLOURS = {
    "shell": (0.21, 0.22, 0.24),
    "trim": (0.42, 0.44, 0.47),
    "motor": (0.10, 0.10, 0.11),
    "metal": (0.80, 0.81, 0.83),
    "glass": (0.02, 0.03, 0.05),
    "light": (0.25, 0.75, 0.95),
    "accent": (0.95, 0.42, 0.10),
    "rubber": (0.05, 0.05, 0.05),
}
"""Red, green, blue of every material."""
X_AXIS, Y_AXIS = np.eye(3)[:2]


@dataclass(frozen=True)
class Part:
    """One primitive of a visual, in the frame of its link; lengths [m], fixed-axis roll, pitch, yaw [rad]."""

    shape: str
    size: dict[str, str]
    xyz: NDArray[np.float64]
    rpy: NDArray[np.float64]
    colour: str


def _text(values: ArrayLike, digits: int = 17) -> str:
    """Writes numbers separated by blanks, rounded to significant digits (17 keep a double exact)."""
    return " ".join(repr(float(f"{value:.{digits}g}") + 0.0) for value in np.atleast_1d(np.asarray(values, float)))


def _box(size: ArrayLike, xyz: ArrayLike, colour: str, pitch: float = 0.0) -> Part:
    """A box, turned about y by `pitch`."""
    return Part("box", {"size": _text(size, 5)}, np.asarray(xyz, float), np.array([0.0, pitch, 0.0]), colour)


def _ball(radius: float, xyz: ArrayLike, colour: str) -> Part:
    """A sphere."""
    return Part("sphere", {"radius": _text(radius, 5)}, np.asarray(xyz, float), np.zeros(3), colour)


def _rod(start: ArrayLike, end: ArrayLike, radius: float, colour: str) -> Part:
    """A cylinder between two points."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = end - start
    rpy = np.array([0.0, np.arctan2(np.hypot(along[0], along[1]), along[2]), np.arctan2(along[1], along[0])])
    size = {"radius": _text(radius, 5), "length": _text(np.linalg.norm(along), 5)}
    return Part("cylinder", size, (start + end) / 2, rpy, colour)


def _disc(centre: ArrayLike, axis: NDArray[np.float64], length: float, radius: float, colour: str) -> Part:
    """A cylinder by its centre and axis."""
    half = axis * length / 2
    return _rod(np.asarray(centre) - half, np.asarray(centre) + half, radius, colour)


def _motor(centre: ArrayLike, axis: NDArray[np.float64], length: float, radius: float) -> list[Part]:
    """A drive: black housing, a cooling ring and a bright cap on the side that `axis` points to."""
    centre, out = np.asarray(centre, float), axis * length / 2
    return [
        _disc(centre, axis, length, radius, "motor"),
        _disc(centre + 0.35 * out, axis, 0.12 * length, 1.04 * radius, "trim"),
        _disc(centre + out, axis, 0.10 * length, 0.80 * radius, "metal"),
        _disc(centre + 1.1 * out, axis, 0.10 * length, 0.42 * radius, "shell"),
    ]


def _rounded_box(size: ArrayLike, xyz: ArrayLike, radius: float, colour: str) -> list[Part]:
    """A box whose four edges along y are round."""
    (length, width, height), centre = np.asarray(size, float), np.asarray(xyz, float)
    corners = [
        np.array([sx * (length / 2 - radius), 0, sz * (height / 2 - radius)]) for sx in (-1, 1) for sz in (-1, 1)
    ]
    return [
        _box([length - 2 * radius, width, height], centre, colour),
        _box([length, 0.998 * width, height - 2 * radius], centre, colour),
        *(_disc(centre + corner, Y_AXIS, 0.995 * width, radius, colour) for corner in corners),
    ]


def _beam(start: ArrayLike, end: ArrayLike, radii: tuple[float, float], thickness: float, colour: str) -> list[Part]:
    """A beam in a plane of constant y that narrows from `radii[0]` to `radii[1]`, with round ends."""
    start, end = np.asarray(start, float), np.asarray(end, float)
    along = (end - start) / np.linalg.norm(end - start)
    across = np.cross(Y_AXIS, along)
    width = max(radii[0] - radii[1], radii[1])
    parts = [
        _disc(point, Y_AXIS, 1.02 * thickness, radius, colour)
        for point, radius in zip((start, end), radii, strict=True)
    ]
    for side in (-1, 1):
        a, b = (point + side * (radius - width / 2) * across for point, radius in zip((start, end), radii, strict=True))
        edge = b - a
        size = [width, thickness, float(np.linalg.norm(edge))]
        parts.append(_box(size, (a + b) / 2, colour, pitch=float(np.arctan2(edge[0], edge[2]))))
    return parts


def _base_visuals(robot: dict[str, Any]) -> list[Part]:
    """The torso: rounded shell, camera head, battery with a handle, and the pelvis that carries the abad drives."""
    shell = robot["links"]["base_Link"]["collision"][0]
    (length, width, height), centre = shell["size"], np.array(shell["xyz"])
    front, back, top, bottom = length / 2, -length / 2, height / 2, -height / 2
    abad = np.array(robot["joints"]["abad_L_Joint"]["xyz"])
    reach = abad - centre

    def at(x: float, y: float, z: float) -> NDArray[np.float64]:
        """A point of the base frame given from the middle of the shell."""
        return centre + np.array([x, y, z])

    parts = [
        *_rounded_box([length, 0.80 * width, height], centre, 0.045, "shell"),
        *_rounded_box([0.90 * length, 0.97 * width, 0.82 * height], centre, 0.035, "trim"),
        *_rounded_box([0.62 * length, width, 0.45 * height], centre, 0.02, "shell"),
        _box([0.30 * length, 1.01 * width, 0.014], at(0, 0, 0.05 * height), "light"),
        _box([0.02, 0.60 * width, 0.28 * height], at(front - 0.004, 0, 0.10 * height), "glass"),
        _box([0.02, 0.60 * width, 0.007], at(front - 0.003, 0, 0.27 * height), "light"),
        _box([0.02, 0.34 * width, 0.08 * height], at(front - 0.006, 0, -0.22 * height), "motor"),
        *_rounded_box([0.06, 0.56 * width, 0.70 * height], at(back, 0, 0), 0.02, "trim"),
        _box([0.02, 0.30 * width, 0.02], at(back - 0.025, 0, 0.18 * height), "accent"),
        _rod(at(0.55 * back, -0.06, top + 0.03), at(0.55 * back, 0.06, top + 0.03), 0.010, "motor"),
    ]
    for side in (-1, 1):
        eye = at(front + 0.006, side * 0.17 * width, 0.10 * height)
        post = (0.55 * back, side * 0.06)
        parts += [
            _disc(eye, X_AXIS, 0.012, 0.017, "trim"),
            _disc(eye, X_AXIS, 0.016, 0.012, "glass"),
            _rod(at(*post, top - 0.03), at(*post, top + 0.03), 0.010, "motor"),
            *_motor(abad * [1, side, 1] + 0.035 * X_AXIS, X_AXIS, 0.06, 0.047),
        ]
    neck_top, neck_bottom = bottom + 0.02, reach[2] - 0.02
    parts += [
        _box([0.085, 0.12, neck_top - neck_bottom], at(reach[0] + 0.02, 0, (neck_top + neck_bottom) / 2), "trim"),
        _box([0.055, 2 * abs(abad[1]), 0.055], at(reach[0] + 0.033, 0, reach[2]), "trim"),
        _box([0.13, 0.17, 0.03], at(reach[0] + 0.005, 0, bottom - 0.005), "motor"),
    ]
    return parts


def _leg_visuals(robot: dict[str, Any], side: str) -> dict[str, list[Part]]:
    """The leg: bracket with hip drive, thigh with knee drive, tapered shank, ball foot."""
    joints = robot["joints"]
    out = Y_AXIS * (1.0 if side == "L" else -1.0)
    hip, knee, foot = (np.array(joints[f"{part}_{side}_Joint"]["xyz"]) for part in ("hip", "knee", "foot"))
    leg_plane = knee * [0, 1, 0]
    radius = robot["links"][f"foot_{side}_Link"]["collision"][0]["radius"]
    hip_drive = hip + 0.030 * out
    middle, ankle = leg_plane + 0.52 * (knee - leg_plane), 0.93 * foot
    return {
        "abad": [
            _disc([-0.012, 0, 0], X_AXIS, 0.035, 0.046, "metal"),
            _rod([-0.02, 0.0, 0.0], hip_drive * [1, 0.6, 1], 0.034, "trim"),
            *_motor(hip_drive, out, 0.052, 0.053),
        ],
        "hip": [
            *_motor(leg_plane - 0.032 * out, -out, 0.044, 0.049),
            *_beam(leg_plane, knee, (0.046, 0.026), 0.030, "metal"),
            *_beam(leg_plane + 0.2 * (middle - leg_plane), middle, (0.030, 0.022), 0.036, "shell"),
            _disc(leg_plane, Y_AXIS, 0.036, 0.036, "shell"),
            _disc(knee, Y_AXIS, 0.046, 0.020, "motor"),
            _disc(knee, Y_AXIS, 0.050, 0.010, "accent"),
        ],
        "knee": [
            *_beam(np.zeros(3), ankle, (0.027, 0.012), 0.022, "shell"),
            *_beam(0.12 * foot, 0.60 * foot, (0.014, 0.008), 0.027, "trim"),
            _rod(0.80 * foot, 0.95 * foot, 0.014, "metal"),
        ],
        "foot": [
            _ball(radius, np.zeros(3), "rubber"),
            _rod(
                -0.62 * radius * foot / np.linalg.norm(foot),
                -1.25 * radius * foot / np.linalg.norm(foot),
                0.021,
                "trim",
            ),
        ],
    }


def _visuals(robot: dict[str, Any]) -> dict[str, list[Part]]:
    """The primitives of every link that is drawn."""
    legs = {f"{part}_{side}_Link": parts for side in "LR" for part, parts in _leg_visuals(robot, side).items()}
    return {"base_Link": _base_visuals(robot), **legs}


def _add_origin(parent: ElementTree.Element, xyz: ArrayLike, rpy: ArrayLike, digits: int = 17) -> None:
    """Adds the pose of something in its parent's frame."""
    ElementTree.SubElement(parent, "origin", xyz=_text(xyz, digits), rpy=_text(rpy, digits))


def _add_link(root: ElementTree.Element, name: str, link: dict[str, Any], parts: list[Part]) -> None:
    """Adds a link with its inertia, visuals and collision shapes."""
    element = ElementTree.SubElement(root, "link", name=name)
    inertial = ElementTree.SubElement(element, "inertial")
    _add_origin(inertial, link["com_xyz"], link["com_rpy"])
    ElementTree.SubElement(inertial, "mass", value=_text(link["mass"]))
    ElementTree.SubElement(inertial, "inertia", {key: _text(value) for key, value in link["inertia"].items()})
    for part in parts:
        visual = ElementTree.SubElement(element, "visual")
        _add_origin(visual, part.xyz, part.rpy, digits=5)
        ElementTree.SubElement(ElementTree.SubElement(visual, "geometry"), part.shape, part.size)
        ElementTree.SubElement(visual, "material", name=part.colour)
    for shape in link.get("collision", []):
        collision = ElementTree.SubElement(element, "collision")
        _add_origin(collision, shape["xyz"], shape["rpy"])
        size = {key: _text(shape[key]) for key in ("size", "length", "radius") if key in shape}
        ElementTree.SubElement(ElementTree.SubElement(collision, "geometry"), shape["shape"], size)


def _add_joint(root: ElementTree.Element, name: str, joint: dict[str, Any]) -> None:
    """Adds a fixed or revolute joint."""
    element = ElementTree.SubElement(root, "joint", name=name, type=joint["type"])
    _add_origin(element, joint["xyz"], joint["rpy"])
    ElementTree.SubElement(element, "parent", link=joint["parent"])
    ElementTree.SubElement(element, "child", link=joint["child"])
    if joint["type"] == "revolute":
        ElementTree.SubElement(element, "axis", xyz=_text(joint["axis"]))
        ElementTree.SubElement(element, "limit", {key: _text(value) for key, value in joint["limit"].items()})


def urdf_text(robot: dict[str, Any]) -> str:
    """Returns the URDF of a robot given the contents of its robot.yaml."""
    root = ElementTree.Element("robot", name=robot["robot"])
    root.append(ElementTree.Comment(" Written by generate_urdf.py from robot.yaml: change those instead. "))
    for name, colour in COLOURS.items():
        material = ElementTree.SubElement(root, "material", name=name)
        ElementTree.SubElement(material, "color", rgba=_text([*colour, 1.0]))
    visuals = _visuals(robot)
    for name, link in robot["links"].items():
        _add_link(root, name, link, visuals.get(name, []))
    for name, joint in robot["joints"].items():
        _add_joint(root, name, joint)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=False) + "\n"


def main() -> None:
    """Writes the URDF of every robot."""
    for path in sorted(ROBOTS_DIR.glob("*/robot.yaml")):
        urdf = path.parent / "urdf" / "robot.urdf"
        urdf.parent.mkdir(exist_ok=True)
        urdf.write_text(urdf_text(yaml.safe_load(path.read_text(encoding="utf-8"))), encoding="utf-8")
        print(urdf)


if __name__ == "__main__":
    main()
