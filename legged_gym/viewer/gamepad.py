"""A gamepad at this machine, read by pygame: left stick v_x and v_y, right stick w_z, buttons for the rest."""

import contextlib
import io
import os
from collections.abc import Sequence
from typing import Any, Protocol

from legged_gym.viewer.controls import Controls

DEAD_ZONE = 0.12
"""Smaller tilts of a stick count as none; 1 is the stick at its stop."""
AXES = (1, 0, 2)
"""Axes of v_x, v_y and w_z, in SDL's order for a pad that it knows; negative is pushed away or to the left."""
UNKNOWN_AXES = (1, 0, 3)
"""The same for a pad that SDL does not know; most drivers have the left trigger before the right stick."""
TILT = 32768.0
"""SDL's value for a stick at its stop."""
BUTTONS = ("stop", "shove", "reset", "pause")
"""Actions of the first buttons: A, B, X, Y on most pads."""


class Pad(Protocol):
    """The part of pygame's joysticks that is used here."""

    def get_axis(self, axis: int) -> float:
        """Tilt, -1 to 1."""

    def get_button(self, button: int) -> bool:
        """Whether the button is down."""

    def get_numaxes(self) -> int:
        """Number of axes."""

    def get_numbuttons(self) -> int:
        """Number of buttons."""


class Gamepad:
    """Turns tilts and presses into wishes; while no stick is moved, it leaves the command alone."""

    def __init__(self, pad: Pad, controls: Controls, axes: Sequence[int] = UNKNOWN_AXES) -> None:
        """Begin with everything at rest.

        Args:
            pad: The pad to read.
            controls: Receive the wishes.
            axes: Axes of v_x, v_y and w_z.
        """
        self._pad, self._controls, self._axes = pad, controls, axes
        self._down: set[int] = set()
        self._tilted = False

    def poll(self) -> None:
        """Read the pad. Call this a few times a second at least."""
        tilts = [self._tilt(axis) for axis in self._axes]
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
        """Tilt from -1 to 1, positive forward or to the left; 0 in the dead zone."""
        tilt = -self._pad.get_axis(axis) if axis < self._pad.get_numaxes() else 0.0
        beyond = max(0.0, abs(tilt) - DEAD_ZONE) / (1.0 - DEAD_ZONE)
        return beyond if tilt > 0.0 else -beyond


def scaled(tilts: Sequence[float], controls: Controls) -> list[float]:
    """Scale tilts (3) to the allowed commands: 1 is the largest, -1 the smallest, 0 is zero."""
    limits = zip(tilts, controls.low.tolist(), controls.high.tolist(), strict=True)
    return [tilt * max(high, 0.0) if tilt > 0.0 else -tilt * min(low, 0.0) for tilt, low, high in limits]


class KnownPad:
    """A pad whose sticks and buttons SDL can tell apart, whatever their order in the driver."""

    def __init__(self, controller: Any) -> None:
        """Wrap pygame's controller."""
        self._controller = controller

    def get_axis(self, axis: int) -> float:
        """See `Pad.get_axis`."""
        return self._controller.get_axis(axis) / TILT

    def get_button(self, button: int) -> bool:
        """See `Pad.get_button`."""
        return self._controller.get_button(button)

    def get_numaxes(self) -> int:
        """See `Pad.get_numaxes`."""
        return max(AXES) + 1

    def get_numbuttons(self) -> int:
        """See `Pad.get_numbuttons`."""
        return len(BUTTONS)


class PygameGamepad(Gamepad):
    """A gamepad read by pygame; once unplugged, it counts as at rest."""

    def __init__(self, pygame: Any, controls: Controls) -> None:
        """Open the first gamepad; see `Gamepad`."""
        from pygame._sdl2 import controller  # where pygame keeps SDL's knowledge of pads

        self._pygame, self._joystick = pygame, pygame.joystick.Joystick(0)
        self.name = self._joystick.get_name()
        controller.init()
        if controller.is_controller(0):
            super().__init__(KnownPad(controller.Controller(0)), controls, AXES)
        else:
            super().__init__(self._joystick, controls)

    def poll(self) -> None:
        """See `Gamepad.poll`."""
        self._pygame.event.pump()
        super().poll()


def find_gamepad(controls: Controls) -> PygameGamepad | None:
    """Return the first gamepad at this machine; None if there is none, or if pygame is missing."""
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
    return PygameGamepad(pygame, controls)
