"""The robot's URDF as Isaac Gym needs it: the feet kept apart from their legs, and only what collides."""

import shutil
from pathlib import Path
from xml.etree import ElementTree

from legged_gym.sim.robot_model import RobotModel
from legged_gym.utils.errors import UserError

ASSET_FILE = "robot.urdf"


def write_asset(robot: RobotModel, folder: Path) -> None:
    """Write the robot's URDF, and the meshes it collides with, into a folder.

    Isaac Gym merges links over fixed joints unless the joint says not to. Visuals are left out: the trainer draws.

    Args:
        robot: The robot; its file is left as it is.
        folder: Where `ASSET_FILE` goes.

    Raises:
        UserError: A collision mesh is not there.
    """
    root = robot.urdf_root()
    for joint in root.iterfind("joint"):
        child = joint.find("child")
        if child is not None and child.get("link") in robot.foot_names:
            joint.set("dont_collapse", "true")
    for link in root.iterfind("link"):
        for visual in link.findall("visual"):
            link.remove(visual)
        for mesh in link.iterfind("collision/geometry/mesh"):
            source = robot.urdf.parent / mesh.get("filename", "").removeprefix("file://")
            if not source.is_file():
                raise UserError(f"{robot.urdf}: cannot find the collision mesh {source} of link {link.get('name')}")
            shutil.copy(source, folder)
            mesh.set("filename", source.name)
    ElementTree.ElementTree(root).write(folder / ASSET_FILE, encoding="unicode")
