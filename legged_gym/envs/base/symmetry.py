"""Left-right symmetry: observations and actions of a robot reflected in its sagittal plane, half a gait cycle later.

The reflection takes y to -y. A vector changes its y component; an axial vector, such as a rate, its x and z components.
Legs change places, and half a cycle later the clock says that the other one is stance. The reflection of a walk on
level ground is a walk again.
"""

from __future__ import annotations

from typing import Literal

import torch

from legged_gym.sim.robot_model import RobotModel
from legged_gym.utils.errors import UserError
from legged_gym.utils.mirror import Mirror

Reflection = tuple[float, ...] | Literal["joints", "same"]
"""How a quantity is reflected: factors on its components; `joints`, those of the other leg; `same`, not at all."""
VECTOR: Reflection = (1.0, -1.0, 1.0)
AXIAL: Reflection = (-1.0, 1.0, -1.0)
IN_PLANE: Reflection = (1.0, -1.0)
"""(x, y) of a vector."""
OPPOSITE: Reflection = (-1.0,)
"""A rate about z; sine and cosine of the clock, half a cycle later."""
REMEDY = "train without symmetry (--train.policy.symmetric=false)"


def joint_mirror(robot: RobotModel, device: torch.device | str) -> Mirror:
    """Reflect joint angles, rates, torques or actions (6).

    A rotation by q about the axis a becomes one by q about the reflected a, as an axial vector: -q about the other
    leg's axis if that is the opposite.

    Raises:
        UserError: The axes of the legs are not each other's reflection.
    """
    axes = torch.tensor(robot.joint_axes, dtype=torch.float32, device=device)  # (6, 3), parallel to the base's frame
    rows = torch.arange(len(axes), device=device).roll(len(axes) // 2)
    signs = (axes * (axes[rows] * axes.new_tensor(AXIAL))).sum(-1)
    if not bool(torch.allclose(signs.abs(), torch.ones_like(signs), atol=1e-3)):
        raise UserError(f"{robot.name}: the axes of the left and the right leg do not mirror each other: {REMEDY}")
    return Mirror(rows, signs.sign())


def term_mirror(name: str, reflection: Reflection | None, width: int, joints: Mirror) -> Mirror:
    """Reflect a term of an observation.

    Args:
        name: Name of the term.
        reflection: How its components change; None if unknown.
        width: Number of its components.
        joints: From `joint_mirror`.

    Raises:
        UserError: The reflection is unknown.
    """
    if reflection is None:
        raise UserError(f"observation term {name}: it has no `reflection`, so it cannot be mirrored: {REMEDY}")
    if reflection == "joints":
        return joints
    signs = torch.ones(width) if reflection == "same" else torch.tensor(reflection)
    return Mirror(torch.arange(width, device=joints.rows.device), signs.to(joints.signs))
