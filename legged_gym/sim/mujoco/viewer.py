"""MuJoCo's interactive viewer as a `Viewer`."""

import atexit
import threading

import mujoco
import mujoco.viewer

from legged_gym.sim.mujoco.scene import Scene
from legged_gym.sim.mujoco.spec import CAMERA_NAME
from legged_gym.sim.simulator import SimState
from legged_gym.sim.viewer import Viewer

_CLOSE_TIMEOUT = 10.0
"""Longest wait for the window's thread [s]."""


class MujocoViewer(Viewer):
    """Shows a robot in a window of its own thread; the mouse turns the view."""

    def __init__(self, scene: Scene, state: SimState, robot: int, step_time: float) -> None:
        """Open the window.

        Args:
            scene: What is drawn.
            state: Where the robots are.
            robot: The one to show.
            step_time: Simulated time between two `update` calls [s].
        """
        super().__init__(step_time)
        self._scene, self._state, self._robot = scene, state, robot
        self._data = mujoco.MjData(scene.model)
        scene.show(self._data, state, robot)
        # MuJoCo does not hand out the window's thread: it is the one that was not there before.
        before = set(threading.enumerate())
        self._window = mujoco.viewer.launch_passive(
            scene.model, self._data, key_callback=self.on_key, show_left_ui=False, show_right_ui=False
        )
        self._threads = set(threading.enumerate()) - before
        atexit.register(self.close)  # runs before MuJoCo ends GLFW, which must not happen under a living window
        camera = self._window.cam
        camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
        camera.trackbodyid = int(scene.model.camera(CAMERA_NAME).bodyid[0])
        camera.distance, camera.azimuth, camera.elevation = 3.0, 130.0, -12.0

    def _is_open(self) -> bool:
        return self._window.is_running()

    def _draw(self) -> None:
        with self._window.lock():
            ground_changed = self._scene.show(self._data, self._state, self._robot)
            mujoco.mj_forward(self._scene.model, self._data)
        if ground_changed:  # the window's thread has a copy of the height field
            self._window.update_hfield(0)
        self._window.sync()

    def close(self) -> None:
        """See `Viewer.close`."""
        self._window.close()
        for thread in self._threads:
            thread.join(timeout=_CLOSE_TIMEOUT)
        atexit.unregister(self.close)
