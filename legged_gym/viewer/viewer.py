"""Shows an environment on a screen while it is simulated, at the speed that the user wants."""

import time
from collections.abc import Callable

from legged_gym.viewer.controls import Controls
from legged_gym.viewer.view import Screen, View, ViewerClosed

MAX_FPS = 60.0
"""Pictures per second of wall time, at most [1/s]."""
POLL = 0.05
"""Time between two looks of a paused viewer for new wishes [s]."""


class Viewer:
    """Called by an environment after each step: takes pictures, keeps the pace, and waits while it is paused."""

    def __init__(
        self,
        screen: Screen,
        make_view: Callable[[], View],
        step_time: float,
        controls: Controls | None = None,
        max_fps: float = MAX_FPS,
    ) -> None:
        """Begin; the first picture is due at once.

        Args:
            screen: Shows the pictures.
            make_view: Makes a picture of the present state.
            step_time: Simulated time between two `update` calls [s].
            controls: The user's wishes; None never waits.
            max_fps: Pictures per second of wall time, at most [1/s].
        """
        self.screen, self.controls = screen, controls
        self.after_step: Callable[[], None] | None = None
        """Called after every step, whether a picture is due or not."""
        self.step_time = step_time
        self.realtime = False
        """Wait in `update` so that simulated time does not outrun the clock; no wait while nobody looks."""
        self.must_go_on: Callable[[], bool] = bool
        """Returns whether something other than the user ends a pause."""
        self.on_close: Callable[[], None] | None = None
        """Called once the user has closed the screen, instead of `ViewerClosed`."""
        self._make_view = make_view
        self._interval = 1.0 / max_fps
        self._drawn_at = 0.0
        self._due = time.perf_counter()

    def update(self) -> None:
        """Show the state after a step; while paused, wait for the user.

        Raises:
            ViewerClosed: The user closed the window.
        """
        if self.after_step is not None:
            self.after_step()
        self._draw_if_due()
        if self.controls is not None and self.controls.paused:
            self._pause(self.controls)
        elif self.realtime and self.screen.watched:
            self._keep_pace()

    def _draw_if_due(self) -> None:
        if not self.screen.is_open:
            if self.on_close is None:
                raise ViewerClosed("the viewer was closed")
            self.on_close()
            return
        now = time.perf_counter()
        if self.screen.watched and now - self._drawn_at >= self._interval:
            self.screen.show(self._make_view())
            self._drawn_at = now

    def _keep_pace(self) -> None:
        """Sleep until this step is due. After a late step, at most one faster step makes up for it."""
        step = self.step_time / (1.0 if self.controls is None else self.controls.speed)
        self._due = max(self._due + step, time.perf_counter() - step)
        while (left := self._due - time.perf_counter()) > 0.0:
            time.sleep(min(left, POLL))
            if left > POLL:  # in slow motion the user may look at another robot
                self._draw_if_due()

    def _pause(self, controls: Controls) -> None:
        """Wait until the user goes on, or makes a wish that others have to fulfil."""
        while controls.paused and not (controls.interrupts_pause or self.must_go_on()):
            self._draw_if_due()
            controls.wait(POLL)
        controls.pop_wish("single step")
        self._due = time.perf_counter()

    def close(self) -> None:
        """Close the screen."""
        self.screen.close()
