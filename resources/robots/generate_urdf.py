"""Writes urdf/robot.urdf of every robot in this folder from its robot.yaml: run it after changing a number."""

from __future__ import annotations


from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import yaml

ROBOTS_DIR = Path(__file__).resolve().parent


def _text(values: Any) -> str:
    return " ".join(repr(float(value)) for value in values)


def _origin(parent, item, prefix=""):
    ElementTree.SubElement(parent, "origin", xyz=_text(item[f"{prefix}xyz"]), rpy=_text(item[f"{prefix}rpy"]))


def urdf_text(robot: dict[str, Any]) -> str:
    root = ElementTree.Element("robot", name=robot["robot"])
    for name, link in robot["links"].items():
        element = ElementTree.SubElement(root, "link", name=name)
        inertial = ElementTree.SubElement(element, "inertial")
        _origin(inertial, link, "com_")
        ElementTree.SubElement(inertial, "mass", value=repr(link["mass"]))
        ElementTree.SubElement(inertial, "inertia", {k: repr(v) for k, v in link["inertia"].items()})
        for shape in link.get("collision", []):
            collision = ElementTree.SubElement(element, "collision")
            _origin(collision, shape)
            geometry = ElementTree.SubElement(collision, "geometry")
            sizes = {
                k: _text(v) if k == "size" else repr(v) for k, v in shape.items() if k in ("size", "length", "radius")
            }
            ElementTree.SubElement(geometry, shape["shape"], sizes)
    for name, joint in robot["joints"].items():
        element = ElementTree.SubElement(root, "joint", name=name, type=joint["type"])
        _origin(element, joint)
        ElementTree.SubElement(element, "parent", link=joint["parent"])
        ElementTree.SubElement(element, "child", link=joint["child"])
        if "axis" in joint:
            ElementTree.SubElement(element, "axis", xyz=_text(joint["axis"]))
            ElementTree.SubElement(element, "limit", {k: repr(v) for k, v in joint["limit"].items()})
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


if __name__ == "__main__":
    for path in sorted(ROBOTS_DIR.glob("*/robot.yaml")):
        (path.parent / "urdf").mkdir(exist_ok=True)
        (path.parent / "urdf" / "robot.urdf").write_text(urdf_text(yaml.safe_load(path.read_text())))
