"""Parameters of a robot's joints beyond its URDF: friction, damping, rotor inertia, and the delay of targets."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from legged_gym.deployment.contract import JOINTS
from legged_gym.deployment.engine import Physics
from legged_gym.deployment.rollout import ACTION_DELAY
from legged_gym.utils.errors import UserError

GROUPS: dict[str, tuple[int, int]] = {"abad": (0, 3), "hip": (1, 4), "knee": (2, 5)}
"""Kind of joint -> its left and its right joint, which have the same motor."""
KINDS = {"friction": "N m", "damping": "N m s/rad", "armature": "kg m^2"}
"""Parameters of each kind of joint, and their units."""
DELAY = "delay"
NAMES = (*(f"{kind}_{group}" for kind in KINDS for group in GROUPS), DELAY)
"""All parameters, `friction_abad` to `delay`."""


def _all(value: float) -> np.ndarray:
    return np.full(len(JOINTS), value)


@dataclass(frozen=True)
class JointParameters:
    """Parameters of all joints; by default those of the maker's own scene."""

    friction: np.ndarray = field(default_factory=lambda: _all(0.0))
    """Dry friction, the same at every speed [N m]. Shape (6,)."""
    damping: np.ndarray = field(default_factory=lambda: _all(Physics().joint_damping))
    """Friction that grows with speed [N m s/rad]. Shape (6,)."""
    armature: np.ndarray = field(default_factory=lambda: _all(Physics().armature))
    """Reflected inertia of the rotor [kg m^2]. Shape (6,)."""
    delay: float = ACTION_DELAY
    """Time from a pass of the control loop to the effect of its target [s]."""

    def values(self) -> dict[str, float]:
        """Return the parameters by name; for a kind of joint, the left joint's."""
        by_name = {
            f"{kind}_{group}": float(getattr(self, kind)[GROUPS[group][0]]) for kind in KINDS for group in GROUPS
        }
        return {**by_name, DELAY: self.delay}

    @classmethod
    def from_values(cls, values: dict[str, float]) -> "JointParameters":
        """Build the parameters from `values()`; missing ones keep their default."""
        known = cls().values() | values
        arrays = {kind: np.zeros(len(JOINTS)) for kind in KINDS}
        for kind, array in arrays.items():
            for group, joints in GROUPS.items():
                array[list(joints)] = known[f"{kind}_{group}"]
        return cls(**arrays, delay=known[DELAY])


def read_parameters(path: Path) -> JointParameters:
    """Read a file that `identify.py` wrote; parameters that its log could not tell keep their default.

    Raises:
        UserError: The file is not from `identify.py`.
    """
    try:
        entries: dict[str, dict[str, Any]] = json.loads(path.read_text())["parameters"]
        values = {name: float(entry["value"]) for name, entry in entries.items() if entry["identified"]}
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"--joints {path}: is no result of identify.py ({error})") from None
    unusable = [name for name, value in values.items() if name not in NAMES or not 0.0 <= value < 100.0]
    if unusable:
        raise UserError(f"--joints {path}: {unusable[0]}: {values[unusable[0]]:g} is not usable")
    return JointParameters.from_values(values)
