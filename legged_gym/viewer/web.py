"""A web page that shows the robots and receives the user's wishes, served by viser.

It needs no network, for the page comes from this machine. It listens on this machine only, unless told otherwise;
from another machine, reach it with ssh's port forwarding.
"""

import contextlib
import io
import socket
import threading
import time
from collections.abc import Sequence

import viser

from legged_gym.utils.errors import UserError
from legged_gym.viewer.controls import Controls
from legged_gym.viewer.readings import readings_html
from legged_gym.viewer.view import Body, View
from legged_gym.viewer.web_panel import Panel
from legged_gym.viewer.web_scene import WebScene

PORT = 8080
"""First port that is tried; the next free one is taken."""
READINGS_INTERVAL = 0.1
"""Time between two updates of the numbers [s]."""
FIELD_OF_VIEW = 0.75
"""Angle between the upper and the lower edge of the picture [rad]."""
CAMERA = ((1.8, -2.0, 1.25), (0.1, 0.1, 0.55))
"""Where the camera starts, and the point it looks at, relative to the ground under the robot [m]."""
_DRIVING_KEYS_ONLY = """<img src="data:," style="display:none" onerror="
if (!window.lgKeys) { window.lgKeys = true; document.documentElement.addEventListener('keydown', e => {
if (['ArrowUp','ArrowDown','ArrowLeft','ArrowRight','KeyQ','KeyE'].includes(e.code)) e.stopPropagation(); }); }">"""
"""Keys that drive here would also move viser's camera. Its listener sits on the document. This one sits a level below,
where viser's hotkeys have seen the keys already, and stops them."""


class WebPage:
    """A `Screen` in the browser, for any number of visitors; they share one set of controls."""

    def __init__(
        self,
        body: Body,
        controls: Controls,
        *,
        title: str,
        plane: bool = True,
        policies: Sequence[str] = (),
        policy: str | None = None,
        host: str = "localhost",
        port: int = PORT,
    ) -> None:
        """Serve the page.

        Args:
            body: The robot.
            controls: Receive the user's wishes, and limit them.
            title: Heading of the page.
            plane: The ground is the plane z = 0.
            policies: Names of the policies to switch between.
            policy: Name of the present one.
            host: Address to listen on: "localhost" for this machine only, "0.0.0.0" for all that can reach it.
            port: First port that is tried.

        Raises:
            UserError: It cannot listen on the address.
        """
        check_address(host, port)
        with contextlib.redirect_stdout(io.StringIO()):  # viser announces itself at length
            self._server = viser.ViserServer(host=host, port=port, label="legged_gym", verbose=False)
        self._controls = controls
        self._lock = threading.Lock()
        self._server.gui.configure_theme(show_logo=False, show_share_button=False, control_width="medium")
        camera = self._server.initial_camera
        camera.position, camera.look_at, camera.fov = *CAMERA, FIELD_OF_VIEW
        self._scene = WebScene(self._server.scene, body, plane)
        self._server.gui.add_html(_DRIVING_KEYS_ONLY)
        self.panel = Panel(self._server.gui, controls, title, policies, policy)
        self._readings_at = 0.0
        self._closed = False

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return self._server.get_port()

    @property
    def address(self) -> str:
        """Address to type into a browser."""
        host = self._server.get_host()
        return f"http://{'localhost' if host in ('0.0.0.0', '127.0.0.1', '::') else host}:{self.port}"

    def invitation(self) -> str:
        """Return a text that says where the page is, and how to reach it from another machine."""
        here, port = socket.gethostname(), self.port
        return f"open {self.address} (over ssh first: ssh -L {port}:localhost:{port} {here})"

    @property
    def watched(self) -> bool:
        """See `Screen.watched`."""
        return bool(self._server.get_clients())

    @property
    def is_open(self) -> bool:
        """See `Screen.is_open`."""
        return not self._closed

    def show(self, view: View) -> None:
        """See `Screen.show`."""
        layers = {name: drawn for name, drawn in view.layers.items() if self.panel.shows(name)}
        others = view.poses if self.panel.shows_ghosts else view.poses[:1]
        shown = View(others, layers, view.readings, view.ground)
        with self._lock, self._server.atomic():
            self._scene.show(shown)
        now = time.perf_counter()
        if now - self._readings_at >= READINGS_INTERVAL:
            self._readings_at = now
            self.panel.show(view.readings, readings_html(view.readings))

    def close(self) -> None:
        """See `Screen.close`."""
        if not self._closed:
            self._closed = True
            with contextlib.redirect_stdout(io.StringIO()):
                self._server.stop()

    def _repr_html_(self) -> str:
        """Show the page itself in a notebook."""
        return f'<iframe src="{self.address}" width="100%" height="600" style="border:0"></iframe>'


def check_address(host: str, port: int) -> None:
    """Refuse an address that one cannot listen on.

    Raises:
        UserError: The address cannot be used; says why.
    """
    if not 0 < port < 65536:
        raise UserError(f"--viewer_port: got {port}, expected 1 to 65535")
    try:
        socket.getaddrinfo(host, port)
        with socket.socket() as probe:
            probe.bind((host, 0))
    except OSError as error:
        raise UserError(f"--viewer_host: cannot listen on '{host}' ({error.strerror or error})") from None
