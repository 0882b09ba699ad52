"""MuJoCo's interactive window as a `Screen`."""

import atexit
import threading

import mujoco
import mujoco.viewer
import numpy as np

from legged_gym.sim.mujoco.drawing import add_layers
from legged_gym.sim.mujoco.scene import Scene
from legged_gym.sim.mujoco.spec import CAMERA_NAME
from legged_gym.viewer.controls import KEYS, Controls
from legged_gym.viewer.view import View

_CLOSE_TIMEOUT = 10.0
"""Longest wait for the window's thread [s]."""
_NAMED_KEYS = {
    "space": 32, "escape": 256, "arrowright": 262, "arrowleft": 263, "arrowdown": 264, "arrowup": 265,
    "pageup": 266, "pagedown": 267,
}  # fmt: skip
"""Codes of GLFW; a letter's is that of its capital."""
KEY_DRAWING, KEY_QUIT = ord("V"), _NAMED_KEYS["escape"]
"""Switches drawing off and on; closes the window."""


class MujocoWindow:
    """Shows robots in a window with its own thread; the mouse turns the view, keys go to `Controls`.

    Key v switches drawing off and on, Esc closes it.
    """

    def __init__(self, scene: Scene, pose: np.ndarray, controls: Controls | None = None) -> None:
        """Open the window.

        Args:
            scene: The scene to draw.
            pose: The first one, see `View.poses`. Shape (7 + J,).
            controls: Take the user's keys.
        """
        self.watched = True
        self._controls = controls
        self._actions = {_NAMED_KEYS.get(key, ord(key[0].upper())): action for key, action in KEYS.items()}
        self._quit = False
        self._scene = scene
        self._data = mujoco.MjData(scene.model)
        scene.show(self._data, pose)
        # MuJoCo does not hand out the window's thread: it is the one that was not there before.
        before = set(threading.enumerate())
        self._window = mujoco.viewer.launch_passive(
            scene.model, self._data, key_callback=self.on_key, show_left_ui=False, show_right_ui=False
        )
        self._threads = set(threading.enumerate()) - before
        atexit.register(self.close)  # runs before MuJoCo ends GLFW, which must not happen under a living window
        self._shown = self._window.opt.flags.copy()
        camera = self._window.cam
        camera.type = mujoco.mjtCamera.mjCAMERA_TRACKING
        camera.trackbodyid = int(scene.model.camera(CAMERA_NAME).bodyid[0])
        camera.distance, camera.azimuth, camera.elevation = 1.9, 130.0, -12.0

    def on_key(self, code: int) -> None:
        """Handle a key, by its GLFW code; called from the window's thread."""
        if code == KEY_DRAWING:
            self.watched = not self.watched
        elif code == KEY_QUIT:
            self._quit = True
        elif self._controls is not None and code in self._actions:
            self._controls.press(self._actions[code])

    @property
    def is_open(self) -> bool:
        """See `Screen.is_open`."""
        return not self._quit and self._window.is_running()

    def show(self, view: View) -> None:
        """See `Screen.show`."""
        with self._window.lock():
            ground_changed = self._scene.show(self._data, view.poses[0])
            mujoco.mj_forward(self._scene.model, self._data)
            extras = self._window.user_scn
            if extras is not None:
                extras.ngeom = 0
                self._scene.add_others(extras, view.poses[1:], ghosts=True)
                add_layers(extras, view.layers)
            # MuJoCo binds most letters itself, and switches on drawings that the user did not ask for.
            self._window.opt.flags[:] = self._shown
        if ground_changed:  # the window's thread has a copy of the height field
            self._window.update_hfield(0)
        self._window.set_texts((mujoco.mjtFontScale.mjFONTSCALE_100, None, *_captions(view)))
        self._window.sync()

    def close(self) -> None:
        """See `Screen.close`."""
        self._window.close()
        for thread in self._threads:
            thread.join(timeout=_CLOSE_TIMEOUT)
        atexit.unregister(self.close)


def _captions(view: View) -> tuple[str, str]:
    """Two columns of text for the corner of the window."""
    said = view.readings
    rows = {
        "command": "  ".join(f"{value:+.2f}" for value in said.command),
        "actual": "  ".join(f"{value:+.2f}" for value in said.velocity),
        "clock": f"{said.clock:.2f}",
        "falls": str(said.falls),
    }
    rows |= {name: f"{value:+.2f}" for name, value in said.rewards.items() if abs(value) >= 0.005}
    return "\n".join(rows), "\n".join(rows.values())
