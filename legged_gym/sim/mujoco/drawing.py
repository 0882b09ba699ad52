"""Overlays in MuJoCo's pictures, and a robot's outside read out of MuJoCo's model."""

import itertools
from collections.abc import Iterator

import mujoco
import numpy as np

from legged_gym.viewer.primitives import Arrow, Ball, Color, Layers, Path, Primitive
from legged_gym.viewer.view import Shape

_DRAWN_GROUPS = 3
"""Geoms of the groups below this are drawn by MuJoCo unless it is told otherwise."""
_KINDS = {
    mujoco.mjtGeom.mjGEOM_BOX: "box",
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere",
    mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder",
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: "ellipsoid",
    mujoco.mjtGeom.mjGEOM_MESH: "mesh",
}


def add_layers(scene: mujoco.MjvScene, layers: Layers) -> None:
    """Add overlays to MuJoCo's list of geoms, as long as there is room in it."""
    for primitives in layers.values():
        for primitive in primitives:
            _add(scene, primitive)


def _add(scene: mujoco.MjvScene, primitive: Primitive) -> None:
    if isinstance(primitive, Ball):
        geom = _new_geom(scene, mujoco.mjtGeom.mjGEOM_SPHERE, primitive.color, primitive.opacity)
        if geom is not None:
            geom.size[:], geom.pos[:] = primitive.radius, primitive.center
        return
    kind = mujoco.mjtGeom.mjGEOM_ARROW if isinstance(primitive, Arrow) else mujoco.mjtGeom.mjGEOM_CAPSULE
    for start, end in _segments(primitive):
        geom = _new_geom(scene, kind, primitive.color)
        if geom is not None:
            mujoco.mjv_connector(geom, kind, primitive.radius, start, end)


def _segments(primitive: Arrow | Path) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    points = [primitive.start, primitive.end] if isinstance(primitive, Arrow) else primitive.points
    yield from itertools.pairwise(points)


def _new_geom(
    scene: mujoco.MjvScene, kind: mujoco.mjtGeom, color: Color, opacity: float = 1.0
) -> mujoco.MjvGeom | None:
    if scene.ngeom >= scene.maxgeom:
        return None
    geom = scene.geoms[scene.ngeom]
    rgba = np.array((*color, opacity), dtype=np.float32)
    mujoco.mjv_initGeom(geom, kind, np.zeros(3), np.zeros(3), np.eye(3).ravel(), rgba)
    geom.category = mujoco.mjtCatBit.mjCAT_DECOR  # casts no shadow
    geom.emission = 0.4  # as bright in the shade
    scene.ngeom += 1
    return geom


def robot_shapes(model: mujoco.MjModel) -> list[Shape]:
    """Read what is drawn of the robot; its bodies are counted from 0, without the world."""
    drawn = (model.geom_bodyid > 0) & (model.geom_group < _DRAWN_GROUPS)
    geoms = [model.geom(int(i)) for i in np.flatnonzero(drawn)]
    return [_shape(model, geom) for geom in geoms if int(geom.type[0]) in _KINDS]


def _shape(model: mujoco.MjModel, geom: mujoco.MjStruct) -> Shape:
    material = int(geom.matid[0])
    rgba = geom.rgba if material < 0 else model.mat_rgba[material]
    mesh = model.mesh(int(geom.dataid[0])) if int(geom.type[0]) == mujoco.mjtGeom.mjGEOM_MESH else None
    vertices, faces = np.zeros((0, 3)), np.zeros((0, 3), dtype=int)
    if mesh is not None:
        first, count = int(mesh.vertadr[0]), int(mesh.vertnum[0])
        vertices = model.mesh_vert[first : first + count].astype(float)
        first, count = int(mesh.faceadr[0]), int(mesh.facenum[0])
        faces = model.mesh_face[first : first + count].astype(int)
    return Shape(
        body=int(geom.bodyid[0]) - 1,
        kind=_KINDS[mujoco.mjtGeom(int(geom.type[0]))],
        size=geom.size.copy(),
        position=geom.pos.copy(),
        quat_wxyz=geom.quat.copy(),
        color=(float(rgba[0]), float(rgba[1]), float(rgba[2])),
        vertices=vertices,
        faces=faces,
    )
