"""Pictures of robots, drawn by MuJoCo whatever simulates them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import mujoco
import numpy as np

from legged_gym.sim.mujoco.spec import CAMERA_NAME, GROUND_NAME, build_spec
from legged_gym.sim.mujoco.terrain import HeightField
from legged_gym.sim.robot_model import RobotModel
from legged_gym.sim.simulator import SimState
from legged_gym.terrain.terrain import Terrain

EXTENT = 12.0
"""Side of the part of a terrain that is drawn [m]."""
DRAWN_CELL = 0.05
"""Width of the cells that are drawn, at least [m]: finer ones take software rendering too long."""
FREE_WALK = 2.0
"""How far from the middle of that part a robot may be [m]."""
STRIDE = 1.0
"""The part moves by multiples of this, a period of the ground's pattern [m]."""


class Scene:
    """A model with its visuals, at a quality that software rendering can do, and the ground around the robot."""

    def __init__(self, robot: RobotModel, terrain: Terrain | None, extent: float = EXTENT) -> None:
        """Compile the model.

        Args:
            robot: What is drawn.
            terrain: The ground; None is a plane.
            extent: Side of the part of the terrain that is drawn [m].
        """
        self._field = None if terrain is None else HeightField(_coarser(terrain), GROUND_NAME, extent)
        spec = build_spec(robot, field=self._field)
        spec.visual.quality.shadowsize, spec.visual.quality.offsamples = 1024, 0
        self.model = spec.compile()
        self._data = mujoco.MjData(self.model)
        self._renderer: mujoco.Renderer | None = None
        self._middle = (np.inf, np.inf)

    def show(self, data: mujoco.MjData, state: SimState, robot: int) -> bool:
        """Put a robot's pose into MuJoCo's data and the ground around it into the model; waits for the device.

        Returns:
            Whether the ground in the model has changed.
        """
        _put(data, state, robot)
        return self._move_ground(*data.qpos[:2].tolist())

    def _move_ground(self, x: float, y: float) -> bool:
        """Draw the ground around a point if it is far from the middle of what is drawn; returns whether it was."""
        if self._field is None or max(abs(x - self._middle[0]), abs(y - self._middle[1])) <= FREE_WALK:
            return False
        self._middle = self._field.place(self.model, x, y, STRIDE)
        return True

    def image(
        self,
        state: SimState,
        robots: Sequence[int],
        width: int,
        height: int,
        camera: mujoco.MjvCamera | str = CAMERA_NAME,
    ) -> np.ndarray:
        """Draw robots.

        Args:
            state: Where they are.
            robots: Which ones; the ground is drawn around the first one, which the camera `track` follows.
            width: Of the picture.
            height: Of the picture.
            camera: Another one.

        Returns:
            RGB image, uint8. Shape (height, width, 3).

        Raises:
            RuntimeError: No off-screen rendering here; says what to install.
        """
        first, *others = robots
        changed = self.show(self._data, state, first)
        renderer = self._renderer_of(width, height, changed)
        mujoco.mj_forward(self.model, self._data)
        renderer.update_scene(self._data, camera=camera)
        for robot in others:
            self._add(renderer.scene, state, robot)
        return renderer.render()

    def _add(self, scene: mujoco.MjvScene, state: SimState, robot: int) -> None:
        """Add the geoms of one more robot."""
        data = mujoco.MjData(self.model)
        _put(data, state, robot)
        mujoco.mj_forward(self.model, data)
        moving = mujoco.mjtCatBit.mjCAT_DYNAMIC
        mujoco.mjv_addGeoms(self.model, data, mujoco.MjvOption(), mujoco.MjvPerturb(), moving, scene)

    def _renderer_of(self, width: int, height: int, changed: bool) -> mujoco.Renderer:
        """Make the renderer, anew if its size or the ground, which it keeps a copy of, is another."""
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
    """Leave samples out; what is left stands where it stood, to a cell."""
    every = max(1, round(DRAWN_CELL / terrain.horizontal_scale))
    return replace(
        terrain, heights=terrain.heights[::every, ::every], horizontal_scale=every * terrain.horizontal_scale
    )


def _put(data: mujoco.MjData, state: SimState, robot: int) -> None:
    """Copy a robot's pose."""
    x, y, z, w = state.root_quat_xyzw[robot].tolist()
    data.qpos[:3], data.qpos[3:7] = state.root_pos_w[robot].cpu(), (w, x, y, z)
    data.qpos[7:] = state.joint_pos[robot].cpu()
