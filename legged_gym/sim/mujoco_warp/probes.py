"""The robots' contact shapes on terrain: each geom that collides is covered with spheres in rows."""

# mypy: ignore-errors
# Warp reads the class `Probes` itself: what it may hold is not in its Python types.

import math
from typing import NamedTuple

import mujoco
import numpy as np
import warp as wp

from legged_gym.utils.errors import UserError

SPACING = 0.75
"""Distance of the spheres in a row, in radii, at most: between two, an edge gets a fourteenth of a radius deeper."""


class Probe(NamedTuple):
    """Spheres in a row that stand for a part of a geom, in the geom's frame."""

    geom: int
    start: tuple[float, float, float]
    """Middle of the first sphere [m]."""
    step: tuple[float, float, float]
    """From one to the next [m]."""
    count: int
    radius: float
    """[m]"""


def probes_of(model: mujoco.MjModel) -> list[Probe]:
    """Cover the colliding geoms of a robot with spheres.

    Raises:
        UserError: A geom is of a kind that has no cover.
    """
    covers = {
        mujoco.mjtGeom.mjGEOM_SPHERE: _sphere,
        mujoco.mjtGeom.mjGEOM_CAPSULE: _capsule,
        mujoco.mjtGeom.mjGEOM_CYLINDER: _cylinder,
        mujoco.mjtGeom.mjGEOM_BOX: _box,
    }
    probes = []
    for geom in np.flatnonzero(model.geom_conaffinity):
        kind = mujoco.mjtGeom(model.geom_type[geom])
        if kind not in covers:
            raise UserError(f"geom {model.geom(geom).name}: {kind.name} cannot collide with terrain")
        probes += covers[kind](int(geom), model.geom_size[geom].tolist())
    return probes


def _sphere(geom: int, size: list[float]) -> list[Probe]:
    return [Probe(geom, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 1, size[0])]


def _capsule(geom: int, size: list[float]) -> list[Probe]:
    """Two rows, from the ends to the middle: lying, it has two contacts."""
    radius, half, _ = size
    count = math.ceil(half / (SPACING * radius))
    step = half / count
    return [Probe(geom, (0.0, 0.0, end * half), (0.0, 0.0, -end * step), count + (end > 0), radius) for end in (1, -1)]


def _cylinder(geom: int, size: list[float]) -> list[Probe]:
    """A capsule as long as it is; a disc is a sphere."""
    radius, half, _ = size
    return _capsule(geom, [radius, half - radius, 0.0]) if half > radius else _sphere(geom, size)


def _box(geom: int, size: list[float]) -> list[Probe]:
    """Points along the four edges that point along x: at the corners and half way."""
    x, y, z = size
    return [Probe(geom, (-x, sy * y, sz * z), (x, 0.0, 0.0), 3, 0.0) for sy in (-1, 1) for sz in (-1, 1)]


@wp.struct
class Probes:
    """All probes of a robot."""

    geom: wp.array[int]
    start: wp.array[wp.vec3]
    step: wp.array[wp.vec3]
    count: wp.array[int]
    radius: wp.array[float]


def put_probes(probes: list[Probe]) -> Probes:
    """Copy the probes to Warp's current device."""
    struct, (geom, start, step, count, radius) = Probes(), zip(*probes, strict=True)
    struct.geom, struct.count = (wp.array(list(x), dtype=int) for x in (geom, count))
    struct.start, struct.step = (wp.array(list(x), dtype=wp.vec3) for x in (start, step))
    struct.radius = wp.array(list(radius), dtype=float)
    return struct
