"""MuJoCo's interactive viewer as a `Viewer`."""

import atexit
import threading
from collections.abc import Callable

import mujoco
import mujoco.viewer

from legged_gym.sim.mujoco_spec import CAMERA_NAME
from legged_gym.sim.viewer import Viewer

_CLOSE_TIMEOUT = 10.0
"""Longest wait for the window's thread [s]."""


class MujocoViewer(Viewer):
    """Shows a model in a window of its own thread; the mouse turns the view."""

    def __init__(self, model: mujoco.MjModel, write_state: Callable[[mujoco.MjData], None], step_time: float) -> None:
        """Open the window.

        Args:
            model: What is drawn.
            write_state: Puts the robot's current state into the data.
            step_time: Simulated time between two `update` calls [s].
        """
        super().__init__(step_time)
        self._model, self._data, self._write_state = model, mujoco.MjData(model), write_state
        before = set(threading.enumerate())
        self._window = mujoco.viewer.launch_passive(
            model, self._data, key_callback=self.on_key, show_left_ui=False, show_right_ui=False
        )
        self._threads = set(threading.enumerate()) - before
        atexit.register(self.close)  # runs before MuJoCo ends GLFW, which must not happen under a living window
        camera = self._window.cam
        camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
        camera.trackbodyid = int(model.camera(CAMERA_NAME).bodyid[0])
        camera.distance, camera.azimuth, camera.elevation = 3.0, 130.0, -12.0

    def _is_open(self) -> bool:
        return self._window.is_running()

    def _draw(self) -> None:
        with self._window.lock():
            self._write_state(self._data)
            mujoco.mj_forward(self._model, self._data)
        self._window.sync()

    def close(self) -> None:
        """See `Viewer.close`."""
        self._window.close()
        for thread in self._threads:
            thread.join(timeout=_CLOSE_TIMEOUT)
        atexit.unregister(self.close)
