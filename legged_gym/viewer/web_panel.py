"""The page's panel: buttons, sliders and readings."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import viser

from legged_gym.viewer.controls import DIRECTIONS, KEYS, SPEEDS, Controls
from legged_gym.viewer.overlays import LAYERS
from legged_gym.viewer.view import Readings

_HELP = "Keys: ↑ ↓ forward, back · ← → sideways · q e turn · space stop · f shove · p pause · n step · r reset"
_PULL_TIME = 0.7
"""A slider is not updated for this time after a visitor has moved it, since it is ahead of the robot [s]."""
_AXES = ("forward [m/s]", "left [m/s]", "turn left [rad/s]")


class Panel:
    """Builds the panel, writes the visitor's wishes into `Controls`, and shows those of keys and gamepad."""

    def __init__(
        self, gui: viser.GuiApi, controls: Controls, title: str, policies: Sequence[str], policy: str | None
    ) -> None:
        """Build it; see `WebPage`."""
        self._gui, self._controls = gui, controls
        self._sliders: list[Any] = []
        self._pulled_at = -_PULL_TIME
        gui.add_markdown(f"**{title}**")
        drives = "shove" in controls.actions
        if drives:
            self._add_drive()
        self._add_time(drives)
        if policies:
            first = policy if policy in policies else policies[-1]
            self._policies = gui.add_dropdown("policy", [*policies], initial_value=first)
            self._on_update(self._policies, lambda: controls.wish("checkpoint", self._policies.value))
        with gui.add_folder("Show", expand_by_default=False):
            self._layers = {name: gui.add_checkbox(name, True) for name in LAYERS}
            self._ghosts = gui.add_checkbox("other robots", True)
        with gui.add_folder("Readings"):
            self._readings = gui.add_html("")
        for key, action in KEYS.items():
            if action in controls.actions:
                hotkey: Any = key.upper() if len(key) == 1 else key
                gui.add_command(action, hotkey=hotkey).on_trigger(self._pressing(action))

    def _pressing(self, action: str) -> Callable[[Any], None]:
        return lambda _: self._controls.press(action)

    def _on_update(self, handle: Any, do: Callable[[], None]) -> None:
        """Call a function when a visitor changes a value, but not when the program does."""

        def changed(event: Any) -> None:
            if event.client is not None:
                do()

        handle.on_update(changed)

    def _add_drive(self) -> None:
        gui, controls = self._gui, self._controls
        with gui.add_folder("Drive"):
            for i, name in enumerate(_AXES):
                low, high = float(controls.low[i]), float(controls.high[i])
                slider = gui.add_slider(name, low, high, 0.01, min(max(0.0, low), high), disabled=low == high)
                self._on_update(slider, self._drive)
                self._sliders.append(slider)
            buttons = gui.add_button_group("", ("stop", "back to the task"))
            buttons.on_click(lambda event: controls.drive((0.0,) * 3 if event.target.value == "stop" else None))
            impulse = gui.add_slider("shove [N s]", 1.0, 40.0, 1.0, controls.shove_impulse)
            self._on_update(impulse, lambda: setattr(controls, "shove_impulse", float(impulse.value)))
            direction = gui.add_dropdown("from", [*DIRECTIONS], initial_value=controls.shove_direction)
            self._on_update(direction, lambda: setattr(controls, "shove_direction", direction.value))
            gui.add_button("Shove (f)", color="red").on_click(self._pressing("shove"))
            gui.add_markdown(f"<small>{_HELP}</small>")

    def _drive(self) -> None:
        self._pulled_at = time.monotonic()
        self._controls.drive([float(slider.value) for slider in self._sliders])

    def _add_time(self, drives: bool) -> None:
        gui, controls = self._gui, self._controls
        with gui.add_folder("Simulation"):
            names = ("pause", "single step", *(("reset",) if drives else ()))
            buttons = gui.add_button_group("", names)
            buttons.on_click(lambda event: controls.press(event.target.value))
            if drives:
                speed = gui.add_slider("speed", SPEEDS[0], SPEEDS[1], 0.01, controls.speed)
                self._on_update(speed, lambda: setattr(controls, "speed", float(speed.value)))
            if controls.num_robots > 1:
                self._robot = gui.add_slider("robot", 0, controls.num_robots - 1, 1, controls.robot)
                self._on_update(self._robot, lambda: controls.choose_robot(int(self._robot.value)))
            self._state = gui.add_html("")

    def shows(self, layer: str) -> bool:
        """Whether a layer is switched on."""
        return layer not in self._layers or bool(self._layers[layer].value)

    @property
    def shows_ghosts(self) -> bool:
        """Whether the other robots are switched on."""
        return bool(self._ghosts.value)

    def offer(self, policies: Sequence[str]) -> None:
        """Offer these policies to switch to; the chosen one stays chosen if it is still among them."""
        if tuple(self._policies.options) == tuple(policies):
            return
        chosen = self._policies.value
        self._policies.options = tuple(policies)
        self._policies.value = chosen if chosen in policies else policies[-1]

    def show(self, readings: Readings, html: str) -> None:
        """Show readings and the present settings, whoever made them."""
        self._readings.content = html
        pulled = time.monotonic() - self._pulled_at < _PULL_TIME
        for slider, value in zip(() if pulled else self._sliders, readings.command, strict=False):
            shown = round(min(max(value, slider.min), slider.max), 2)
            if abs(slider.value - shown) > 0.005:
                slider.value = shown
        if self._controls.num_robots > 1 and self._robot.value != self._controls.robot:
            self._robot.value = self._controls.robot
        state = "<b>paused</b>" if self._controls.paused else "running"
        asked = "the task commands" if self._controls.command is None else "you drive"
        driven = f", {asked}" if self._sliders else ""
        self._state.content = f'<div style="font-size:12px;padding:0 14px 6px">{state}{driven}</div>'
