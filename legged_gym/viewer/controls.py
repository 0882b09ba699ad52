"""The user's wishes, from keys, sliders, buttons or a gamepad: one set, whichever screen shows the robot."""

import threading
from collections.abc import Sequence

import numpy as np

KEYS = {
    "arrowup": "faster",
    "arrowdown": "slower",
    "arrowleft": "left",
    "arrowright": "right",
    "q": "turn left",
    "e": "turn right",
    "space": "stop",
    "f": "shove",
    "p": "pause",
    "n": "single step",
    "r": "reset",
    "pageup": "next robot",
    "pagedown": "previous robot",
}
"""Key -> action, the same in a browser and in a window."""
STEPS = {
    "faster": (0.1, 0.0, 0.0),
    "slower": (-0.1, 0.0, 0.0),
    "left": (0.0, 0.05, 0.0),
    "right": (0.0, -0.05, 0.0),
    "turn left": (0.0, 0.0, 0.1),
    "turn right": (0.0, 0.0, -0.1),
}
"""Change of the command by one press: v_x, v_y [m/s] and w_z [rad/s]."""
SPEEDS = (0.02, 1.0)
"""Slowest motion and real time."""
DIRECTIONS = {"random": None, "from behind": 0.0, "from the right": 90.0, "from ahead": 180.0, "from the left": -90.0}
"""Side that shoves come from -> direction they push in, counter-clockwise from the heading [degrees]."""
WATCHING = frozenset({"pause", "single step", "next robot", "previous robot"})
"""Actions that are allowed while a policy is trained, since they do not change the training."""
DRIVING = frozenset(KEYS.values())
"""All actions, for a robot that the user drives."""
_ENDS_PAUSE = ("single step", "reset", "checkpoint")


class Controls:
    """The user's wishes: any thread may write them, and the simulating thread carries them out."""

    def __init__(
        self, limits: Sequence[tuple[float, float]], num_robots: int = 1, actions: frozenset[str] = DRIVING
    ) -> None:
        """Begin with the first robot, in real time, its command left to the task.

        Args:
            limits: Smallest and largest v_x, v_y [m/s] and w_z [rad/s].
            num_robots: Number of robots to choose from.
            actions: Actions that keys may ask for, some of the values of `KEYS`.
        """
        self.actions = actions
        self.low, self.high = np.array(limits, dtype=float).T
        self.num_robots = num_robots
        self.robot = 0
        """Index of the robot that is shown and driven."""
        self.paused = False
        self.speed = 1.0
        """Simulated seconds per second of the clock, at most."""
        self.shove_impulse = 10.0
        """Impulse of a shove [N s]."""
        self.shove_direction = "random"
        """One of `DIRECTIONS`."""
        self._lock = threading.Lock()
        self._command: np.ndarray | None = None
        self._wishes: dict[str, str] = {}
        self._woken = threading.Event()

    @property
    def command(self) -> np.ndarray | None:
        """v_x, v_y [m/s] and w_z [rad/s] that the user asks for; None while the task commands. Shape (3,)."""
        with self._lock:
            return None if self._command is None else self._command.copy()

    def drive(self, command: Sequence[float] | np.ndarray | None) -> None:
        """Set the command, clipped to the limits; None leaves it to the task again. NaN and infinity are ignored."""
        if command is None:
            with self._lock:
                self._command = None
        elif np.isfinite(command).all():
            with self._lock:
                self._command = np.clip(np.asarray(command, dtype=float), self.low, self.high) + 0.0  # no -0.0

    def press(self, action: str) -> None:
        """Do the action of a key.

        Args:
            action: One of `actions`; others are ignored.
        """
        if action not in self.actions:
            return
        if action in STEPS:
            with self._lock:  # two presses at once count twice
                now = np.zeros(3) if self._command is None else self._command
                moved = np.round(now + STEPS[action], 3) + 0.0  # no -0.0
                self._command = np.clip(moved, self.low, self.high)
        elif action == "stop":
            self.drive((0.0, 0.0, 0.0))
        elif action == "pause":
            self.paused = not self.paused
        elif action in ("next robot", "previous robot"):
            self.choose_robot(self.robot + (1 if action == "next robot" else -1))
        elif action == "single step":
            self.paused = True
            self.wish(action)
        elif action in ("shove", "reset"):
            self.wish(action)
        self._woken.set()

    def choose_robot(self, robot: int) -> None:
        """Show and drive another robot; after the last one comes the first."""
        self.robot = int(robot) % self.num_robots

    def wish(self, name: str, value: str = "") -> None:
        """Record a wish that is to be fulfilled once."""
        with self._lock:
            self._wishes[name] = value
        self._woken.set()

    def pop_wish(self, name: str) -> str | None:
        """Return the value of a wish that was made since the last call, or None."""
        with self._lock:
            return self._wishes.pop(name, None)

    @property
    def interrupts_pause(self) -> bool:
        """Whether a wish needs a paused simulation to go on."""
        with self._lock:
            return any(name in self._wishes for name in _ENDS_PAUSE)

    def wait(self, seconds: float) -> None:
        """Wait for the user, for at most this time [s]."""
        self._woken.wait(seconds)
        self._woken.clear()
