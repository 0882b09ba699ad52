"""Contacts with a height field for MuJoCo Warp, in closed form: they replace the engine's own.

The engine takes every triangle of a field for a body and runs an iterative search on each: slow where a large shape
lies on many of them, wrong in one float32 contact of a thousand, and a foot that is stamped between two of them is held
from both sides. Here robots are spheres and rows of spheres (`probes`), the field is one surface, and a contact is its
nearest point.
"""

# mypy: ignore-errors
# Warp compiles these functions itself: what they may do with an array is not in its Python types.

import math

import torch
import warp as wp

from legged_gym.sim.mujoco_warp.probes import Probes
from legged_gym.terrain.terrain import Terrain

wp.set_module_options({"enable_backward": False})

CONTACTS_PER_PROBE = wp.constant(3)
"""Most contacts of a row of spheres: a floor and two walls."""
ALIKE = wp.constant(0.8)
"""Cosine of the angle between normals below which contacts are two."""
LITTLE = wp.constant(0.02)
"""Length of a small step, in cells."""
FAR = wp.constant(1.0e6)
"""A robot that is farther away [m] is broken and touches nothing."""
COARSE = 8
"""Cells along the side of the blocks whose highest sample tells at once that a sphere is above the ground."""

vec5 = wp.types.vector(length=5, dtype=wp.float32)


@wp.struct
class Field:
    """The map on the device, see `Terrain`."""

    heights: wp.array2d[float]
    ceiling: wp.array2d[float]
    """Highest sample within a sphere's reach of each block of cells [m]."""
    cell: float
    low_x: float
    low_y: float
    """Position of sample (0, 0) [m]."""


def put_field(terrain: Terrain, reach: float, device: torch.device) -> Field:
    """Copy the map to the device.

    Args:
        terrain: The map.
        reach: How far from its middle a sphere looks for the ground [m].
        device: Where the robots are.
    """
    heights = torch.as_tensor(terrain.heights).to(device)
    around = math.ceil(reach / terrain.horizontal_scale) + 1
    padded = torch.nn.functional.pad(
        heights[None], (around, around + COARSE, around, around + COARSE), mode="replicate"
    )
    ceiling = torch.nn.functional.max_pool2d(padded, COARSE + 2 * around, COARSE).squeeze(0)
    field = Field()
    field.heights, field.ceiling = wp.from_torch(heights), wp.from_torch(ceiling)
    field.cell = terrain.horizontal_scale
    field.low_x, field.low_y = (-half for half in terrain.half_size)
    return field


@wp.func
def height(field: Field, x: float, y: float) -> float:
    """Height of the surface [m], see `Terrain.height`."""
    rows = field.heights.shape[0]
    cols = field.heights.shape[1]
    u = wp.clamp((x - field.low_x) / field.cell, 0.0, float(rows - 1))
    v = wp.clamp((y - field.low_y) / field.cell, 0.0, float(cols - 1))
    i = wp.min(int(u), rows - 2)
    j = wp.min(int(v), cols - 2)
    u = u - float(i)
    v = v - float(j)
    near = field.heights[i, j]
    far = field.heights[i + 1, j + 1]
    corner = field.heights[i, j + 1]
    if u > v:
        corner = field.heights[i + 1, j]
    return near + wp.max(u, v) * (corner - near) + wp.min(u, v) * (far - corner)


@wp.func
def is_above(field: Field, point: wp.vec3) -> bool:
    """Tell whether all ground nearby is lower than a point, or there is none."""
    i = int(wp.floor((point[0] - field.low_x) / field.cell)) // COARSE
    j = int(wp.floor((point[1] - field.low_y) / field.cell)) // COARSE
    if i < 0 or j < 0 or i >= field.ceiling.shape[0] or j >= field.ceiling.shape[1]:
        return True
    return point[2] > field.ceiling[i, j]


@wp.func
def nearest_on_triangle(p: wp.vec3, a: wp.vec3, b: wp.vec3, c: wp.vec3) -> wp.vec3:
    """Nearest point of a triangle: by the region of the plane that p is over."""
    ab = b - a
    ac = c - a
    ap = p - a
    d1 = wp.dot(ab, ap)
    d2 = wp.dot(ac, ap)
    if d1 <= 0.0 and d2 <= 0.0:
        return a
    bp = p - b
    d3 = wp.dot(ab, bp)
    d4 = wp.dot(ac, bp)
    if d3 >= 0.0 and d4 <= d3:
        return b
    vc = d1 * d4 - d3 * d2
    if vc <= 0.0 and d1 >= 0.0 and d3 <= 0.0:
        return a + (d1 / (d1 - d3)) * ab
    cp = p - c
    d5 = wp.dot(ab, cp)
    d6 = wp.dot(ac, cp)
    if d6 >= 0.0 and d5 <= d6:
        return c
    vb = d5 * d2 - d1 * d6
    if vb <= 0.0 and d2 >= 0.0 and d6 <= 0.0:
        return a + (d2 / (d2 - d6)) * ac
    va = d3 * d6 - d5 * d4
    if va <= 0.0 and d4 >= d3 and d5 >= d6:
        return b + ((d4 - d3) / ((d4 - d3) + (d5 - d6))) * (c - b)
    return a + ab * (vb / (va + vb + vc)) + ac * (vc / (va + vb + vc))


@wp.func
def is_nearest_around(field: Field, centre: wp.vec3, point: wp.vec3, distance: float) -> bool:
    """Tell whether the surface gets no nearer a little way from a point of it towards the centre, along x, y and both:
    if it does, the point is just where the triangle ends, and what is beyond is one with it. Nor is ground above the
    centre ever the nearest around, as the field does not overhang.
    """
    if point[2] > centre[2]:
        return False
    step_x = wp.sign(centre[0] - point[0]) * LITTLE * field.cell
    step_y = wp.sign(centre[1] - point[1]) * LITTLE * field.cell
    for k in range(3):
        x = point[0]
        y = point[1]
        if k != 1:
            x = x + step_x
        if k != 0:
            y = y + step_y
        if wp.length(centre - wp.vec3(x, y, height(field, x, y))) < distance - 1.0e-5:
            return False
    return True


@wp.func
def touch(
    field: Field, centre: wp.vec3, reach: float, limit: float, below: bool, first: wp.vec3, second: wp.vec3
) -> wp.vec4:
    """Find the ground nearest to a point, in another direction than those two.

    Args:
        field: The map.
        centre: [m, world].
        reach: How far away along x and y to look [m].
        limit: How far away at most [m].
        below: The point is under the surface.
        first: A direction, zero for none.
        second: Another one.

    Returns:
        Direction from the ground to free space, and distance [m], negative under the surface; 0, 0, 0 and the limit if
        there is no such ground.
    """
    normal = wp.vec3(0.0, 0.0, 0.0)
    nearest = float(limit)
    later = wp.length_sq(first) > 0.0
    low_i = wp.max(int(wp.floor((centre[0] - reach - field.low_x) / field.cell)), 0)
    low_j = wp.max(int(wp.floor((centre[1] - reach - field.low_y) / field.cell)), 0)
    high_i = wp.min(int(wp.floor((centre[0] + reach - field.low_x) / field.cell)), field.heights.shape[0] - 2)
    high_j = wp.min(int(wp.floor((centre[1] + reach - field.low_y) / field.cell)), field.heights.shape[1] - 2)
    for i in range(low_i, high_i + 1):
        for j in range(low_j, high_j + 1):
            x = field.low_x + field.cell * float(i)
            y = field.low_y + field.cell * float(j)
            a = wp.vec3(x, y, field.heights[i, j])
            d = wp.vec3(x + field.cell, y + field.cell, field.heights[i + 1, j + 1])
            along_x = wp.vec3(x + field.cell, y, field.heights[i + 1, j])
            along_y = wp.vec3(x, y + field.cell, field.heights[i, j + 1])
            off_x = wp.max(wp.max(x - centre[0], centre[0] - d[0]), 0.0)
            off_y = wp.max(wp.max(y - centre[1], centre[1] - d[1]), 0.0)
            highest = wp.max(wp.max(a[2], d[2]), wp.max(along_x[2], along_y[2]))
            if highest > centre[2] - nearest and off_x * off_x + off_y * off_y < nearest * nearest:
                for half in range(2):
                    b = along_x
                    c = d
                    if half == 1:
                        b = d
                        c = along_y
                    point = nearest_on_triangle(centre, a, b, c)
                    off = centre - point
                    distance = wp.length(off)
                    if distance < nearest:
                        towards = wp.normalize(wp.cross(b - a, c - a))
                        if distance > 1.0e-6:
                            towards = off / distance
                            if below:
                                towards = -towards
                        other = wp.max(wp.dot(towards, first), wp.dot(towards, second)) < ALIKE
                        if other and (not later or is_nearest_around(field, centre, point, distance)):
                            nearest = distance
                            normal = towards
    if below:
        nearest = -nearest
    return wp.vec4(normal[0], normal[1], normal[2], nearest)


@wp.kernel
def collide(
    field: Field,
    probes: Probes,
    ground: int,
    most: int,
    geom_pos: wp.array2d[wp.vec3],
    geom_rot: wp.array2d[wp.mat33],
    geom_friction: wp.array2d[wp.vec3],
    geom_solref: wp.array2d[wp.vec2],
    geom_solimp: wp.array2d[vec5],
    count: wp.array[int],
    contact_dist: wp.array[float],
    contact_pos: wp.array[wp.vec3],
    contact_frame: wp.array[wp.mat33],
    contact_includemargin: wp.array[float],
    contact_friction: wp.array[vec5],
    contact_solref: wp.array[wp.vec2],
    contact_solreffriction: wp.array[wp.vec2],
    contact_solimp: wp.array[vec5],
    contact_dim: wp.array[int],
    contact_geom: wp.array[wp.vec2i],
    contact_efc_address: wp.array2d[int],
    contact_world: wp.array[int],
    contact_type: wp.array[int],
    contact_number: wp.array[int],
    contact_adhesion: wp.array[float],
) -> None:
    """Add a probe's contacts with the field to the engine's list. Over (probes, N): neighbouring threads do the same.

    The deepest sphere of a row counts. It touches the nearest ground and, in a corner, the nearest ground in up to two
    more directions.
    """
    probe, robot = wp.tid()
    geom = probes.geom[probe]
    radius = probes.radius[probe]
    rot = geom_rot[robot, geom]
    start = geom_pos[robot, geom] + rot * probes.start[probe]
    step = rot * probes.step[probe]
    if not (wp.length(start) < FAR):
        return
    reach = wp.max(radius, field.cell)
    none = wp.vec3(0.0, 0.0, 0.0)
    centre = start
    deepest = wp.vec4(0.0, 0.0, 0.0, radius)
    below = bool(False)  # noqa: UP018 - Warp takes a literal for a constant
    for k in range(probes.count[probe]):
        middle = start + float(k) * step
        if not is_above(field, middle - wp.vec3(0.0, 0.0, radius)):
            buried = height(field, middle[0], middle[1]) > middle[2]
            limit = radius
            if buried:
                limit = FAR
            found = touch(field, middle, reach, limit, buried, none, none)
            if found[3] < deepest[3]:
                deepest = found
                centre = middle
                below = buried
    first = none
    second = none
    number = int(0)  # noqa: UP018, RUF046
    while deepest[3] < radius and number < CONTACTS_PER_PROBE:
        normal = wp.vec3(deepest[0], deepest[1], deepest[2])
        distance = deepest[3] - radius
        tangent = wp.vec3(0.0, 1.0, 0.0)
        if wp.abs(normal[1]) > 0.5:
            tangent = wp.vec3(0.0, 0.0, 1.0)
        tangent = wp.normalize(tangent - wp.dot(tangent, normal) * normal)
        other = wp.cross(normal, tangent)
        contact = wp.atomic_add(count, 0, 1)
        if contact < most:
            friction = geom_friction[robot % geom_friction.shape[0], geom]
            contact_dist[contact] = distance
            contact_pos[contact] = centre - (radius + 0.5 * distance) * normal
            contact_frame[contact] = wp.matrix_from_rows(normal, tangent, other)
            contact_includemargin[contact] = 0.0
            slide = wp.max(friction[0], 1.0e-5)
            contact_friction[contact] = vec5(slide, slide, friction[1], friction[2], friction[2])
            contact_solref[contact] = geom_solref[robot % geom_solref.shape[0], geom]
            contact_solreffriction[contact] = wp.vec2(0.0, 0.0)
            contact_solimp[contact] = geom_solimp[robot % geom_solimp.shape[0], geom]
            contact_dim[contact] = 3
            contact_geom[contact] = wp.vec2i(ground, geom)
            for k in range(contact_efc_address.shape[1]):
                contact_efc_address[contact, k] = -1
            contact_world[contact] = robot
            contact_type[contact] = 1
            contact_number[contact] = number
            contact_adhesion[contact] = 0.0
        number += 1
        if number == 1:
            first = normal
        else:
            second = normal
        if below or radius == 0.0:
            deepest = wp.vec4(0.0, 0.0, 0.0, radius)
        else:
            deepest = touch(field, centre, reach, radius, False, first, second)
