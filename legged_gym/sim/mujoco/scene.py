"""Pictures of robots, drawn by MuJoCo for every simulator."""

from __future__ import annotations

from dataclasses import replace

import mujoco
import numpy as np

from legged_gym.sim.mujoco.drawing import add_layers, robot_shapes
from legged_gym.sim.mujoco.spec import CAMERA_NAME, GROUND_NAME, build_spec, compile_spec
from legged_gym.sim.mujoco.terrain import HeightField
from legged_gym.sim.robot_model import RobotModel
from legged_gym.terrain.terrain import Terrain
from legged_gym.viewer.primitives import Layers
from legged_gym.viewer.view import Shape

EXTENT = 12.0
"""Side of the part of a terrain that is drawn [m]."""
GHOST_COLOR, GHOST_OPACITY = (0.75, 0.82, 0.92), 0.15
"""Colour and opacity of robots besides the one in focus."""
DRAWN_CELL = 0.05
"""Smallest width of the cells that are drawn [m]: finer ones take software rendering too long."""
FREE_WALK = 2.0
"""How far from the middle of that part a robot may be [m]."""
STRIDE = 1.0
"""The part moves by multiples of this, a period of the ground's pattern [m]."""


class Scene:
    """A model with its visuals, at a quality that software rendering can afford, and the ground around the robot."""

    def __init__(self, robot: RobotModel, terrain: Terrain | None, extent: float = EXTENT) -> None:
        """Compile the model.

        Args:
            robot: The robot to draw.
            terrain: The ground; None is a plane.
            extent: Side of the part of the terrain that is drawn [m].
        """
        self._field = None if terrain is None else HeightField(_coarser(terrain), GROUND_NAME, extent)
        spec = build_spec(robot, field=self._field)
        quality = spec.visual.quality
        quality.shadowsize, quality.offsamples, quality.numslices, quality.numstacks = 1024, 0, 20, 10
        self.model = compile_spec(spec, robot)
        self._data = mujoco.MjData(self.model)
        self._renderer: mujoco.Renderer | None = None
        self._middle = (np.inf, np.inf)

    @property
    def shapes(self) -> list[Shape]:
        """Shapes of the robot to draw; bodies are counted as in `places`."""
        return robot_shapes(self.model)

    def places(self, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Find the robot's bodies; see `viewer.view.Body`."""
        put(self._data, pose)
        mujoco.mj_kinematics(self.model, self._data)
        return self._data.xpos[1:].copy(), self._data.xquat[1:].copy()

    def show(self, data: mujoco.MjData, pose: np.ndarray) -> bool:
        """Put a robot's pose into MuJoCo's data and the ground around it into the model.

        Args:
            data: MuJoCo's data.
            pose: As in `View.poses`. Shape (7 + J,).

        Returns:
            Whether the ground in the model has changed.
        """
        put(data, pose)
        return self._move_ground(*data.qpos[:2].tolist())

    def _move_ground(self, x: float, y: float) -> bool:
        """Draw the ground around a point if that is far from the middle of the drawn part; returns whether it was."""
        if self._field is None or max(abs(x - self._middle[0]), abs(y - self._middle[1])) <= FREE_WALK:
            return False
        self._middle = self._field.place(self.model, x, y, STRIDE)
        return True

    def image(
        self,
        poses: np.ndarray,
        width: int,
        height: int,
        camera: mujoco.MjvCamera | str = CAMERA_NAME,
        layers: Layers | None = None,
        ghosts: bool = False,
    ) -> np.ndarray:
        """Draw robots.

        Args:
            poses: As in `View.poses`; the ground is drawn around the first robot, which the camera `track` follows.
                Shape (R, 7 + J).
            width: Width of the picture [pixels].
            height: Height of the picture [pixels].
            camera: Name of another camera.
            layers: Overlays.
            ghosts: Draw all robots but the first one as ghosts.

        Returns:
            RGB image, uint8. Shape (height, width, 3).

        Raises:
            RuntimeError: Off-screen rendering does not work here; the text says what to install.
        """
        changed = self.show(self._data, poses[0])
        renderer = self._renderer_of(width, height, changed)
        mujoco.mj_forward(self.model, self._data)
        renderer.update_scene(self._data, camera=camera)
        self.add_others(renderer.scene, poses[1:], ghosts)
        add_layers(renderer.scene, layers or {})
        return renderer.render()

    def add_others(self, scene: mujoco.MjvScene, poses: np.ndarray, ghosts: bool = False) -> None:
        """Add the geoms of further robots to MuJoCo's list, as long as there is room in it.

        Args:
            scene: The list.
            poses: As in `View.poses`. Shape (R, 7 + J).
            ghosts: Draw them faintly, in one colour.
        """
        data = mujoco.MjData(self.model) if len(poses) else None
        for pose in poses:
            put(data, pose)
            mujoco.mj_forward(self.model, data)
            first, moving = scene.ngeom, mujoco.mjtCatBit.mjCAT_DYNAMIC
            mujoco.mjv_addGeoms(self.model, data, mujoco.MjvOption(), mujoco.MjvPerturb(), moving, scene)
            if ghosts:
                for geom in scene.geoms[first : scene.ngeom]:
                    geom.rgba[:] = *GHOST_COLOR, GHOST_OPACITY

    def _renderer_of(self, width: int, height: int, changed: bool) -> mujoco.Renderer:
        """Return the renderer, made anew if its size has changed or the ground, of which it keeps a copy."""
        renderer = self._renderer
        if renderer is not None and not changed and (renderer.width, renderer.height) == (width, height):
            return renderer
        self.close()  # the ground lies on the graphics card: only a new renderer shows another one
        try:
            self._renderer = mujoco.Renderer(self.model, height, width)
        except (ImportError, AttributeError, RuntimeError, mujoco.FatalError) as error:
            raise RuntimeError(
                f"no off-screen rendering here ({error}); set MUJOCO_GL=egl and install Mesa's EGL (libegl1)"
            ) from error
        return self._renderer

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def _coarser(terrain: Terrain) -> Terrain:
    """Leave samples out; the others stay in place, to a cell."""
    every = max(1, round(DRAWN_CELL / terrain.horizontal_scale))
    return replace(
        terrain, heights=terrain.heights[::every, ::every], horizontal_scale=every * terrain.horizontal_scale
    )


def put(data: mujoco.MjData, pose: np.ndarray) -> None:
    """Copy a robot's pose (7 + J,) into MuJoCo's data."""
    data.qpos[:3], data.qpos[3], data.qpos[4:7] = pose[:3], pose[6], pose[3:6]
    data.qpos[7:] = pose[7:]
