"""Scenes for plain MuJoCo: a robot's URDF with the figures of the maker's scene, or an MJCF as its owner made it."""

from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from legged_gym.deployment.contract import JOINTS, TORQUE_LIMIT
from legged_gym.deployment.engine import Physics
from legged_gym.terrain.lanes import FLAT_LENGTH, LANE_START, LANES
from legged_gym.utils.errors import UserError

FLOOR = "floor"
CONTACT_MARGIN = 0.001
"""Distance at which contacts begin to act [m], as in the maker's scene."""
TORSION, ROLLING = 0.005, 0.0001
"""MuJoCo's other two friction coefficients, at their defaults; condim 3 ignores them."""
LANE_LENGTH, LANE_WIDTH, LANE_MARGIN, LANE_CELL = 9.0, 5.0, 1.5, 0.025
"""Length of a lane ahead of the robot, its width, the ground behind the robot, and the width of a cell [m]."""


def root_tag(path: Path) -> str:
    """Return the name of a model file's outermost element: `robot` for a URDF, `mujoco` for an MJCF.

    Raises:
        UserError: The file is missing, or is neither.
    """
    try:
        tag = ElementTree.parse(path).getroot().tag
    except (OSError, ElementTree.ParseError) as error:
        raise UserError(f"--model {path}: cannot be read ({error})") from None
    if tag not in ("robot", "mujoco"):
        raise UserError(f"--model {path}: is neither a URDF nor an MJCF, its outermost element is <{tag}>")
    return tag


def load_spec(path: Path, physics: Physics) -> mujoco.MjSpec:
    """Build a scene from a model file.

    Args:
        path: A URDF, which gets ground, servos and all figures of `physics`, or an MJCF, which stays as it is.
        physics: The figures.

    Raises:
        UserError: MuJoCo cannot read the file.
    """
    is_urdf = root_tag(path) == "robot"
    try:
        spec = mujoco.MjSpec.from_file(str(path))
    except Exception as error:  # noqa: BLE001  MuJoCo raises several classes for files that it does not like
        raise _unusable(path, error) from None
    if is_urdf:
        _furnish(spec, physics)
    return spec


def compile_spec(spec: mujoco.MjSpec, path: Path) -> mujoco.MjModel:
    """Compile a scene.

    Raises:
        UserError: MuJoCo refuses it.
    """
    try:
        return spec.compile()
    except Exception as error:  # noqa: BLE001  see `load_spec`
        raise _unusable(path, error) from None


def _unusable(path: Path, error: Exception) -> UserError:
    return UserError(f"--model {path}: MuJoCo cannot use it ({' '.join(str(error).split())[:200]})")


def write_scene(path: Path, physics: Physics, out: Path) -> None:
    """Write the scene that the engine would simulate, as an MJCF that needs no other file.

    Args:
        path: URDF or MJCF.
        physics: The figures.
        out: File to write.
    """
    spec = load_spec(path, physics)
    compile_spec(spec, path)
    out.write_text(spec.to_xml())


def _furnish(spec: mujoco.MjSpec, physics: Physics) -> None:
    """Put a bare robot into a scene with the maker's figures."""
    spec.option.timestep = physics.timestep
    spec.option.cone = mujoco.mjtCone.mjCONE_PYRAMIDAL
    spec.compiler.fusestatic = False  # feet must remain bodies of their own
    base = spec.worldbody.first_body()
    if base is not None and base.first_joint() is None:
        base.add_freejoint()
    for joint in spec.joints:
        if joint.type != mujoco.mjtJoint.mjJNT_FREE:
            joint.armature = physics.armature
            joint.damping[0] = physics.joint_damping
    _add_ground(spec, physics.lane)
    # All collide with all: MuJoCo itself leaves out neighbours in the chain.
    for geom in spec.geoms:
        geom.contype = geom.conaffinity = 1
        geom.condim, geom.margin = 3, CONTACT_MARGIN
        geom.friction = [physics.body_friction, TORSION, ROLLING]
        geom.solref = [physics.contact_time_constant, 1.0]
    names = {joint.name for joint in spec.joints}
    for name in filter(names.__contains__, JOINTS):
        motor = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        motor.ctrllimited, motor.ctrlrange = mujoco.mjtLimited.mjLIMITED_TRUE, [-TORQUE_LIMIT, TORQUE_LIMIT]


def _add_ground(spec: mujoco.MjSpec, lane: str) -> None:
    spec.worldbody.add_light(pos=[0, 0, 4], dir=[0, 0, -1], type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL)
    if not lane:
        spec.worldbody.add_geom(name=FLOOR, type=mujoco.mjtGeom.mjGEOM_PLANE, size=[0, 0, 1])
        return
    heights = lane_heights(lane)  # (nx, ny)
    low, high = float(heights.min()), float(heights.max())
    nx, ny = heights.shape
    size = [0.5 * (nx - 1) * LANE_CELL, 0.5 * (ny - 1) * LANE_CELL, max(high - low, 0.01), 0.5]
    field = spec.add_hfield(name=FLOOR, nrow=ny, ncol=nx, size=size)
    field.userdata = heights.T.flatten() - low  # rows along y; MuJoCo itself scales the values to 0 .. 1
    middle = [size[0] - LANE_MARGIN, 0.0, low]
    spec.worldbody.add_geom(name=FLOOR, type=mujoco.mjtGeom.mjGEOM_HFIELD, hfieldname=FLOOR, pos=middle)


def lane_heights(lane: str) -> np.ndarray:
    """Return a lane's heights [m] on a grid of `LANE_CELL`; the robot starts `LANE_MARGIN` from the near end.

    Returns:
        Shape (nx, ny).
    """
    x = np.arange(round((LANE_LENGTH + LANE_MARGIN) / LANE_CELL) + 1) * LANE_CELL - LANE_MARGIN
    y = np.arange(round(LANE_WIDTH / LANE_CELL) + 1) * LANE_CELL
    along = x[:, None] - (FLAT_LENGTH - LANE_START)
    return LANES[lane](along, y[None], np.random.default_rng(0))


def lane_height(heights: np.ndarray, x: float, y: float) -> float:
    """Return the height of the nearest sample of `lane_heights` [m]; x, y [m] are counted from the start."""
    i = round((x + LANE_MARGIN) / LANE_CELL)
    j = round((y + 0.5 * LANE_WIDTH) / LANE_CELL)
    nx, ny = heights.shape
    return float(heights[min(max(i, 0), nx - 1), min(max(j, 0), ny - 1)])
