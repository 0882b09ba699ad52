"""The robot's numbers: kinematics, masses and limits, read from its URDF without any physics engine.

The robot is a biped with three joints per leg and a spherical point foot. Its links carry the names of `BODY_NAMES` or
are mapped to them (`link_names` in robot.yaml); its leg frames are parallel to the base frame at zero joint angles.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from legged_gym.sim.robot_files import DEFAULT_ROBOT_TYPE, RobotFiles, find_robot, robot_types, robot_urdf, robots_dir
from legged_gym.sim.urdf import (
    BASE_NAME,
    BODY_NAMES,
    FOOT_NAMES,
    JOINT_ORDER,
    LEG_JOINTS,
    LEG_LINKS,
    SIDES,
    Array,
    UrdfTree,
    leg_ends,
)
from legged_gym.utils.errors import UserError

__all__ = [
    "BASE_NAME",
    "BODY_NAMES",
    "DEFAULT_ROBOT_TYPE",
    "FOOT_NAMES",
    "JOINT_ORDER",
    "LEG_JOINTS",
    "LEG_LINKS",
    "SIDES",
    "RobotModel",
    "find_robot",
    "robot_types",
    "robot_urdf",
    "robots_dir",
]

CORNER_SHARE = 0.6
"""Corner speed of a motor as a share of its no-load speed, if robot.yaml does not give it."""


@dataclass(frozen=True, eq=False)
class RobotModel:
    """Kinematics and masses of the robot, float64. Side 0 is the left leg, side 1 the right one."""

    name: str
    """The robot's folder's name: ROBOT_TYPE for those of the package."""
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

    def urdf_root(self) -> ElementTree.Element:
        """Read the file again, for an engine: links and leg joints under our names, no engine's own settings."""
        return UrdfTree(self.urdf).root

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
        files, tree = RobotFiles.of(urdf), UrdfTree(urdf)
        joints = [tree.joint(f"{part}_{side}_Joint", *ends) for side in SIDES for part, ends in leg_ends(side)]
        offsets = np.array([tree.offset(joint) for joint in joints]).reshape(2, 4, 3)
        merged = {name: tree.merged_mass(name) for name in BODY_NAMES}
        legs = [[merged[f"{part}_{side}_Link"] for part in LEG_LINKS] for side in SIDES]
        moving = [joint for joint in joints if joint.get("type") == "revolute"]
        tree.check_all_known(moving)
        limits = np.array([tree.limits(joint) for joint in moving])  # (6, 4)
        velocity_limits = limits[:, 3]
        corner, no_load = _motor_speeds(files, velocity_limits)
        return cls(
            name=files.name,
            urdf=urdf,
            joint_names=JOINT_ORDER,
            joint_limits=limits[:, :2],
            torque_limits=limits[:, 2],
            velocity_limits=velocity_limits,
            corner_speeds=corner * np.ones(len(moving)),
            no_load_speeds=no_load * np.ones(len(moving)),
            joint_axes=np.array([tree.axis(joint) for joint in moving]),
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


def _motor_speeds(files: RobotFiles, velocity_limits: Array) -> tuple[Array, Array]:
    """Corner speed and no-load speed of the motors [rad/s], from the `motor` entry of robot.yaml.

    Without one, a motor is taken to have no torque left at the URDF's velocity limit: an assumption on the safe side.

    Raises:
        UserError: The entry is not usable.
    """
    file, motor = files.folder / "robot.yaml", files.facts().get("motor")
    if motor is None:
        return CORNER_SHARE * velocity_limits, velocity_limits
    try:
        corner, no_load = float(motor["corner_speed"]), float(motor["no_load_speed"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{file}: motor needs corner_speed and no_load_speed [rad/s], has {motor}") from None
    if not 0.0 <= corner < no_load < np.inf:
        raise UserError(f"{file}: motor.corner_speed must lie between 0 and no_load_speed, got {corner} and {no_load}")
    return np.array(corner), np.array(no_load)
