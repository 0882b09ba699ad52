"""Keys, sliders and gamepad end in the same wishes."""

import numpy as np
import pytest

from legged_gym.viewer.controls import DRIVING, KEYS, STEPS, WATCHING, Controls
from legged_gym.viewer.gamepad import DEAD_ZONE, Gamepad

LIMITS = [(-0.5, 1.0), (-0.6, 0.6), (-1.0, 1.0)]


def press(controls: Controls, *keys: str) -> None:
    for key in keys:
        controls.press(KEYS[key])


def asked(controls: Controls) -> list[float]:
    command = controls.command
    assert command is not None
    return command.tolist()


def test_the_task_asks_until_the_user_does() -> None:
    controls = Controls(LIMITS)
    assert controls.command is None
    press(controls, "arrowup")
    assert controls.command is not None
    controls.drive(None)
    assert controls.command is None


def test_keys_change_the_command_step_by_step_within_limits() -> None:
    controls = Controls(LIMITS)
    press(controls, "arrowup", "arrowup", "arrowleft", "q", "q", "q")
    assert asked(controls) == pytest.approx([0.2, 0.05, 0.3])
    press(controls, "arrowdown", "arrowright", "arrowright", "e")
    assert asked(controls) == pytest.approx([0.1, -0.05, 0.2])
    press(controls, "space")
    assert asked(controls) == [0.0, 0.0, 0.0]
    press(controls, *["arrowdown"] * 20)
    assert asked(controls) == [-0.5, 0.0, 0.0], "as far as the task goes"


def test_forward_left_and_counter_clockwise_are_positive() -> None:
    signs = {name: np.sign(step).tolist() for name, step in STEPS.items()}
    assert signs["faster"] == [1, 0, 0] and signs["left"] == [0, 1, 0] and signs["turn left"] == [0, 0, 1]
    opposite = (("faster", "slower"), ("left", "right"), ("turn left", "turn right"))
    assert all(np.array_equal(np.array(STEPS[a]), -np.array(STEPS[b])) for a, b in opposite)


@pytest.mark.parametrize("command", [(np.nan, 0.0, 0.0), (0.0, np.inf, 0.0)])
def test_what_is_no_number_is_ignored(command: tuple[float, ...]) -> None:
    controls = Controls(LIMITS)
    controls.drive(command)
    assert controls.command is None
    controls.drive((9.0, -9.0, 0.5))
    assert asked(controls) == [1.0, -0.6, 0.5]


def test_a_wish_is_taken_once() -> None:
    controls = Controls(LIMITS)
    press(controls, "f")
    assert controls.pop_wish("shove") is not None and controls.pop_wish("shove") is None


def test_robots_are_counted_around() -> None:
    controls = Controls(LIMITS, num_robots=3)
    press(controls, "pagedown")
    assert controls.robot == 2
    press(controls, "pageup", "pageup")
    assert controls.robot == 1


def test_who_watches_a_training_does_not_meddle() -> None:
    controls = Controls(LIMITS, 2, WATCHING)
    press(controls, *(key for key, action in KEYS.items() if action not in WATCHING))
    assert controls.command is None and controls.pop_wish("shove") is None and controls.pop_wish("reset") is None
    press(controls, "p", "pageup")
    assert controls.paused and controls.robot == 1 and set(WATCHING) < set(DRIVING)


class StandInPad:
    """Tilts and buttons as a test sets them."""

    def __init__(self) -> None:
        self.axes, self.down = [0.0] * 6, set[int]()

    def get_axis(self, axis: int) -> float:
        return self.axes[axis]

    def get_button(self, button: int) -> bool:
        return button in self.down

    def get_numaxes(self) -> int:
        return len(self.axes)

    def get_numbuttons(self) -> int:
        return 10


def test_sticks_give_the_command_in_proportion() -> None:
    controls, pad = Controls(LIMITS), StandInPad()
    gamepad = Gamepad(pad, controls)
    pad.axes[1] = 0.9 * DEAD_ZONE
    gamepad.poll()
    assert controls.command is None, "a stick at rest does not take over"
    pad.axes[1] = -1.0  # away from the user
    gamepad.poll()
    assert asked(controls) == [1.0, 0.0, 0.0]
    pad.axes[:4] = [-1.0, 1.0, 0.0, 0.5 * (1.0 + DEAD_ZONE)]
    gamepad.poll()
    assert asked(controls) == pytest.approx([-0.5, 0.6, -0.5])
    pad.axes[:] = [0.0] * 6
    gamepad.poll()
    assert asked(controls) == [0.0, 0.0, 0.0], "released sticks stop"
    press(controls, "arrowup")
    gamepad.poll()
    assert asked(controls) == pytest.approx([0.1, 0.0, 0.0]), "and then leave the keys alone"


def test_a_button_that_is_held_counts_once() -> None:
    controls, pad = Controls(LIMITS), StandInPad()
    gamepad = Gamepad(pad, controls)
    pad.down = {1}
    gamepad.poll()
    assert controls.pop_wish("shove") is not None
    gamepad.poll()
    assert controls.pop_wish("shove") is None
    pad.down = set()
    gamepad.poll()
    pad.down = {1}
    gamepad.poll()
    assert controls.pop_wish("shove") is not None
