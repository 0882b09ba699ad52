"""A window on one robot: what every simulator's viewer does, whatever draws the picture."""

import time
from abc import ABC, abstractmethod

KEY_TOGGLE = ord("V")
"""Switches drawing off and on."""
KEY_QUIT = 256
"""Escape, as GLFW counts."""
MAX_FPS = 60.0
"""Pictures per second of wall time, at most [1/s]."""


class ViewerClosed(KeyboardInterrupt):
    """The user closed the window; ends a run as Ctrl-C does."""


class Viewer(ABC):
    """Draws a robot while it is simulated. Key v switches drawing off and on, Esc quits."""

    def __init__(self, step_time: float) -> None:
        """Start with drawing on.

        Args:
            step_time: Simulated time between two `update` calls [s].
        """
        self.step_time = step_time
        self.drawing = True
        self.realtime = False
        """Wait in `update` so that simulated time does not run faster than the clock; not while drawing is off."""
        self._quit = False
        self._drawn_at = 0.0
        self._due = time.perf_counter()

    def on_key(self, code: int) -> None:
        """Handle a key, by its GLFW code; may be called from another thread."""
        if code == KEY_TOGGLE:
            self.drawing = not self.drawing
        elif code == KEY_QUIT:
            self._quit = True

    def update(self) -> None:
        """Show the state after a step.

        Raises:
            ViewerClosed: The user pressed Esc or closed the window.
        """
        if self._quit or not self._is_open():
            raise ViewerClosed("the viewer was closed")
        if not self.drawing:
            return
        now = time.perf_counter()
        if now - self._drawn_at >= 1.0 / MAX_FPS:
            self._draw()
            self._drawn_at = now
        if self.realtime:
            # A step that came late is not made up for by more than one faster one.
            self._due = max(self._due + self.step_time, now - self.step_time)
            time.sleep(max(0.0, self._due - time.perf_counter()))

    @abstractmethod
    def _is_open(self) -> bool:
        """Tell whether the window is still there."""

    @abstractmethod
    def _draw(self) -> None:
        """Draw the current state."""

    @abstractmethod
    def close(self) -> None:
        """Close the window."""
