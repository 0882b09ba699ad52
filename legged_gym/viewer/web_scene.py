"""Draws a `View` into a viser page: robot, ghosts, ground and overlays."""

from typing import Any

import numpy as np
import trimesh
import viser

from legged_gym.viewer.primitives import Arrow, Ball, Color, Layers, Path, Primitive, moved
from legged_gym.viewer.view import Body, Ground, Shape, View

GHOST_OPACITY = 0.25
GROUND_COLORS = ((0.52, 0.56, 0.60), (0.44, 0.48, 0.53))
"""Colours of the two kinds of squares on a ground with heights."""
PLANE_SIZE = 60.0
"""Side of the plane that is drawn around the robot [m]."""
CELL = 1.0
"""Period of the pattern on the plane, which moves by multiples of it [m]."""


class WebScene:
    """Draws the scene in the page. The world moves and the robot stays in the middle, so that the camera follows it."""

    def __init__(self, scene: viser.SceneApi, body: Body, plane: bool) -> None:
        """Draw the robot and the ground.

        Args:
            scene: The page's scene.
            body: The robot.
            plane: Whether the ground is the plane z = 0; else each `View` brings its ground.
        """
        self._scene, self._body = scene, body
        scene.set_up_direction("+z")
        scene.configure_default_lights(cast_shadow=True)
        scene.set_background_image(_sky())
        self._world = scene.add_frame("/world", show_axes=False)
        self._meshes = merged_meshes(body.shapes)
        self._robot = {
            index: scene.add_mesh_trimesh(f"/world/robot/{index}", mesh) for index, mesh in self._meshes.items()
        }
        self._ghosts: dict[int, Any] = {}
        self._num_ghosts = 0
        self._plane = None if not plane else _add_plane(scene)
        self._ground: list[Any] = []
        self._drawn: dict[tuple[str, int], tuple[type, Any]] = {}

    def show(self, view: View) -> None:
        """Draw a picture."""
        x, y, z = view.poses[0, :3]
        origin = np.array((-x, -y, 0.0 if self._plane is not None else -self._level(z)))
        self._world.position = origin
        if self._plane is not None:
            self._plane.position = (CELL * round(x / CELL), CELL * round(y / CELL), 0.0)
        positions, quats = self._body.places(view.poses[0])
        for index, handle in self._robot.items():
            handle.position, handle.wxyz = positions[index], quats[index]
        self._show_ghosts(view.poses[1:])
        if view.ground is not None:
            self._show_ground(view.ground)
        # Relative to the robot: a slow browser shows arrows late, but still in the right place on the robot.
        self._show_layers({name: [moved(each, origin) for each in drawn] for name, drawn in view.layers.items()})

    def _level(self, z: float) -> float:
        """Height [m] of the picture's middle. It follows the robot slowly, so that steps do not shake the picture."""
        self._height = z - 0.7 + 0.97 * (getattr(self, "_height", z - 0.7) - (z - 0.7))
        return self._height

    def _show_ghosts(self, poses: np.ndarray) -> None:
        if len(poses) != self._num_ghosts:
            for handle in self._ghosts.values():
                handle.remove()
            self._ghosts, self._num_ghosts = {}, len(poses)
        if not len(poses):
            return
        places = [self._body.places(pose) for pose in poses]
        positions, quats = (np.stack(part) for part in zip(*places, strict=True))  # (R, B, ·)
        for index, mesh in self._meshes.items():
            position, quat = positions[:, index].astype(np.float32), quats[:, index].astype(np.float32)
            if index in self._ghosts:
                handle = self._ghosts[index]
                handle.batched_positions, handle.batched_wxyzs = position, quat
                continue
            self._ghosts[index] = self._scene.add_batched_meshes_simple(
                f"/world/ghosts/{index}",
                mesh.vertices,
                mesh.faces,
                quat,
                position,
                batched_colors=(150, 165, 185),
                opacity=GHOST_OPACITY,
                cast_shadow=False,
            )

    def _show_ground(self, ground: Ground) -> None:
        """Draw the ground as a chequerboard with squares of `CELL`: without it one does not see the robot move."""
        for handle in self._ground:
            handle.remove()
        middles = ground.vertices[ground.faces, :2].mean(axis=1)
        dark = np.floor(middles / CELL).sum(-1) % 2 > 0.0
        self._ground = [
            self._scene.add_mesh_simple(
                f"/world/ground/{name}",
                ground.vertices.astype(np.float32),
                ground.faces[squares].astype(np.uint32),
                color=_bytes(color),
                flat_shading=True,
                cast_shadow=False,
            )
            for name, squares, color in zip(("light", "dark"), (~dark, dark), GROUND_COLORS, strict=True)
        ]

    def _show_layers(self, layers: Layers) -> None:
        """Move primitives that are drawn already, add new ones, and hide the rest."""
        wanted = {(name, i): primitive for name, drawn in layers.items() for i, primitive in enumerate(drawn)}
        for place, primitive in wanted.items():
            if place in self._drawn:
                kind, handle = self._drawn[place]
                if kind is type(primitive) and _move(handle, primitive):
                    handle.visible = True
                    continue
                handle.remove()
            self._drawn[place] = type(primitive), self._add("/overlay/{}/{}".format(*place), primitive)
        for place, (_, handle) in self._drawn.items():
            if place not in wanted:
                handle.visible = False

    def _add(self, name: str, primitive: Primitive) -> Any:
        color = _bytes(primitive.color)
        if isinstance(primitive, Arrow):
            points, radius = np.stack((primitive.start, primitive.end))[None], primitive.radius
            size = {"shaft_radius": radius, "head_radius": 2.5 * radius, "head_length": 5.0 * radius}
            return self._scene.add_arrows(name, points, color, **size)
        if isinstance(primitive, Path):
            return self._scene.add_line_segments(
                name, _pairs(primitive), color, thickness=2.0 * primitive.radius, thickness_units="world"
            )
        opacity = primitive.opacity if primitive.opacity < 1.0 else None
        return self._scene.add_icosphere(
            name, primitive.radius, color, opacity=opacity, position=primitive.center, cast_shadow=False
        )


def _move(handle: Any, primitive: Primitive) -> bool:
    """Move a primitive that is drawn already; return whether that is possible."""
    if isinstance(primitive, Ball):
        handle.position = primitive.center
    elif isinstance(primitive, Arrow):
        handle.points = np.stack((primitive.start, primitive.end))[None].astype(np.float32)
    else:
        pairs = _pairs(primitive)
        if pairs.shape != handle.points.shape:
            return False
        handle.points = pairs
    return True


def _pairs(path: Path) -> np.ndarray:
    return np.stack((path.points[:-1], path.points[1:]), axis=1).astype(np.float32)


def _bytes(color: Color) -> tuple[int, int, int]:
    red, green, blue = (round(255 * share) for share in color)
    return red, green, blue


def _add_plane(scene: viser.SceneApi) -> viser.GridHandle:
    return scene.add_grid(
        "/world/plane",
        PLANE_SIZE,
        PLANE_SIZE,
        cell_size=CELL / 2,
        cell_color=(150, 158, 168),
        section_size=CELL,
        section_color=(120, 128, 138),
        fade_distance=25.0,
        shadow_opacity=0.35,
        plane_color=(176, 182, 190),
        plane_opacity=1.0,
    )


def _sky() -> np.ndarray:
    """Blue above, nearly white at the horizon. Shape (H, 1, 3), uint8."""
    share = np.linspace(0.0, 1.0, 128)[:, None, None] ** 0.7
    top, bottom = np.array((158.0, 194.0, 230.0)), np.array((240.0, 243.0, 247.0))
    return np.repeat((top + share * (bottom - top)).astype(np.uint8), 2, axis=1)


def merged_meshes(shapes: list[Shape]) -> dict[int, trimesh.Trimesh]:
    """Make one coloured mesh of all shapes of each body, in the body's frame."""
    parts: dict[int, list[trimesh.Trimesh]] = {}
    for shape in shapes:
        mesh = _mesh(shape)
        rotation = trimesh.transformations.quaternion_matrix(shape.quat_wxyz)
        rotation[:3, 3] = shape.position
        mesh.apply_transform(rotation)
        if shape.kind not in ("sphere", "ellipsoid", "capsule"):
            mesh.unmerge_vertices()  # keeps edges sharp
        mesh.visual = trimesh.visual.ColorVisuals(mesh, vertex_colors=[*_bytes(shape.color), 255])
        parts.setdefault(shape.body, []).append(mesh)
    return {body: trimesh.util.concatenate(meshes) for body, meshes in parts.items()}


def _mesh(shape: Shape) -> trimesh.Trimesh:
    size = shape.size
    if shape.kind == "mesh":
        return trimesh.Trimesh(shape.vertices, shape.faces, process=False)
    if shape.kind == "box":
        return trimesh.creation.box(extents=2.0 * size)
    if shape.kind == "capsule":
        return trimesh.creation.capsule(height=2.0 * size[1], radius=size[0], count=(16, 16))
    if shape.kind == "cylinder":
        return trimesh.creation.cylinder(radius=size[0], height=2.0 * size[1], sections=32)
    ball = trimesh.creation.icosphere(subdivisions=3)
    ball.apply_scale(size if shape.kind == "ellipsoid" else size[0])
    return ball
