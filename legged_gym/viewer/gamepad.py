"""A gamepad at this machine, read by pygame: left stick v_x and v_y, right stick w_z, buttons for the rest."""

import contextlib
import io
import os
from collections.abc import Sequence
from typing import Any, Protocol

from legged_gym.viewer.controls import Controls

DEAD_ZONE = 0.12
"""Tilts of a stick below this are none, 0 to 1."""
AXES = (1, 0, 3)
"""Of v_x, v_y and w_z; pushed away or to the left is negative."""
BUTTONS = ("stop", "shove", "reset", "pause")
"""What the first buttons do: A, B, X, Y on most pads."""


class Pad(Protocol):
    """What pygame's joysticks can do, as far as it is used."""

    def get_axis(self, axis: int) -> float:
        """Tilt, -1 to 1."""

    def get_button(self, button: int) -> bool:
        """It is down."""

    def get_numaxes(self) -> int:
        """How many axes there are."""

    def get_numbuttons(self) -> int:
        """How many buttons there are."""


class Gamepad:
    """Turns tilts and presses into wishes; as long as no stick is moved, it leaves the command alone."""

    def __init__(self, pad: Pad, controls: Controls) -> None:
        """Begin with everything at rest."""
        self._pad, self._controls = pad, controls
        self._down: set[int] = set()
        self._tilted = False

    def poll(self) -> None:
        """Read the pad; due a few times a second at least."""
        tilts = [self._tilt(axis) for axis in AXES]
        tilted = any(tilts)
        if tilted or self._tilted:  # released sticks ask for zero, once
            self._controls.drive(scaled(tilts, self._controls))
        self._tilted = tilted
        for button, action in enumerate(BUTTONS[: self._pad.get_numbuttons()]):
            if self._pad.get_button(button):
                if button not in self._down:
                    self._controls.press(action)
                self._down.add(button)
            else:
                self._down.discard(button)

    def _tilt(self, axis: int) -> float:
        """-1 to 1, positive is forward or to the left; 0 in the dead zone."""
        tilt = -self._pad.get_axis(axis) if axis < self._pad.get_numaxes() else 0.0
        beyond = max(0.0, abs(tilt) - DEAD_ZONE) / (1.0 - DEAD_ZONE)
        return beyond if tilt > 0.0 else -beyond


def scaled(tilts: Sequence[float], controls: Controls) -> list[float]:
    """Spread tilts (3) over the commands that are allowed: 1 is the largest, -1 the smallest, 0 is zero."""
    limits = zip(tilts, controls.low.tolist(), controls.high.tolist(), strict=True)
    return [tilt * max(high, 0.0) if tilt > 0.0 else -tilt * min(low, 0.0) for tilt, low, high in limits]


class PygameGamepad(Gamepad):
    """A gamepad that pygame reads."""

    def __init__(self, pygame: Any, pad: Any, controls: Controls) -> None:
        """See `Gamepad`."""
        super().__init__(pad, controls)
        self._pygame = pygame
        self.name = pad.get_name()

    def poll(self) -> None:
        """See `Gamepad.poll`."""
        self._pygame.event.pump()
        super().poll()


def find_gamepad(controls: Controls) -> PygameGamepad | None:
    """Return the first gamepad at this machine; None if there is none, or no pygame."""
    os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # no window of its own
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import pygame
    except ImportError:
        return None
    pygame.display.init()
    pygame.joystick.init()
    if pygame.joystick.get_count() == 0:
        pygame.quit()
        return None
    return PygameGamepad(pygame, pygame.joystick.Joystick(0), controls)
